"""Digests (匹配简报) in the store: who is due, what was told before, and what a mail is to hold.

A person's matches, the mail that will tell of them and how far his subscriptions have come are written in one
transaction: killed before it, the next run finds the same again; killed after it, the mail is there to be sent.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, or_, select, update

from matcher import tables
from matcher.audit import now
from matcher.database import Database, batches
from matcher.subscribers import Subscriber, Subscription
from matcher.subscriptions import to_subscriber, to_subscription

# Days between two digests of a weekly subscription.
WEEK = 7
# Stands for a level in what everybody is told, not because of a match.
NEWS = 0


@dataclass(frozen=True)
class Item:
    """A pair that a digest holds.

    :param asking_id: the record that asked, where a subscription follows several; empty otherwise.
    :param level: 4 to 2, or `NEWS`; `level_before` what was told earlier, where it has risen.
    :param why: `terms` that both sides share, the `passage` shown and the `revision` of the record it is from.
    """

    subscription: int
    asking_id: str
    record_id: str
    level: int
    level_before: int | None
    score: float
    why: Mapping[str, Any]

    @property
    def pair(self) -> tuple[int, str, str]:
        """What it is about."""
        return self.subscription, self.asking_id, self.record_id


@dataclass(frozen=True)
class Plan:
    """What a night brings one person.

    :param due: his subscriptions that were looked at; `items` what they brought, none for no mail.
    :param omitted: for subscriptions by id, how many more pairs there were than a mail has room for.
    """

    subscriber: Subscriber
    due: tuple[Subscription, ...]
    items: tuple[Item, ...]
    omitted: Mapping[str, int] = field(default_factory=dict)


class DigestBook:
    """The digests in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_due(self, day: str) -> int:
        """How many people `due` gives in all."""
        people = _due_people(select(tables.subscribers.c.key), day).subquery()
        with self._database.reading.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(people)).scalar_one())

    def due(self, day: str, after: int, limit: int) -> list[tuple[Subscriber, tuple[Subscription, ...]]]:
        """People who may get a digest on this day and have none yet, with their subscriptions that are due.

        :param day: YYYY-MM-DD.
        :param after: the number of the last one of the page before this one.
        """
        p, s = tables.subscribers.c, tables.subscriptions.c
        with self._database.reading.connect() as connection:
            people = _due_people(select(tables.subscribers), day).where(p.key > after).order_by(p.key).limit(limit)
            found = {row.key: to_subscriber(row) for row in connection.execute(people)}
            owned: dict[int, list[Subscription]] = {key: [] for key in found}
            for part in batches(list(found)):
                rows = select(tables.subscriptions).where(s.subscriber.in_(part), *_is_due(day)).order_by(s.key)
                for row in connection.execute(rows):
                    owned[row.subscriber].append(to_subscription(row))
        return [(person, tuple(owned[key])) for key, person in found.items()]

    def told(self, subscriptions: Sequence[Subscription]) -> dict[tuple[int, str, str], int]:
        """Of each pair that a digest of these subscriptions has held, the highest level."""
        m = tables.mailed.c
        found: dict[tuple[int, str, str], int] = {}
        with self._database.reading.connect() as connection:
            for part in batches([one.key for one in subscriptions]):
                query = select(m.subscription, m.asking_id, m.record_id, m.level).where(m.subscription.in_(part))
                found |= {(row[0], row[1], row[2]): row[3] for row in connection.execute(query)}
        return found

    def save(self, plans: Sequence[Plan], day: str, revision: int, matched_with: str) -> int:
        """Write down what a night brings some people, all of it or nothing.

        A mail of an earlier day that could not be sent yet becomes part of this one: a person gets one a day.

        :param revision: of the store, up to which records were looked at.
        :returns: how many digests there are to send.
        """
        with self._database.writing() as connection:
            still = self._still_due(connection, [plan.subscriber.key for plan in plans], day)
            kept = [plan for plan in plans if plan.subscriber.key in still]
            waiting = _take_waiting(connection, still, day)
            mails = [(plan, _together(waiting.get(plan.subscriber.key, ()), plan.items)) for plan in kept]
            mails = [(plan, items) for plan, items in mails if items]
            _write(connection, mails, day)
            _remember(connection, [item for plan in kept for item in plan.items])
            values = {"matched_revision": revision, "matched_with": matched_with, "matched_on": day}
            for part in batches([one.key for plan in kept for one in plan.due]):
                change = update(tables.subscriptions).where(tables.subscriptions.c.key.in_(part))
                connection.execute(change.values(values))
        return len(mails)

    @staticmethod
    def _still_due(connection: Connection, people: Sequence[int], day: str) -> set[int]:
        """Those who have not unsubscribed while they were matched."""
        still: set[int] = set()
        for part in batches(people):
            query = _due_people(select(tables.subscribers.c.key), day).where(tables.subscribers.c.key.in_(part))
            still |= set(connection.execute(query).scalars())
        return still

    def read(self, outbox: int) -> tuple[Plan, str] | None:
        """A digest to be sent, and its day; None if the person or the mail is gone.

        Of subscriptions that ended meanwhile nothing is left in it.
        """
        o, i, s = tables.outbox.c, tables.outbox_items.c, tables.subscriptions.c
        with self._database.reading.connect() as connection:
            mail = connection.execute(select(tables.outbox).where(o.key == outbox)).one_or_none()
            if mail is None:
                return None
            whose = select(tables.subscribers).where(tables.subscribers.c.key == mail.subscriber)
            person = connection.execute(whose).one()
            active = (s.confirmed_at.is_not(None), s.ended_at.is_(None))
            held = (
                select(tables.outbox_items)
                .join(tables.subscriptions, s.key == i.subscription)
                .where(i.outbox == outbox, *active)
            )
            ordered = held.order_by(i.subscription, i.level.desc(), i.score.desc(), i.asking_id, i.record_id)
            items = tuple(_item(row) for row in connection.execute(ordered))
            wanted = sorted({item.subscription for item in items})
            rows = select(tables.subscriptions).where(s.key.in_(wanted)).order_by(s.key)
            due = tuple(to_subscription(row) for row in connection.execute(rows))
        return Plan(to_subscriber(person), due, items, mail.omitted or {}), mail.day


def _due_people(query: Any, day: str) -> Any:
    p, s, o = tables.subscribers.c, tables.subscriptions.c, tables.outbox.c
    has_due = exists().where(s.subscriber == p.key, *_is_due(day))
    # Whatever became of it: one a day.
    has_mail = exists().where(o.subscriber == p.key, o.kind == "digest", o.day == day)
    return query.where(p.suppressed_at.is_(None), has_due, ~has_mail)


def _is_due(day: str) -> tuple[Any, ...]:
    s = tables.subscriptions.c
    week_ago = (datetime.date.fromisoformat(day) - datetime.timedelta(days=WEEK)).isoformat()
    # On its own day once more: a run that failed half-way is run again.
    weekly = or_(s.matched_on.is_(None), s.matched_on == day, s.matched_on <= week_ago)
    return s.confirmed_at.is_not(None), s.ended_at.is_(None), or_(s.frequency == "daily", weekly)


def _take_waiting(connection: Connection, people: Iterable[int], day: str) -> dict[int, list[Item]]:
    """By person the pairs of digests of other days that are still to be sent; these digests are removed."""
    o, i = tables.outbox.c, tables.outbox_items.c
    taken: dict[int, list[Item]] = {}
    for part in batches(sorted(people)):
        unsent = (o.subscriber.in_(part), o.kind == "digest", o.state == "waiting", o.day != day)
        whose = {row.key: row.subscriber for row in connection.execute(select(o.key, o.subscriber).where(*unsent))}
        for keys in batches(list(whose)):
            for row in connection.execute(select(tables.outbox_items).where(i.outbox.in_(keys))):
                taken.setdefault(whose[row.outbox], []).append(_item(row))
            connection.execute(delete(tables.outbox).where(o.key.in_(keys)))
    return taken


def _together(waiting: Iterable[Item], found: Iterable[Item]) -> list[Item]:
    """What was not sent yet and what is new; a pair that is both has not been told of before."""
    items = {item.pair: item for item in waiting}
    for item in found:
        before = items[item.pair].level_before if item.pair in items else item.level_before
        items[item.pair] = Item(**{**vars(item), "level_before": before})
    return list(items.values())


def _write(connection: Connection, mails: Sequence[tuple[Plan, Sequence[Item]]], day: str) -> None:
    if not mails:
        return
    moment = now()
    fixed = {"kind": "digest", "day": day, "state": "waiting", "next_at": moment, "created_at": moment}
    named = {f"mail-{secrets.token_hex(8)}": mail for mail in mails}
    rows = [
        {"id": id_, "subscriber": plan.subscriber.key, "omitted": dict(plan.omitted), **fixed}
        for id_, (plan, _) in named.items()
    ]
    connection.execute(insert(tables.outbox), rows)
    o = tables.outbox.c
    for part in batches(list(named)):
        keys = connection.execute(select(o.key, o.id).where(o.id.in_(part))).all()
        items = [{"outbox": key, **vars(item)} for key, id_ in keys for item in named[id_][1]]
        connection.execute(insert(tables.outbox_items), items)


def _remember(connection: Connection, items: Sequence[Item]) -> None:
    m = tables.mailed.c
    fresh = []
    for item in items:
        if item.level == NEWS:
            continue
        row = dict(zip(("subscription", "asking_id", "record_id"), item.pair, strict=True))
        same = [m[name] == value for name, value in row.items()]
        # What was told before may have been told of a record that this one stands for now.
        known = item.level_before and connection.execute(update(tables.mailed).where(*same).values(level=item.level))
        if not (known and known.rowcount):
            fresh.append(row | {"level": item.level})
    if fresh:
        connection.execute(insert(tables.mailed), fresh)


def _item(row: Row[Any]) -> Item:
    return Item(row.subscription, row.asking_id, row.record_id, row.level, row.level_before, row.score, row.why)
