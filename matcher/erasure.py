"""Erases what the store holds of a person, of an account, and of what was kept long enough.

A record that goes leaves an empty row behind, withdrawn, with a new revision: from it every index, on whatever
machine, learns that the record is gone. Public records stay, as what institutions and enterprises publish; the
person goes out of them. The audit trail keeps that something was erased, and not what it was.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, or_, select, update

from matcher import audit, merges, recipients, tables
from matcher.accounts import Account
from matcher.audit import Entry
from matcher.database import next_revision
from matcher.indexing import embedded_texts
from matcher.lead_traces import account_out_of_leads, old_out_of_leads, person_out_of_leads, record_out_of_leads
from matcher.life import CHINA
from matcher.needle import Needle
from matcher.owners import OWNER_SOURCE
from matcher.privacy import masked
from matcher.records import FREE_TEXTS, Record
from matcher.redaction import holds_personal_data
from matcher.rows import StoredRecord, stored_hash
from matcher.store import ERASED_SOURCE, Store

CLOSED_NAME: Final = "已注销账号"
# Records looked through at a time.
PAGE = 500


@dataclass
class Erased:
    """What was erased.

    :ivar records: ids of those that are gone; `changed` of those that lost the person, or only their contact.
    :ivar texts: what the vector cache may know; for `matcher.traces`.
    :ivar uploads: ids of files handed in.
    :ivar notes: how many notes on leads were emptied or lost a person.
    """

    records: list[str] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    contacts: int = 0
    accounts: int = 0
    keys: int = 0
    subscribers: int = 0
    replies: int = 0
    audited: int = 0
    notes: int = 0
    uploads: list[str] = field(default_factory=list)
    files: int = 0
    texts: set[str] = field(default_factory=set)
    complete: bool = True

    def as_json(self) -> dict[str, object]:
        """Counts, and nothing of what was erased."""
        return {
            "records": len(self.records),
            "changed": len(self.changed),
            "contacts": self.contacts,
            "accounts": self.accounts,
            "keys": self.keys,
            "subscribers": self.subscribers,
            "replies": self.replies,
            "audit_details": self.audited,
            "lead_notes": self.notes,
            "uploads": len(self.uploads),
            "files": self.files,
            "complete": self.complete,
        }


class Eraser:
    """Changes the store; files beside it are `matcher.traces`' part."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    def person(self, needle: Needle, actor: int = audit.OPERATOR_ACCOUNT) -> Erased:
        """Erase whoever is named: contacts, what free texts say of him, the mail that he gets."""
        erased = Erased()
        for page in self._pages():
            with self._database.writing() as connection:
                self._person_out_of(connection, page, needle, erased, actor)
        reply = tables.idempotency
        with self._database.writing() as connection:
            erased.subscribers += recipients.erase_person(connection, needle, actor, erased.texts)
            for row in connection.execute(select(reply.c.account, reply.c.name, reply.c.body)).all():
                if needle.names(row.body):
                    own = (reply.c.account == row.account, reply.c.name == row.name)
                    erased.replies += connection.execute(delete(reply).where(*own)).rowcount
            erased.notes += person_out_of_leads(connection, needle, actor)
        return erased

    def close(self, account: Account) -> list[str]:
        """Close an account and remove its keys, so that nothing comes in any more; ids of what it handed in."""
        a, k, u = tables.accounts, tables.api_keys, tables.uploads.c
        with self._database.writing() as connection:
            closed = {"closed_at": account.closed_at or audit.now()}
            connection.execute(update(a).where(a.c.key == account.key).values(closed))
            connection.execute(update(k).where(k.c.account == account.key).values(revoked_at=audit.now()))
            return [*connection.scalars(select(u.id).where(u.account == account.key))]

    def account(self, account: Account, actor: int = audit.OPERATOR_ACCOUNT) -> Erased:
        """Take the name off a closed account; its private records go, its public ones lose persons."""
        erased = Erased(accounts=1)
        key, r, u = account.key, tables.records, tables.uploads.c
        for page in self._pages(r.c.owner == key, r.c.source != ERASED_SOURCE):
            with self._database.writing() as connection:
                self._retire(connection, page, erased, actor)
        with self._database.writing() as connection:
            connection.execute(update(tables.accounts).where(tables.accounts.c.key == key).values(name=CLOSED_NAME))
            erased.uploads = [*connection.scalars(select(u.id).where(u.account == key))]
            connection.execute(delete(tables.uploads).where(u.account == key))
            keys, replies = tables.api_keys, tables.idempotency
            erased.keys = connection.execute(delete(keys).where(keys.c.account == key)).rowcount
            erased.replies = connection.execute(delete(replies).where(replies.c.account == key)).rowcount
            erased.notes += account_out_of_leads(connection, key)
            erased.subscribers += recipients.erase_account(connection, key, erased.texts)
            # What the account called its files.
            named = (r.c.owner == key, r.c.source != ERASED_SOURCE)
            connection.execute(update(r).where(*named).values(source=account.id))
            own = or_(tables.audit.c.account == key, tables.audit.c.subject == account.id)
            erased.audited += self._silence(connection, own)
            audit.write(connection, [Entry(actor, "erase-account", account.id, {})])
        return erased

    def old(self, limit: datetime.datetime, find: Callable[[int], Account]) -> Erased:
        """Erase what was last written before a moment, or is over since then.

        :param find: gives an account by its number.
        """
        erased = Erased()
        before = limit.astimezone(datetime.UTC).isoformat(timespec="seconds")
        day = int(limit.astimezone(CHINA).strftime("%Y%m%d"))
        r = tables.records.c
        with self._database.writing() as connection:
            # Every index has long learned that these are gone.
            connection.execute(delete(tables.records).where(r.source == ERASED_SOURCE, r.updated_at < before))
        over = and_(r.updated_at < before, or_(r.withdrawn == 1, r.ends < day), r.kind != "institution")
        for page in self._pages(over, r.source != ERASED_SOURCE):
            with self._database.writing() as connection:
                self._retire(connection, page, erased, audit.OPERATOR_ACCOUNT)
        for page in self._pages(r.updated_at < before, r.key.in_(select(tables.contacts.c.key))):
            with self._database.writing() as connection:
                self._drop_contacts(connection, page, erased, audit.OPERATOR_ACCOUNT)
        a = tables.accounts.c
        with self._database.reading.connect() as connection:
            closed = [*connection.scalars(select(a.key).where(a.closed_at < before, a.name != CLOSED_NAME))]
        for key in closed:
            _add(erased, self.account(find(key)))
        with self._database.writing() as connection:
            self._old_rows(connection, before, erased)
        return erased

    def _old_rows(self, connection: Connection, before: str, erased: Erased) -> None:
        """What is kept beside the records."""
        k, u, i = tables.api_keys.c, tables.uploads.c, tables.idempotency.c
        ended = or_(k.revoked_at < before, k.expires_at < before)
        erased.keys += connection.execute(delete(tables.api_keys).where(ended)).rowcount
        erased.uploads += connection.scalars(select(u.id).where(u.finished_at < before))
        connection.execute(delete(tables.uploads).where(u.finished_at < before))
        erased.replies += connection.execute(delete(tables.idempotency).where(i.created_at < before)).rowcount
        erased.notes += old_out_of_leads(connection, before)
        erased.subscribers += recipients.erase_old(connection, before, erased.texts)
        erased.audited += self._silence(connection, tables.audit.c.at < before)

    # ------------------------------------------------------------ records

    def _pages(self, *conditions: Any) -> Iterator[list[int]]:
        """Numbers of the records that fulfil the conditions, withdrawn ones included."""
        r, after = tables.records.c, 0
        while True:
            query = select(r.key).where(r.key > after, *conditions).order_by(r.key).limit(PAGE)
            with self._database.reading.connect() as connection:
                keys = [*connection.scalars(query)]
            if not keys:
                return
            yield keys
            after = keys[-1]

    def _retire(self, connection: Connection, keys: Sequence[int], erased: Erased, actor: int) -> None:
        """Records whose time is over: hidden ones go, public ones stay without persons."""
        records = self._store.by_key(keys)
        hidden = [one for one in records.values() if one.record.visibility != "public"]
        self._blank(connection, hidden, erased, actor)
        public = {key: one for key, one in records.items() if one.record.visibility == "public"}
        self._drop_contacts(connection, list(public), erased, actor)
        for stored in public.values():
            self._rewrite(connection, stored, _each_text(stored.record, masked), erased, actor)

    def _person_out_of(
        self, connection: Connection, keys: Sequence[int], needle: Needle, erased: Erased, actor: int
    ) -> None:
        c = tables.contacts.c
        rows = connection.execute(select(c.key, c.contact).where(c.key.in_(keys)))
        self._drop_contacts(connection, [key for key, contact in rows if needle.names(contact)], erased, actor)

        def without(text: str) -> str:
            # Beside a telephone number stand a name and an address of the same person.
            return masked(needle.without(text)) if needle.stands_in(text) else text

        for stored in self._store.by_key(keys).values():
            self._rewrite(connection, stored, _each_text(stored.record, without), erased, actor)

    def _drop_contacts(self, connection: Connection, keys: Sequence[int], erased: Erased, actor: int) -> None:
        c, r = tables.contacts.c, tables.records
        held = [*connection.scalars(select(c.key).where(c.key.in_(keys)))]
        if not held:
            return
        connection.execute(delete(tables.contacts).where(c.key.in_(held)))
        erased.contacts += len(held)
        for stored in self._store.by_key(held).values():
            # The hash of a contact and a known text gives the contact away to whoever tries all numbers.
            change = update(r).where(r.c.key == stored.key).values(content_hash=stored_hash(stored.record, None))
            connection.execute(change)
            erased.changed.add(stored.id)
            audit.write(connection, [Entry(actor, "erase-contact", stored.id, {})])

    def _rewrite(
        self, connection: Connection, stored: StoredRecord, record: Record, erased: Erased, actor: int
    ) -> None:
        """Put a record's texts in place of those that it has; its contact stays."""
        if record == stored.record:
            return
        c, r = tables.contacts.c, tables.records
        contact = connection.execute(select(c.contact).where(c.key == stored.key)).scalar()
        values = {
            "title": record.title,
            "abstract": record.abstract,
            "url": record.url,
            "details": record.details(),
            "personal": int(holds_personal_data(record)),
            "content_hash": stored_hash(record, contact),
            "revision": next_revision(connection),
        }
        connection.execute(update(r).where(r.c.key == stored.key).values(values))
        merges.after_write(connection, [stored.id])
        audit.write(connection, [Entry(actor, "erase-person", stored.id, {})])
        erased.texts.update(embedded_texts(stored.record))
        erased.changed.add(stored.id)

    def _blank(self, connection: Connection, records: Iterable[StoredRecord], erased: Erased, actor: int) -> None:
        institutions: set[str] = set()
        for stored in records:
            self._blank_one(connection, stored, erased, actor)
            erased.records.append(stored.id)
            erased.texts.update(embedded_texts(stored.record))
            if stored.institution_id:
                institutions.add(stored.institution_id)
        r = tables.records.c
        for id_, institution in self._store.by_id(sorted(institutions)).items():
            others = select(func.count()).where(r.institution_id == id_)
            if institution.record.source == OWNER_SOURCE and not connection.execute(others).scalar():
                # Known from nothing but these records.
                self._blank_one(connection, institution, erased, actor)
                names = tables.institution_names
                connection.execute(delete(names).where(names.c.institution_id == id_))

    def _blank_one(self, connection: Connection, stored: StoredRecord, erased: Erased, actor: int) -> None:
        r, j = tables.records, tables.judgements
        c, t = tables.contacts, tables.tags
        erased.contacts += connection.execute(delete(c).where(c.c.key == stored.key)).rowcount
        connection.execute(delete(t).where(t.c.key == stored.key))
        connection.execute(delete(j).where(or_(j.c.need_id == stored.id, j.c.offer_id == stored.id)))
        erased.notes += record_out_of_leads(connection, stored.id)
        nothing = {column.name: None for column in r.columns if column.nullable}
        lists: dict[str, list[str]] = {"co_institutions": [], "keywords": [], "declared_programmes": []}
        change: dict[str, Any] = {
            **nothing,
            **lists,
            "source": ERASED_SOURCE,
            "source_id": stored.id,
            "title": "",
            "abstract": "",
            "details": {},
            "personal": 0,
            "content_hash": "",
            "visibility": "private",
            "withdrawn": 1,
            "updated_at": audit.now(),
            "revision": next_revision(connection),
        }
        connection.execute(update(r).where(r.c.key == stored.key).values(change))
        self._part(connection, stored.key, actor)
        self._silence(connection, tables.audit.c.subject == stored.id)
        audit.write(connection, [Entry(actor, "erase", stored.id, {})])

    @staticmethod
    def _part(connection: Connection, key: int, actor: int) -> None:
        """Take a record out of its group of duplicates; those that it held together find their places anew."""
        d, i = tables.duplicates, tables.record_identities
        own = or_(d.c.first == key, d.c.second == key)
        pairs = connection.execute(select(d.c.first, d.c.second).where(own)).all()
        connection.execute(delete(d).where(own))
        connection.execute(delete(i).where(i.c.key == key))
        merges.regroup(connection, sorted({key, *(one for pair in pairs for one in pair)}), actor)

    @staticmethod
    def _silence(connection: Connection, condition: Any) -> int:
        """Take the details out of the audit trail; who did what when stays."""
        a = tables.audit.c
        found = [key for key, details in connection.execute(select(a.key, a.details).where(condition)) if details]
        for start in range(0, len(found), PAGE):
            part = a.key.in_(found[start : start + PAGE])
            connection.execute(update(tables.audit).where(part).values(details={}))
        return len(found)


def _each_text(record: Record, change: Callable[[str], str]) -> Record:
    """A record with its free texts changed."""
    texts = {name: text for name in (*FREE_TEXTS, "url") if (text := getattr(record, name, None))}
    changed: dict[str, Any] = {name: change(text) for name, text in texts.items()}
    return replace(record, **changed)


def _add(erased: Erased, more: Erased) -> None:
    erased.records += more.records
    erased.changed |= more.changed
    erased.uploads += more.uploads
    erased.texts |= more.texts
    for name in ("contacts", "accounts", "keys", "subscribers", "replies", "audited", "notes", "files"):
        setattr(erased, name, getattr(erased, name) + getattr(more, name))
