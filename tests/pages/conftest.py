"""An application of the test's own, a reader of mails, and what he follows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.rates import Rates
from matcher.accounts import Account
from matcher.store import Store
from tests.api.fresh import Fresh, fresh_matcher
from tests.pages.support import Reader

Open = Callable[..., Fresh]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the tables, whose making takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("pages") / "empty.db"
    Store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def open_fresh(empty_database: Path, tmp_path: Path) -> Iterator[Open]:
    """Opens the application with some settings."""
    with ExitStack() as stack:

        def open_one(**settings: Any) -> Fresh:
            home = tmp_path / "home"
            home.mkdir()
            shutil.copy(empty_database, home / "matcher.db")
            return stack.enter_context(_without_index(home, settings))

        yield open_one


@pytest.fixture
def fresh(open_fresh: Open) -> Fresh:
    return open_fresh()


@pytest.fixture
def account(fresh: Fresh) -> Account:
    """An enterprise, by whose eyes the reader's subscriptions look."""
    return fresh.matcher.accounts.add("雾里云芝生物有限公司", "enterprise")


@pytest.fixture
def reader(fresh: Fresh) -> Reader:
    return Reader(fresh)


@contextmanager
def _without_index(home: Path, settings: dict[str, Any]) -> Iterator[Fresh]:
    """The application without the threads that load and refresh: pages read the store alone."""
    matcher = fresh_matcher(home, **settings)
    app = create_app(matcher=matcher)
    app.state.service.rates = rates = Rates(home / "rates.db")
    try:
        yield Fresh(matcher, TestClient(app))
    finally:
        rates.close()
        matcher.close()
