"""Records, and what the store's tests do with them."""

from __future__ import annotations

from sqlalchemy import select

from matcher import tables
from matcher.records import Achievement, Institution, Record
from matcher.rows import StoredRecord
from matcher.store import Store


def achievement(number: int | str, title: str = "银耳低温烘干技术", **values: str) -> Achievement:
    return Achievement(source="平台甲", source_id=str(number), title=title, **values)


def institution(name: str, *aliases: str) -> Institution:
    return Institution(source="名录", source_id=name, title=name, aliases=aliases)


def put(store: Store, *records: Record, contact: str | None = None) -> list[str]:
    return [*store.upsert([(record, contact) for record in records])]


def stored(store: Store, record: Record) -> StoredRecord:
    return store.by_id([record.id])[record.id]


def every_change(store: Store, page: int) -> list[StoredRecord]:
    found: list[StoredRecord] = []
    while part := store.changes(found[-1].revision if found else 0, page):
        assert len(part) <= page
        found += part
    return found


def contacts(store: Store) -> list[str]:
    with store._engine.connect() as connection:
        return [*connection.scalars(select(tables.contacts.c.contact).order_by(tables.contacts.c.key))]
