"""Indexes on a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from matcher.index import Index, LocalIndex
from matcher.milvus import MilvusIndex
from tests.index.support import LocalOpener, MilvusOpener, Opener, drop, local, milvus


# A new backend joins here: a function that opens it on a folder of its own.
@pytest.fixture(params=["local", "milvus"])
def backend(request: pytest.FixtureRequest) -> Callable[[Path], Index]:
    if request.param == "local":
        return local
    uri = request.getfixturevalue("milvus_uri")
    return lambda folder: milvus(folder, uri)


@pytest.fixture
def open_index(backend: Callable[[Path], Index], tmp_path: Path) -> Iterator[Opener]:
    def opened() -> Index:
        index = backend(tmp_path / "index")
        index.refresh()
        return index

    yield opened
    drop(backend(tmp_path / "index"))


@pytest.fixture
def index(open_index: Opener) -> Index:
    return open_index()


@pytest.fixture
def open_local(tmp_path: Path) -> LocalOpener:
    def opened() -> LocalIndex:
        index = local(tmp_path / "index")
        index.refresh()
        return index

    return opened


@pytest.fixture
def open_milvus(tmp_path: Path, milvus_uri: str) -> Iterator[MilvusOpener]:
    def opened() -> MilvusIndex:
        index = milvus(tmp_path / "index", milvus_uri)
        index.refresh()
        return index

    yield opened
    drop(milvus(tmp_path / "index", milvus_uri))
