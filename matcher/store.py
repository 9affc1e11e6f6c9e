"""The record of truth: records, contacts, tags. SQLite by default, PostgreSQL by its address."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from matcher import audit, merges, tables
from matcher.database import ID_BATCH, Database, batches, next_revision
from matcher.errors import Conflict, DiskFull, NotFound, SettingError
from matcher.faults import is_full, system_error
from matcher.life import today
from matcher.owners import OWNER_SOURCE, find_owners, save_names
from matcher.records import Institution, Kind, Record, Visibility
from matcher.rows import AUDITED_COLUMNS, StoredRecord, from_row, to_row

Outcome = Literal["added", "updated", "unchanged"]

SCHEMA_VERSION = "0004"
# The source of what is left of an erased record: an empty row, from which indexes learn that it is gone.
ERASED_SOURCE = "erased"


class Store:
    """Opens, migrates and queries one database; safe for several threads and processes.

    :ivar database: for what keeps its own tables beside the records.
    """

    def __init__(self, url: str) -> None:
        """:raises SettingError: if the address cannot be used; StoreUnavailable: if the database cannot."""
        try:
            with ExitStack() as on_failure:
                self.database = Database(url)
                on_failure.callback(self.database.close)
                self._engine = self.database.reading
                self._migrate()
                on_failure.pop_all()
        except (SQLAlchemyError, OSError) as error:
            if isinstance(error, OSError) and is_full(error):
                raise DiskFull(system_error(error)) from error
            raise SettingError(f"数据库地址 MATCHER_DATABASE_URL 不可用：{error}。请改正后重试。") from error

    def close(self) -> None:
        """Give the connections back."""
        self.database.close()

    def exclusive(self, name: str, wait: float) -> AbstractContextManager[None]:
        """A lock that all processes share which use this PostgreSQL database; see `Database.exclusive`.

        :param wait: seconds to wait for another process.
        :raises Busy: on entering, if the other process does not finish in time.
        """
        return self.database.exclusive(name, wait)

    def upsert(
        self,
        items: Sequence[tuple[Record, str | None]],
        owner: int = 0,
        actor: int | None = None,
        seen: Mapping[str, int] | None = None,
    ) -> list[Outcome]:
        """Write records with their contacts in one transaction; unchanged ones cost a look-up.

        Owners that are not known yet become institutions of their own. A record given twice counts
        by its last version. A record stays with the account that brought it.

        :param owner: the account that brings the records; 0 for the operator, who may write anybody's.
        :param actor: for the audit trail; the owner by default.
        :param seen: id to the revision that the caller has last seen, for records that must not have changed since.
        :returns: what became of each item, in order.
        :raises NotFound: if one of the records is another account's.
        :raises Conflict: if one of them has another revision than `seen` says.
        """
        wanted = {record.id: (record, contact) for record, contact in items}
        with self._write() as connection:
            owners = find_owners(connection, [record for record, _ in wanted.values()])
            known = self._known(connection, [*wanted, *owners.unknown])
            stubs = {id_: (owner, None) for id_, owner in owners.unknown.items() if id_ not in known}
            outcomes: dict[str, Outcome] = {}
            fresh: list[dict[str, Any]] = []
            changed: list[dict[str, Any]] = []
            for id_, (record, contact) in (stubs | wanted).items():
                row = to_row(record, contact, owners.ids)
                own = known[id_].owner if id_ in known else (owner if id_ in wanted else 0)
                if owner and own != owner and id_ in wanted:
                    raise NotFound(no_record(id_))
                if seen and id_ in seen and id_ in known:
                    require_revision(known[id_].revision, seen[id_])
                row["owner"] = own
                if id_ not in known:
                    outcomes[id_] = "added"
                    fresh.append(row)
                elif known[id_].content_hash == row["content_hash"] and not known[id_].withdrawn:
                    outcomes[id_] = "unchanged"
                else:
                    # So far only a name under somebody's offer: to the user it is new.
                    outcomes[id_] = "added" if known[id_].source == OWNER_SOURCE else "updated"
                    changed.append(row)
            if fresh or changed:
                entries = self._audited(connection, fresh, changed, owner if actor is None else actor)
                self._save(connection, fresh, changed)
                audit.write(connection, entries)
                self._save_contacts(connection, {i: c for i, (_, c) in wanted.items() if outcomes[i] != "unchanged"})
                save_names(connection, [r for r, _ in (stubs | wanted).values() if isinstance(r, Institution)])
                merges.after_write(connection, [row["id"] for row in fresh + changed])
        told: set[str] = set()
        result: list[Outcome] = []
        for record, _ in items:
            result.append("unchanged" if record.id in told else outcomes[record.id])
            told.add(record.id)
        return result

    def withdraw(self, id_: str, actor: int = audit.OPERATOR_ACCOUNT, revision: int | None = None) -> None:
        """Take a record out of all matches; its history stays.

        :param actor: for the audit trail.
        :param revision: the record's, as the caller has last seen it; None if that does not matter.
        :raises NotFound: if there is no such record, or it is withdrawn already.
        :raises Conflict: if the record has another revision.
        """
        with self._write() as connection:
            known = self._known(connection, [id_]).get(id_) if _can_be_stored(id_) else None
            if known is None or known.withdrawn:
                raise NotFound(no_record(id_))
            require_revision(known.revision, revision)
            change = update(tables.records).where(tables.records.c.id == id_)
            changed = {"withdrawn": 1, "updated_at": audit.now(), "revision": next_revision(connection)}
            connection.execute(change.values(changed))
            audit.write(connection, [audit.Entry(actor, "withdraw", id_, {})])
            merges.after_withdrawal(connection, id_, actor)

    def save_tags(self, tags: Mapping[int, Mapping[str, float]]) -> None:
        """Replace the tags of records, given by key."""
        if not tags:
            return
        with self._write() as connection:
            for part in batches(list(tags)):
                connection.execute(delete(tables.tags).where(tables.tags.c.key.in_(part)))
            rows = [
                {"key": key, "code": code, "score": score} for key, own in tags.items() for code, score in own.items()
            ]
            if rows:
                connection.execute(insert(tables.tags), rows)

    def by_key(self, keys: Sequence[int]) -> dict[int, StoredRecord]:
        """Records by the index's numbers; unknown numbers are left out."""
        found: dict[int, StoredRecord] = {}
        with self._engine.connect() as connection:
            for part in batches(list(keys)):
                query = select(tables.records).where(tables.records.c.key.in_(part))
                found.update((stored.key, stored) for stored in self._stored(connection, query))
        return found

    def by_id(self, ids: Sequence[str]) -> dict[str, StoredRecord]:
        """Records by public id; unknown ids, and those of erased records, are left out."""
        found: dict[str, StoredRecord] = {}
        r = tables.records.c
        with self._engine.connect() as connection:
            for part in batches([id_ for id_ in ids if _can_be_stored(id_)]):
                query = select(tables.records).where(r.id.in_(part), r.source != ERASED_SOURCE)
                found.update((stored.id, stored) for stored in self._stored(connection, query))
        return found

    def keys(self, kinds: Sequence[Kind], visibilities: Sequence[Visibility]) -> list[int]:
        """The index's numbers of all records of these sorts that are not withdrawn, ascending."""
        r = tables.records.c
        query = select(r.key).where(r.kind.in_(kinds), r.visibility.in_(visibilities), *live())
        with self._engine.connect() as connection:
            return list(connection.execute(query.order_by(r.key)).scalars())

    def standing(self, keys: Sequence[int], visibilities: Sequence[Visibility]) -> dict[int, str | None]:
        """Owners of those of these records that are not withdrawn and have one of the visibilities."""
        r = tables.records.c
        found: dict[int, str | None] = {}
        with self._engine.connect() as connection:
            for part in batches(keys):
                query = select(r.key, r.institution_id).where(r.key.in_(part), r.visibility.in_(visibilities), *live())
                found.update((key, owner) for key, owner in connection.execute(query))
        return found

    def texts(self, keys: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Titles and abstracts by the index's numbers."""
        r = tables.records.c
        found: dict[int, tuple[str, str]] = {}
        with self._engine.connect() as connection:
            for part in batches(keys):
                query = select(r.key, r.title, r.abstract).where(r.key.in_(part))
                found.update((key, (title, abstract)) for key, title, abstract in connection.execute(query))
        return found

    def select(self, query: Any) -> list[StoredRecord]:
        """Records by a query over all columns of `matcher.tables.records`."""
        with self._engine.connect() as connection:
            return self._stored(connection, query)

    def contact(self, id_: str) -> str | None:
        """The contact of a record, for its owner's eyes."""
        query = select(tables.contacts.c.contact).join_from(tables.contacts, tables.records)
        with self._engine.connect() as connection:
            contact: str | None = connection.execute(query.where(tables.records.c.id == id_)).scalar()
            return contact

    def changes(self, after: int, limit: int) -> list[StoredRecord]:
        """Records changed after a revision, oldest change first, withdrawn ones included."""
        query = select(tables.records).where(tables.records.c.revision > after).order_by(tables.records.c.revision)
        with self._engine.connect() as connection:
            return self._stored(connection, query.limit(limit))

    def count_changes(self, after: int) -> int:
        """How many records changed after a revision."""
        query = select(func.count()).where(tables.records.c.revision > after)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def records(self, kind: Kind | None = None) -> Iterator[StoredRecord]:
        """All records that are not withdrawn, in the order they came."""
        after = 0
        while True:
            query = select(tables.records).where(tables.records.c.key > after, tables.records.c.withdrawn == 0)
            if kind:
                query = query.where(tables.records.c.kind == kind)
            with self._engine.connect() as connection:
                page = self._stored(connection, query.order_by(tables.records.c.key).limit(ID_BATCH))
            if not page:
                return
            yield from page
            after = page[-1].key

    def revision(self) -> int:
        """The latest change's number; 0 while empty."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.max(tables.records.c.revision))).scalar() or 0

    def counts(self) -> Counter[str]:
        """Records by kind, withdrawn ones and those that another stands for left out."""
        r = tables.records.c
        query = select(r.kind, func.count()).where(r.withdrawn == 0, r.merged_into.is_(None))
        with self._engine.connect() as connection:
            rows = connection.execute(query.group_by(r.kind)).all()
        return Counter({row[0]: row[1] for row in rows})

    def programme_counts(self) -> dict[str, Counter[str]]:
        """Tagged records by kind and programme, withdrawn ones and those that another stands for left out."""
        r, t = tables.records.c, tables.tags.c
        query = select(r.kind, t.code, func.count()).join_from(tables.records, tables.tags)
        query = query.where(r.withdrawn == 0, r.merged_into.is_(None))
        result: dict[str, Counter[str]] = {}
        with self._engine.connect() as connection:
            for kind, code, count in connection.execute(query.group_by(r.kind, t.code)):
                result.setdefault(kind, Counter())[code] = count
        return result

    def _migrate(self) -> None:
        if self.version() == SCHEMA_VERSION:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", "matcher:migrations")
        try:
            with self.database.migrating() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise SettingError(f"数据库是由另一版本的程序建立的（{error}）。请升级程序后重试。") from error

    def version(self) -> str | None:
        """The tables' version; None where there are none."""
        try:
            with self._engine.connect() as connection:
                version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
                return version
        except SQLAlchemyError:
            return None

    def _write(self) -> AbstractContextManager[Connection]:
        return self.database.writing()

    @staticmethod
    def _known(connection: Connection, ids: Sequence[str]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        r = tables.records.c
        for part in batches(ids):
            query = select(r.id, r.content_hash, r.withdrawn, r.source, r.owner, r.revision)
            rows = connection.execute(query.where(r.id.in_(part)))
            known |= {row.id: row for row in rows}
        return known

    def _save(self, connection: Connection, fresh: list[dict[str, Any]], changed: list[dict[str, Any]]) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        # One number a record, so that `changes` can be read in pages of any size.
        rows = fresh + changed
        revision = next_revision(connection, len(rows))
        for offset, row in enumerate(rows):
            row.update(revision=revision + offset, updated_at=now, withdrawn=0)
        if fresh:
            connection.execute(insert(tables.records), [row | {"created_at": now} for row in fresh])
        if changed:
            # All at once: over a network each statement of its own would be a round trip.
            change = update(tables.records).where(tables.records.c.id == bindparam("changed_id"))
            connection.execute(change, [row | {"changed_id": row["id"]} for row in changed])

    @staticmethod
    def _audited(
        connection: Connection, fresh: Sequence[Mapping[str, Any]], changed: Sequence[Mapping[str, Any]], actor: int
    ) -> list[audit.Entry]:
        """What the audit trail says of a write that is about to happen."""
        entries = [audit.Entry(actor, "add", row["id"], {"source": row["source"]}) for row in fresh]
        before: dict[str, Any] = {}
        for part in batches([row["id"] for row in changed]):
            query = select(tables.records).where(tables.records.c.id.in_(part))
            before |= {old.id: old._mapping for old in connection.execute(query)}
        for row in changed:
            old = before[row["id"]]
            names = [name for name in AUDITED_COLUMNS if row.get(name) != old[name]]
            # The contact is none of the columns, and may be all that changed.
            details = {"fields": names or ["contact"], "restored": bool(old["withdrawn"])}
            entries.append(audit.Entry(actor, "update", row["id"], details))
        return entries

    @staticmethod
    def _save_contacts(connection: Connection, wanted: Mapping[str, str | None]) -> None:
        keys: dict[str, int] = {}
        for part in batches(list(wanted)):
            query = select(tables.records.c.id, tables.records.c.key).where(tables.records.c.id.in_(part))
            keys.update((id_, key) for id_, key in connection.execute(query))
        for batch in batches(list(keys.values())):
            connection.execute(delete(tables.contacts).where(tables.contacts.c.key.in_(batch)))
        rows = [{"key": keys[id_], "contact": contact} for id_, contact in wanted.items() if contact]
        if rows:
            connection.execute(insert(tables.contacts), rows)

    @staticmethod
    def _stored(connection: Connection, query: Any) -> list[StoredRecord]:
        rows = connection.execute(query).all()
        tags: dict[int, dict[str, float]] = {}
        for part in batches([row.key for row in rows]):
            columns = tables.tags.c
            for key, code, score in connection.execute(
                select(columns.key, columns.code, columns.score).where(columns.key.in_(part))
            ):
                tags.setdefault(key, {})[code] = score
        return [from_row(row, tags.get(row.key, {})) for row in rows]


def live() -> tuple[Any, ...]:
    """The conditions that a record takes part in matches today."""
    r = tables.records.c
    return r.withdrawn == 0, r.merged_into.is_(None), r.ends >= today()


def no_record(id_: str) -> str:
    """The one sentence for a record that there is not, and for one that the caller may not know of."""
    return f"没有编号为“{id_[:40]}”的记录，或该记录不对您公开。"


def require_revision(current: int, seen: int | None) -> None:
    """Refuse to change what somebody else has changed since.

    :raises Conflict: if the record has moved on.
    """
    if seen is not None and current != seen:
        raise Conflict("该记录刚被修改过，您看到的不是最新内容。请重新读取后再改。")


def _can_be_stored(id_: str) -> bool:
    """Databases fail, instead of finding nothing, when asked for NUL or half a surrogate pair."""
    return id_.isprintable()
