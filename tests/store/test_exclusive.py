"""The lock that processes on several machines share."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from matcher.errors import Busy
from matcher.store import Store
from tests.store.conftest import ROOT, only_postgresql, only_sqlite

HOLDER = """
import sys, time
from matcher.store import Store

with Store(sys.argv[1]).exclusive("index", 0):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    time.sleep(600)
"""


@pytest.fixture
def other(address: str) -> Iterator[Store]:
    """Another process' store, as far as the server can tell."""
    opened = Store(address)
    yield opened
    opened.close()


@only_postgresql
def test_one_holds_it_and_the_others_are_told_that_it_is_taken(store: Store, other: Store) -> None:
    with store.exclusive("index", 0):
        started = time.monotonic()
        with pytest.raises(Busy, match="另一个进程"), other.exclusive("index", 0):
            raise AssertionError("held twice")
        with pytest.raises(Busy), other.exclusive("index", 0.5):
            raise AssertionError("held twice")
        assert 0.5 <= time.monotonic() - started < 10
        # Even within one process.
        with pytest.raises(Busy), store.exclusive("index", 0):
            raise AssertionError("held twice")
    with other.exclusive("index", 0):
        pass


@only_postgresql
def test_locks_of_other_names_are_free(store: Store, other: Store) -> None:
    with store.exclusive("index", 0), other.exclusive("digest", 0):
        pass


@only_postgresql
def test_who_waits_gets_it_as_soon_as_it_is_free(store: Store, other: Store) -> None:
    held = threading.Event()

    def hold() -> None:
        with store.exclusive("index", 0):
            held.set()
            time.sleep(0.5)

    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(10)
    with other.exclusive("index", 60):
        pass
    holding.join()


@only_postgresql
def test_an_error_within_gives_it_back(store: Store, other: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.exclusive("index", 0):
        raise ZeroDivisionError
    with other.exclusive("index", 0):
        pass


@only_postgresql
def test_it_outlives_many_writes_and_hinders_none(store: Store, other: Store) -> None:
    with store.exclusive("index", 0):
        assert store.upsert([]) == other.upsert([]) == []


@only_postgresql
def test_a_killed_holder_leaves_it_free(address: str, store: Store) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLDER, address], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout and child.stdout.readline() == "held\n"
    with pytest.raises(Busy), store.exclusive("index", 0):
        raise AssertionError("held twice")
    child.kill()
    child.communicate()
    with store.exclusive("index", 30):
        pass


@only_sqlite
def test_with_sqlite_the_index_s_own_lock_does(store: Store, other: Store) -> None:
    with store.exclusive("index", 0), other.exclusive("index", 0):
        pass
