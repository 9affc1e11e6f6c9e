"""A database of people and their mails, and a server that takes these."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from matcher.database import Database
from matcher.outbox import Outbox
from matcher.sending import Compose, SendReport, send_waiting
from matcher.store import Store
from tests.mail.sink import Sink
from tests.mail.support import FakeClock, composer, settings

Send = Callable[..., SendReport]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the tables, whose making takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("mail") / "empty.db"
    Store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def store(empty_database: Path, tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "home" / "matcher.db"
    path.parent.mkdir()
    shutil.copy(empty_database, path)
    opened = Store(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def database(store: Store) -> Database:
    return store.database


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink().running() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def send(database: Database, sink: Sink, clock: FakeClock, tmp_path: Path) -> Send:
    """Sends what waits."""

    def run(compose: Compose | None = None, **changes: object) -> SendReport:
        own = settings(sink, tmp_path / "home", **changes)
        return send_waiting(database, own, compose or composer(database), clock.clock)

    return run
