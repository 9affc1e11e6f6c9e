"""Databases of earlier programs: migrated whole or not at all, in place and out of a back-up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.operations import Operations

from matcher import archive
from matcher.backup import STORE, restore
from matcher.database import Database
from matcher.settings import Settings
from matcher.store import Store

FIRST_SCHEMA = "0001"
RECORD: dict[str, Any] = {
    "key": 1,
    "id": "ach-x",
    "kind": "achievement",
    "source": "甲",
    "source_id": "1",
    "title": "银耳烘干",
    "abstract": "热泵",
    "co_institutions": "[]",
    "keywords": "[]",
    "declared_programmes": "[]",
    "visibility": "public",
    "details": "{}",
    "content_hash": "x",
    "revision": 1,
    "withdrawn": 0,
    "created_at": "2025-01-01T00:00:00+00:00",
    "updated_at": "2025-01-01T00:00:00+00:00",
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database as the first release made it, with a record and its contact."""
    path = tmp_path / "old.db"
    config = Config()
    config.set_main_option("script_location", "matcher:migrations")
    with closing(Database(f"sqlite:///{path}")) as database, database.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST_SCHEMA)
    with closing(sqlite3.connect(path)) as connection, connection:
        marks = ", ".join(f":{name}" for name in RECORD)
        connection.execute(f"INSERT INTO records ({', '.join(RECORD)}) VALUES ({marks})", RECORD)
        connection.execute("INSERT INTO contacts VALUES (1, '电话')")
        connection.execute("UPDATE counters SET value = 1")
    return path


def check_whole(url: str) -> None:
    with closing(Store(url)) as store:
        (stored,) = store.records()
        assert (stored.id, stored.key, stored.revision, stored.record.title) == ("ach-x", 1, 1, "银耳烘干")
        assert store.version() != FIRST_SCHEMA
        with store.database.reading.connect() as connection:
            assert connection.exec_driver_sql("SELECT contact FROM contacts").scalar() == "电话"


def migrate_and_die(path: Path, coming: int) -> None:
    real, count = Operations.create_table, 0

    def dying(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == coming:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    Operations.create_table = dying
    Store(f"sqlite:///{path}").close()


@pytest.mark.parametrize("coming", [1, 3])
def test_a_killed_migration_leaves_the_old_tables_and_the_next_one_migrates_them(old: Path, coming: int) -> None:
    process = multiprocessing.get_context("fork").Process(target=migrate_and_die, args=(old, coming))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(FIRST_SCHEMA,)]
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (1,)
    check_whole(f"sqlite:///{old}")


def test_a_back_up_of_an_earlier_program_is_migrated_when_it_is_restored(old: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    made = tmp_path / "old.zip"
    archive.write(made, {STORE: old}, {"created": "2025", "counts": {"records": 1, "contacts": 1}})
    settings = Settings(home=tmp_path / "home")
    restore(made, settings)
    check_whole(settings.store_url)
