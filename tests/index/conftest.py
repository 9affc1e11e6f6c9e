"""Indexes on a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from matcher.index import LocalIndex
from tests.index.support import BACKENDS, Opener


@pytest.fixture(params=BACKENDS)
def open_index(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    def opened() -> LocalIndex:
        index = BACKENDS[request.param](tmp_path / "index")
        index.refresh()
        return index

    return opened


@pytest.fixture
def index(open_index: Opener) -> LocalIndex:
    return open_index()


@pytest.fixture
def open_local(tmp_path: Path) -> Opener:
    def opened() -> LocalIndex:
        index = BACKENDS["local"](tmp_path / "index")
        index.refresh()
        return index

    return opened
