"""Judgements that people made of matches: an intermediary says how well an offer answers a need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, or_, select, update

from matcher import tables
from matcher.audit import Entry, now, write
from matcher.database import Database
from matcher.errors import NotFound
from matcher.listing import seen
from matcher.visibility import Viewer


@dataclass(frozen=True)
class Judgement:
    """One person's judgement of one pair.

    :param key: rises with every new pair that somebody judges.
    :param level: 4 to 1, see `matcher.rank.LEVEL_NAMES`.
    """

    key: int
    need_id: str
    offer_id: str
    level: int
    at: str


class JudgementBook:
    """The judgements in one database; whoever asks has made sure that both records may be seen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, account: int, need_id: str, offer_id: str, level: int) -> Judgement:
        """Write a judgement down, in place of the account's earlier one of the same pair."""
        j = tables.judgements.c
        pair = (j.account == account, j.need_id == need_id, j.offer_id == offer_id)
        with self._database.writing() as connection:
            put_judgement(connection, account, need_id, offer_id, level)
            found = connection.execute(select(j.key, j.need_id, j.offer_id, j.level, j.at).where(*pair)).one()
        return Judgement(*found)

    def page(self, viewer: Viewer, limit: int, before: int | None = None) -> list[Judgement]:
        """An account's judgements of what it may still see, latest first.

        :param before: the number of the last one of the page before this one.
        """
        j = tables.judgements.c
        query = _still_seen(select(j.key, j.need_id, j.offer_id, j.level, j.at), viewer)
        if before is not None:
            query = query.where(j.key < before)
        with self._database.reading.connect() as connection:
            return [Judgement(*row) for row in connection.execute(query.order_by(j.key.desc()).limit(limit))]

    def count(self, viewer: Viewer) -> int:
        """How many judgements `page` gives in all."""
        query = _still_seen(select(func.count()), viewer)
        with self._database.reading.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def withdraw(self, account: int, need_id: str, offer_id: str) -> None:
        """Take an account's judgement back.

        :raises NotFound: if it has made none of this pair.
        """
        j = tables.judgements.c
        with self._database.writing() as connection:
            change = delete(tables.judgements).where(j.account == account, j.need_id == need_id, j.offer_id == offer_id)
            if not connection.execute(change).rowcount:
                raise NotFound("您没有标注过这一对需求和成果。")
            write(connection, [Entry(account, "judge-withdraw", need_id, {"offer": offer_id})])

    def agreed(self) -> Mapping[tuple[str, str], int]:
        """(need, offer) to the level in the middle of all judgements of the pair, the lower of two."""
        j = tables.judgements.c
        levels: dict[tuple[str, str], list[int]] = {}
        with self._database.reading.connect() as connection:
            for need, offer, level in connection.execute(select(j.need_id, j.offer_id, j.level).order_by(j.key)):
                levels.setdefault((need, offer), []).append(level)
        return {pair: median_low(given) for pair, given in levels.items()}


def put_judgement(connection: Connection, account: int, need_id: str, offer_id: str, level: int) -> None:
    """Write a judgement down in the transaction of what it follows from; see `JudgementBook.put`."""
    j = tables.judgements.c
    pair = (j.account == account, j.need_id == need_id, j.offer_id == offer_id)
    row = {"account": account, "need_id": need_id, "offer_id": offer_id, "level": level, "at": now()}
    if not connection.execute(update(tables.judgements).where(*pair).values(row)).rowcount:
        connection.execute(insert(tables.judgements).values(row))
    write(connection, [Entry(account, "judge", need_id, {"offer": offer_id, "level": level})])


def _still_seen(query: Select[Any], viewer: Viewer) -> Select[Any]:
    """Those of an account's judgements whose records have not been withdrawn or hidden from it since."""
    j = tables.judgements.c
    query = query.select_from(tables.judgements).where(j.account == viewer.account)
    for id_ in (j.need_id, j.offer_id):
        r = tables.records.alias()
        query = query.join(r, r.c.id == id_).where(
            seen(viewer.sight, r), or_(r.c.withdrawn == 0, r.c.owner == viewer.account)
        )
    return query
