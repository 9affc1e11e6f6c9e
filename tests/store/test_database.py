"""The database itself: its tables, its settings, its address."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import String, text

from matcher import database, records, tables
from matcher.errors import Busy, SettingError, StoreUnavailable
from matcher.store import Store
from tests.postgresql import Server
from tests.store.conftest import only_postgresql, only_sqlite
from tests.store.examples import achievement, put, stored


def test_the_migrations_make_exactly_the_tables_that_the_program_knows(store: Store) -> None:
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_opening_a_database_again_does_not_migrate_again(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, achievement(1))

    def refuse(*_: object) -> None:
        raise AssertionError("migrated again")

    monkeypatch.setattr(command, "upgrade", refuse)
    again = Store(address)
    assert stored(again, achievement(1)) == stored(store, achievement(1))
    again.close()


@pytest.mark.parametrize(
    ("column", "limit"),
    [
        ("source", records.SOURCE_LIMIT),
        ("source_id", records.SOURCE_ID_LIMIT),
        ("city", records.PLACE_LIMIT),
        ("county", records.PLACE_LIMIT),
        ("name_key", records.NAME_LIMIT),
    ],
)
def test_a_column_is_as_wide_as_what_is_let_in(column: str, limit: int) -> None:
    table = tables.institution_names if column == "name_key" else tables.records
    kind = table.c[column].type
    assert isinstance(kind, String)
    assert kind.length == limit


@only_sqlite
def test_the_database_is_crash_proof_and_lets_readers_in_while_it_is_written(store: Store) -> None:
    with store._engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60000}


def test_an_address_that_cannot_be_used_is_refused_by_the_setting_s_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("这不是数据库" * 100, encoding="utf-8")
    addresses = [
        *("nonsense", "nosuch://host/name", "sqlite+nosuch:///x.db"),
        f"sqlite:///{tmp_path / 'file' / 'matcher.db'}",
        f"sqlite:///{tmp_path / 'file'}",
        f"sqlite:///{tmp_path}",
    ]
    for address in addresses:
        with pytest.raises((SettingError, StoreUnavailable), match="MATCHER_DATABASE_URL"):
            Store(address)


def test_a_database_of_a_newer_program_is_left_alone(store: Store, address: str) -> None:
    with store.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingError, match="9999"):
        Store(address)


@pytest.mark.parametrize("address", ["mysql://host/name", "mssql+pyodbc://host/name", "nosuch://host/name"])
def test_another_database_s_address_is_refused_with_those_that_there_are(address: str) -> None:
    with pytest.raises(SettingError, match=r"MATCHER_DATABASE_URL.*postgresql://"):
        Store(address)


@only_postgresql
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_an_address_of_postgresql_needs_no_driver_s_name(address: str, scheme: str) -> None:
    store = Store(address.replace("postgresql", scheme, 1))
    assert put(store, achievement(1)) == ["added"]
    store.close()


def test_a_missing_driver_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingError, match=r"psycopg.*pip install .*\[postgresql\]"):
        Store("postgresql://nobody@127.0.0.1/nothing")


def test_a_server_that_cannot_be_reached_is_refused_by_the_setting_s_name(postgresql: Server) -> None:
    for address in (postgresql.url("nosuchdatabase"), "postgresql://nobody@127.0.0.1:1/nothing"):
        with pytest.raises(StoreUnavailable, match="MATCHER_DATABASE_URL"):
            Store(address)


@only_postgresql
def test_the_store_survives_the_loss_of_its_connections(postgresql: Server, store: Store) -> None:
    put(store, achievement(1))
    assert postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")
    assert store.counts() == {"achievement": 1}
    assert put(store, achievement(2)) == ["added"]


def test_a_writer_that_hangs_is_named_to_those_who_wait(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WRITE_WAIT", 0.3)
    hanging, waiting = Store(address), Store(address)
    with hanging.database.writing(), pytest.raises(Busy, match="占用数据库"):
        put(waiting, achievement(1))
    assert put(waiting, achievement(1)) == ["added"]
    hanging.close()
    waiting.close()
