"""Each test of the store runs over SQLite and over PostgreSQL."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from matcher.store import Store
from tests.postgresql import Server

ROOT = Path(__file__).parents[2]


class Databases(ABC):
    """Makes databases of one kind."""

    name: str

    @abstractmethod
    def new(self, migrated: bool = True) -> AbstractContextManager[str]:
        """The address of a new database, removed at the end.

        :param migrated: whether it has the store's tables already.
        """

    @cached_property
    def lasting(self) -> Store:
        """One that is never removed, for examples which do not mind what is in it."""
        return Store(self._lasting())

    @abstractmethod
    def _lasting(self) -> str: ...


class SqliteDatabases(Databases):
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._template = folder / "empty.db"
        Store(f"sqlite:///{self._template}").close()

    @contextmanager
    def new(self, migrated: bool = True) -> Iterator[str]:
        with TemporaryDirectory(dir=self._folder) as folder:
            path = Path(folder) / "deep" / "matcher.db"
            if migrated:
                path.parent.mkdir()
                shutil.copy(self._template, path)
            yield f"sqlite:///{path}"

    def _lasting(self) -> str:
        return f"sqlite:///{self._folder / 'lasting.db'}"


class PostgresqlDatabases(Databases):
    name = "postgresql"

    def __init__(self, server: Server) -> None:
        self.server = server

    @contextmanager
    def new(self, migrated: bool = True) -> Iterator[str]:
        url = self.server.create(migrated)
        yield url
        self.server.drop(url)

    def _lasting(self) -> str:
        return self.server.create(migrated=True)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    made: Databases
    if request.param == "sqlite":
        made = SqliteDatabases(tmp_path_factory.mktemp("databases"))
    else:
        made = PostgresqlDatabases(request.getfixturevalue("postgresql"))
    yield made
    if "lasting" in made.__dict__:
        made.lasting.close()


# For what only one of them has.
only_sqlite = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


@pytest.fixture
def address(databases: Databases) -> Iterator[str]:
    """Of the database that `store` has open."""
    with databases.new() as url:
        yield url


@pytest.fixture
def new_address(databases: Databases) -> Iterator[str]:
    """Of a database without any tables."""
    with databases.new(migrated=False) as url:
        yield url


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    opened = Store(address)
    yield opened
    opened.close()


Writer = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def writer(new_address: str) -> Iterator[Writer]:
    """Starts `tests.store.writing` on `new_address`."""
    children: list[subprocess.Popen[str]] = []

    def start(name: str, batches: int, fatal: int = 0) -> subprocess.Popen[str]:
        arguments = [new_address, name, str(batches), str(fatal)]
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.store.writing", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
