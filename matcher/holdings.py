"""All that the store holds about an account, or about whoever is named by a contact (PIPL article 45).

Rows come with every column there is, so that none is forgotten; secrets and their hashes do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table, or_, select

from matcher import recipients, tables
from matcher.accounts import Account
from matcher.needle import Needle
from matcher.records import FREE_TEXTS
from matcher.store import Store

# Records looked through at a time.
PAGE: Final = 500
# Nobody's but the program's: numbers of rows, hashes, and what a key is known by.
_LEFT_OUT: Final = frozenset({"key", "hash", "content_hash", "request"})


class Holdings:
    """Reads the store for those whom it tells of."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of_account(self, account: Account) -> dict[str, Any]:
        """The account, keys without secrets, records with contacts, judgements, uploads, leads, mail, its history."""
        key = account.key
        a, r, held = tables.audit.c, tables.records.c, tables.leads.c
        with self._store.database.reading.connect() as connection:
            own = {
                name: [*_rows(connection, table, table.c.account == key)]
                for name, table in (
                    ("keys", tables.api_keys),
                    ("judgements", tables.judgements),
                    ("uploads", tables.uploads),
                    ("replies", tables.idempotency),
                    ("lead_steps", tables.lead_steps),
                    ("lead_lists", tables.lead_lists),
                )
            }
            return {
                "account": [*_rows(connection, tables.accounts, tables.accounts.c.key == key)],
                **own,
                "leads": [*_rows(connection, tables.leads, or_(held.assignee == key, held.listed_to == key))],
                "subscriptions": recipients.of_account(connection, key),
                "records": [{**row, "contact": contact} for row, contact in _with_contacts(connection, r.owner == key)],
                "audit": [*_rows(connection, tables.audit, or_(a.account == key, a.subject == account.id))],
            }

    def of_person(self, needle: Needle) -> dict[str, Any]:
        """Records that have the person as a contact or speak of him, patents that he invented, notes on leads and lists
        that name him, accounts of his name; the mail that he gets, and what others follow in words that speak of him.
        """
        contacts, texts, invented = [], [], []
        with self._store.database.reading.connect() as connection:
            for row, contact in _with_contacts(connection):
                record = {name: row[name] for name in ("id", "kind", "source", "title", "institution", "updated_at")}
                if contact and needle.names(contact):
                    contacts.append({**record, "contact": contact})
                if fields := [name for name, text in _texts(row) if needle.stands_in(text)]:
                    texts.append({**record, "fields": {name: dict(_texts(row))[name] for name in fields}})
                if any(needle.names(name) for name in row["details"].get("inventors", ())):
                    invented.append(record)
            notes = [
                {"lead": lead, **{name: step[name] for name in ("at", "status", "note")}}
                for lead, step in _notes(connection)
                if needle.anywhere.names(step["note"])
            ]
            lists = [
                row
                for row in _rows(connection, tables.lead_lists)
                if any(needle.anywhere.names(text) for text in (row["name"], *map(str, row["wanted"].values())))
            ]
            accounts = [row for row in _rows(connection, tables.accounts) if needle.names(row["name"])]
            subscribers = recipients.of_person(connection, needle)
            subscriptions = recipients.speaking_of(connection, needle)
            subjects = [record["id"] for record in contacts]
            trail = [
                row
                for start in range(0, len(subjects), PAGE)
                for row in _rows(connection, tables.audit, tables.audit.c.subject.in_(subjects[start : start + PAGE]))
            ]
        return {
            "contacts": contacts,
            "texts": texts,
            "inventor_of": invented,
            "lead_notes": notes,
            "lead_lists": lists,
            "accounts": accounts,
            "subscribers": subscribers,
            "subscriptions": subscriptions,
            "audit": trail,
        }


def _texts(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in (*row.items(), *row["details"].items()):
        if isinstance(value, str) and name in (*FREE_TEXTS, "url"):
            yield name, value


def _notes(connection: Connection) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Notes on leads, each with the lead's id."""
    s, c = tables.lead_steps.c, tables.leads.c
    query = select(c.id, s.at, s.status, s.note).join_from(tables.lead_steps, tables.leads).where(s.note != "")
    for row in connection.execute(query.order_by(s.key)):
        yield row.id, row._mapping


def _rows(connection: Connection, table: Table, *conditions: Any) -> Iterator[dict[str, Any]]:
    for row in connection.execute(select(table).where(*conditions).order_by(*table.primary_key)):
        yield _plain(row._mapping)


def _with_contacts(connection: Connection, *conditions: Any) -> Iterator[tuple[dict[str, Any], str | None]]:
    r, c, after = tables.records.c, tables.contacts.c, 0
    while True:
        query = select(tables.records, c.contact).join_from(tables.records, tables.contacts, isouter=True)
        page = connection.execute(query.where(r.key > after, *conditions).order_by(r.key).limit(PAGE)).all()
        if not page:
            return
        for row in page:
            values = _plain(row._mapping)
            yield values, values.pop("contact")
        after = page[-1].key


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items() if str(name) not in _LEFT_OUT}
