"""Databases that fail for reasons outside the program: one error of the tree, a sentence, and back by themselves."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from matcher import database
from matcher.errors import Busy, MatcherError, StoreUnavailable
from matcher.faults import postgresql_error, sqlite_error
from matcher.store import Store
from tests.faults.disks import small_disk
from tests.postgresql import Server
from tests.store.conftest import only_postgresql
from tests.store.examples import achievement, put


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An SQLite database of three hundred records that nobody has open."""
    path = tmp_path / "matcher.db"
    store = Store(f"sqlite:///{path}")
    put(store, *[achievement(number, f"银耳烘干技术{number}" * 20) for number in range(300)])
    store.close()
    return path


def reopened(file: Path) -> Store:
    return Store(f"sqlite:///{file}")


def scribble(path: Path) -> None:
    """Overwrite the middle of a file."""
    with path.open("r+b") as stream:
        for page in range(3, path.stat().st_size // 4096):
            stream.seek(page * 4096)
            stream.write(b"\xa5" * 2048)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [scribble, cut])
def test_a_damaged_file_is_named_with_what_to_do_and_never_written_to(
    file: Path, damage: Callable[[Path], None]
) -> None:
    damage(file)
    before = file.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"matcher\.db 已损坏.*不会改写.*matcher restore"):
        store = reopened(file)
        try:
            list(store.records())
        finally:
            store.close()
    assert file.read_bytes() == before


def test_what_is_no_database_is_neither_migrated_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / "matcher.db"
    path.write_bytes(b"not a database at all" * 500)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="不是 SQLite 数据库"):
            reopened(path)
    assert path.read_bytes() == b"not a database at all" * 500


def test_a_damaged_file_that_is_mended_is_used_again_without_a_restart(file: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.db"
    shutil.copy(file, whole)
    store = reopened(file)
    store.close()  # no connection is kept open: what is read comes from the file
    scribble(file)
    with pytest.raises(StoreUnavailable):
        list(store.records())
    shutil.copy(whole, file)
    assert store.counts() == {"achievement": 300}
    store.close()


def test_a_file_that_is_moved_away_is_missed_and_no_empty_one_made(file: Path, tmp_path: Path) -> None:
    store = reopened(file)
    assert store.counts() == {"achievement": 300}
    file.rename(tmp_path / "elsewhere.db")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"不见了.*放回原处"):
            put(store, achievement("lost"))
        with pytest.raises(StoreUnavailable):
            store.counts()
    assert not file.exists()
    (tmp_path / "elsewhere.db").rename(file)
    assert put(store, achievement("kept")) == ["added"]
    store.close()
    again = reopened(file)
    assert again.counts() == {"achievement": 301}
    again.close()


def test_a_file_that_is_replaced_is_followed_and_nothing_is_written_to_the_old_one(file: Path, tmp_path: Path) -> None:
    other = Store(f"sqlite:///{tmp_path / 'other.db'}")
    put(other, achievement("other"))
    other.close()
    store = reopened(file)
    assert store.counts() == {"achievement": 300}
    (tmp_path / "other.db").replace(file)
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)
    assert put(store, achievement("new")) == ["added"]
    assert store.counts() == {"achievement": 2}
    store.close()


def test_a_disk_that_only_reads_is_told_as_such(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        store = reopened(disk.folder / "matcher.db")
        put(store, achievement(1))
        store.close()  # else the kernel would not let go of the disk; its next use opens it again
        with disk.read_only():
            for use in (lambda: put(store, achievement(2)), lambda: reopened(disk.folder / "matcher.db")):
                with pytest.raises(StoreUnavailable, match=r"只能读不能写|打不开"):
                    use()
        assert put(store, achievement(2)) == ["added"]
        assert store.counts() == {"achievement": 2}
        store.close()


def test_a_locked_database_is_told_to_readers_and_writers_and_free_again_afterwards(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WRITE_WAIT", 0.2)
    store = reopened(file)
    holding = sqlite3.connect(file, isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy, match="占用数据库"):
        put(store, achievement("waiting"))
    assert store.counts() == {"achievement": 300}  # readers go on
    holding.execute("ROLLBACK")
    holding.close()
    assert put(store, achievement("waiting")) == ["added"]
    store.close()


@pytest.mark.parametrize(
    ("code", "name", "kind", "says"),
    [
        (sqlite3.SQLITE_BUSY, "SQLITE_BUSY", Busy, "占用"),
        (sqlite3.SQLITE_LOCKED, "SQLITE_LOCKED", Busy, "占用"),
        (sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT", StoreUnavailable, "matcher restore"),
        (sqlite3.SQLITE_CORRUPT | 1 << 8, "SQLITE_CORRUPT_VTAB", StoreUnavailable, "matcher restore"),
        (sqlite3.SQLITE_NOTADB, "SQLITE_NOTADB", StoreUnavailable, "matcher restore"),
        (sqlite3.SQLITE_READONLY, "SQLITE_READONLY", StoreUnavailable, "权限"),
        (sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE", StoreUnavailable, "检查磁盘"),
        (sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN", StoreUnavailable, "打不开"),
        (sqlite3.SQLITE_FULL, "SQLITE_FULL", MatcherError, "磁盘已满"),
    ],
)
def test_every_failure_of_sqlite_has_its_sentence(tmp_path: Path, code: int, name: str, kind: type, says: str) -> None:
    error = sqlite3.OperationalError("English words")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    told = sqlite_error(error, str(tmp_path / "matcher.db"))
    assert isinstance(told, kind)
    assert says in str(told)
    assert "English" not in str(told)


def test_the_program_s_own_mistakes_are_not_blamed_on_the_database(tmp_path: Path) -> None:
    mistake = sqlite3.OperationalError("no such column: x")
    mistake.sqlite_errorcode, mistake.sqlite_errorname = sqlite3.SQLITE_ERROR, "SQLITE_ERROR"
    assert sqlite_error(mistake, str(tmp_path / "matcher.db")) is None
    wrong = type("UndefinedColumn", (Exception,), {"sqlstate": "42703"})("column does not exist")
    assert postgresql_error(wrong, disconnected=False) is None


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("53100", "磁盘已满"),
        ("55P03", "占用"),
        ("40P01", "占用"),
        ("25006", "只能读"),
        ("XX001", "数据已损坏"),
        ("57P01", "连不上"),
        ("57P03", "连不上"),
        ("08006", "连不上"),
        ("53300", "连不上"),
        ("58030", "连不上"),
        (None, "连不上"),
    ],
)
def test_every_failure_of_postgresql_has_its_sentence(state: str | None, says: str) -> None:
    error = type("OperationalError", (Exception,), {"sqlstate": state})("lines\nof English")
    told = postgresql_error(error, disconnected=False)
    assert told is not None
    assert says in str(told)
    assert "\n" not in str(told)


@only_postgresql
def test_a_connection_lost_within_a_transaction_is_told_and_leaves_nothing_of_it(
    postgresql: Server, store: Store
) -> None:
    put(store, achievement(1))
    save, lost = Store._save_contacts, []

    def lose(*arguments: object) -> None:
        lost.append(
            postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")
        )
        save(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_save_contacts", staticmethod(lose))
        with pytest.raises(StoreUnavailable, match=r"连接中断.*已确认写入的记录不会丢失.*再运行一次"):
            put(store, achievement(2), achievement(3))
    assert lost
    assert store.counts() == {"achievement": 1}
    assert put(store, achievement(2), achievement(3)) == ["added", "added"]


@only_postgresql
def test_a_server_that_only_reads_is_told_as_such(store: Store) -> None:
    with store.database.writing() as connection:
        connection.execute(text("SELECT 1"))
    with pytest.raises(StoreUnavailable, match="只能读不能写"), store.database.writing() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(text("DELETE FROM records"))
