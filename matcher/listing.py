"""Pages, counts and exports of records: what somebody may see, in the order it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, false, func, or_, select

from matcher import tables
from matcher.owners import OWNER_SOURCE
from matcher.records import Kind
from matcher.rows import StoredRecord
from matcher.store import ERASED_SOURCE, Store, live
from matcher.visibility import Sight, Viewer

EXPORT_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which of the records that somebody may see; what is empty does not restrict.

    :param mine: only the viewer's own, ended and withdrawn ones included.
    """

    kinds: tuple[Kind, ...] = ()
    programmes: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    mine: bool = False


class Listing:
    """Lists the records of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, viewer: Viewer, wanted: Wanted, limit: int, before: int | None = None) -> list[StoredRecord]:
        """Records as they are stored, latest first.

        :param before: the number of the last record of the page before this one.
        """
        query = self._query(select(tables.records), viewer, wanted)
        if before is not None:
            query = query.where(tables.records.c.key < before)
        return self._store.select(query.order_by(tables.records.c.key.desc()).limit(limit))

    def every(self, viewer: Viewer, wanted: Wanted) -> Iterator[StoredRecord]:
        """All of them, in the order they came."""
        after = 0
        while page := self._store.select(
            self._query(select(tables.records), viewer, wanted)
            .where(tables.records.c.key > after)
            .order_by(tables.records.c.key)
            .limit(EXPORT_PAGE)
        ):
            yield from page
            after = page[-1].key

    def facets(self, viewer: Viewer, wanted: Wanted) -> dict[str, Counter[str]]:
        """How many there are by kind, programme and province; a record with two programmes counts for both."""
        r, t = tables.records.c, tables.tags.c
        found: dict[str, Counter[str]] = {}
        with self._store.database.reading.connect() as connection:
            for name, column in (("kinds", r.kind), ("provinces", r.province)):
                query = self._query(select(column, func.count()), viewer, wanted).group_by(column)
                found[name] = Counter({value: count for value, count in connection.execute(query) if value})
            tagged = select(t.code, func.count()).join_from(tables.records, tables.tags)
            query = self._query(tagged, viewer, wanted).group_by(t.code)
            found["programmes"] = Counter({row[0]: row[1] for row in connection.execute(query)})
        return found

    def _query(self, query: Select[Any], viewer: Viewer, wanted: Wanted) -> Select[Any]:
        r = tables.records.c
        # Not institutions that are known by name only, perhaps from a need that this viewer may not see.
        query = query.where(seen(viewer.sight), r.source.not_in((OWNER_SOURCE, ERASED_SOURCE)))
        if wanted.mine:
            query = query.where(r.owner == viewer.account if viewer.account else false())
        else:
            query = query.where(*live())
        if wanted.kinds:
            query = query.where(r.kind.in_(wanted.kinds))
        if wanted.provinces:
            query = query.where(r.province.in_(wanted.provinces))
        if wanted.programmes:
            tagged = select(tables.tags.c.key).where(tables.tags.c.code.in_(wanted.programmes))
            query = query.where(r.key.in_(tagged))
        return query


def seen(sight: Sight, records: FromClause = tables.records) -> ColumnElement[bool]:
    """The condition that somebody may see a record, as `Sight.shows` decides it.

    :param records: the table of records, or an alias of it.
    """
    r = records.c
    visible: ColumnElement[bool] = r.visibility.in_(sight.visibilities)
    if sight.owner:
        visible = or_(visible, r.owner == sight.owner)
    return and_(r.kind.in_(sight.kinds), visible)
