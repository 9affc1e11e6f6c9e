"""All tables of one database into another, whichever of SQLite and PostgreSQL they are."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Integer, delete, func, insert, select, text, update

from matcher import tables
from matcher.errors import DiskFull, StoreUnavailable
from matcher.faults import sqlite_error

# Rows in memory at a time.
CHUNK = 2000


def copy_file(source: Path, target: Path) -> None:
    """Copy an SQLite database as it is at one moment, while others write to it.

    :param target: becomes a single file, without a log beside it.
    :raises StoreUnavailable, Busy: if the source cannot be read or is damaged.
    :raises sqlite3.Error: if there is no room for the copy; see `matcher.faults.is_full`.
    """
    try:
        origin, copy = sqlite3.connect(source, timeout=60), sqlite3.connect(target)
        try:
            copy.execute("PRAGMA locking_mode=EXCLUSIVE")  # with nobody to share it, no file for sharing is needed
            origin.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            check_file(copy, source)
        finally:
            origin.close()
            copy.close()
    except sqlite3.Error as error:
        told = sqlite_error(error, str(source))
        if told is None or isinstance(told, DiskFull):  # of the copy; what it is, the caller knows
            raise
        raise told from error


def check_file(connection: sqlite3.Connection, shown: Path) -> None:
    """Look whether a database is built as it should be.

    :param shown: the file that is named if not.
    :raises StoreUnavailable: if not.
    """
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise StoreUnavailable(
            f"数据库文件 {shown} 已损坏（{answer}），不能使用。"
            "请先停止所有 matcher 进程，再用 matcher restore 从较早的备份恢复。"
        )


def copy_tables(source: Connection, target: Connection) -> None:
    """Put all rows of the program's tables in place of what the target holds.

    :param source: in a transaction that sees one moment.
    :param target: with the same tables; the caller commits.
    """
    ordered = [table for table in tables.metadata.sorted_tables if table is not tables.counters]
    for table in reversed(ordered):
        target.execute(delete(table))
    _copy_counters(source, target)
    streamed = source.execution_options(stream_results=True, yield_per=CHUNK)
    for table in ordered:
        for rows in streamed.execute(select(table)).mappings().partitions():
            target.execute(insert(table), [dict(row) for row in rows])
    if target.dialect.name == "postgresql":
        for table in ordered:
            column = table.autoincrement_column
            if column is not None and isinstance(column.type, Integer):
                # Else the next record would be given a number that is taken.
                last = target.execute(select(func.max(column))).scalar()
                call = text("SELECT setval(pg_get_serial_sequence(:table, :column), :value, :used)")
                given = {"table": table.name, "column": column.name, "value": last or 1, "used": last is not None}
                target.execute(call, given)


def _copy_counters(source: Connection, target: Connection) -> None:
    # Their rows stay: writers of the target wait for each other at one of them.
    counters = tables.counters
    for name, value in source.execute(select(counters.c.name, counters.c.value)):
        if not target.execute(update(counters).where(counters.c.name == name).values(value=value)).rowcount:
            target.execute(insert(counters).values(name=name, value=value))


def row_counts(connection: Connection) -> dict[str, int]:
    """Rows by table."""
    return {
        table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        for table in tables.metadata.sorted_tables
    }
