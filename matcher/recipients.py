"""What is held about people who receive mail: a copy of it, its erasure, an end to keeping it.

A person is known here by the address alone. A bare name is not enough: 王 may be anybody's wang@…. What the
cache of vectors may know of texts that go is added to `texts`, for whoever empties it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, exists, select, update

from matcher import tables
from matcher.audit import Entry, write
from matcher.database import batches
from matcher.forgotten import ENDING, remember
from matcher.needle import Needle
from matcher.normal import normalize
from matcher.records import embedded_text

# Secret, or numbers of rows.
_LEFT_OUT = frozenset({"key", "token", "subscriber", "subscription"})


def of_person(connection: Connection, needle: Needle) -> list[dict[str, Any]]:
    """Subscribers whose address names the person: what they follow, which mails they got, what was in them."""
    return [_held(connection, row) for row in _named(connection, needle)]


def of_account(connection: Connection, account: int) -> list[dict[str, Any]]:
    """The subscriptions that an account set up, with the addresses that it gave."""
    s, p = tables.subscriptions.c, tables.subscribers.c
    query = select(tables.subscriptions, p.email).join_from(tables.subscriptions, tables.subscribers)
    rows = connection.execute(query.where(s.account == account).order_by(s.key))
    return [_plain(row) | {"email": row.email.lower()} for row in rows]


def speaking_of(connection: Connection, needle: Needle) -> list[dict[str, Any]]:
    """Subscriptions whose texts speak of the person, whoever reads them."""
    return [_plain(row) for row in _speaking(connection, needle)]


def erase_person(connection: Connection, needle: Needle, actor: int, texts: set[str]) -> int:
    """Forget subscribers whose address names the person, with all that hangs on them, and what texts say of him.

    The addresses get no mail again, whoever brings them back; see `matcher.forgotten`.

    :returns: how many subscribers that were.
    """
    t = tables.subscriptions
    for row in _speaking(connection, needle):
        texts |= _embedded(row.title, row.text)
        without = {name: needle.without(getattr(row, name)) for name in ("title", "text")}
        connection.execute(update(t).where(t.c.key == row.key).values(without))
        write(connection, [Entry(actor, "erase-person", row.id, {})])
    found = _named(connection, needle)
    keys = [row.key for row in found]
    for part in batches(keys):
        _end(connection, t.c.subscriber.in_(part), texts)
    _forget(connection, keys)
    for row in found:
        remember(connection, row.email)
    write(connection, [Entry(actor, "erase-subscriber", row.id, {}) for row in found])
    return len(found)


def erase_account(connection: Connection, account: int, texts: set[str]) -> int:
    """Forget what an account set up, and the addresses that nothing else is known of.

    :returns: how many subscribers that were.
    """
    return forget_idle(connection, _end(connection, tables.subscriptions.c.account == account, texts))


def erase_old(connection: Connection, before: str, texts: set[str]) -> int:
    """Forget mails that were done with, and subscriptions that ended, before a moment.

    :returns: how many subscribers went with them.
    """
    connection.execute(delete(tables.outbox).where(tables.outbox.c.done_at < before))
    return forget_idle(connection, _end(connection, tables.subscriptions.c.ended_at < before, texts))


def forget_idle(connection: Connection, subscribers: Sequence[int]) -> int:
    """Forget those of these subscribers that follow nothing and have not said that they want no mail.

    :returns: how many that were.
    """
    s, p = tables.subscriptions.c, tables.subscribers.c
    idle = (p.suppressed_at.is_(None), ~exists().where(s.subscriber == p.key))
    found: list[int] = []
    for part in batches(subscribers):
        found += connection.scalars(select(p.key).where(p.key.in_(part), *idle))
    _forget(connection, found)
    return len(found)


def _end(connection: Connection, condition: Any, texts: set[str]) -> list[int]:
    """Delete subscriptions; whose they were."""
    t = tables.subscriptions
    gone = connection.execute(select(t.c.subscriber, t.c.title, t.c.text).where(condition)).all()
    connection.execute(delete(t).where(condition))
    for row in gone:
        texts |= _embedded(row.title, row.text)
    return sorted({row.subscriber for row in gone})


def _embedded(title: str, text: str) -> set[str]:
    """What of a question is embedded, see `matcher.features.ask_many`."""
    title, text = normalize(title), normalize(text)
    return {title, text, embedded_text(title, text)} - {""}


def _forget(connection: Connection, subscribers: Sequence[int]) -> None:
    """With subscriptions, mails, and what was mailed."""
    for part in batches(subscribers):
        connection.execute(delete(tables.subscribers).where(tables.subscribers.c.key.in_(part)))


def _named(connection: Connection, needle: Needle) -> list[Any]:
    if needle.is_name:
        return []
    rows = connection.execute(select(tables.subscribers).order_by(tables.subscribers.c.key))
    return [row for row in rows if not row.email.endswith(ENDING) and needle.names(row.email)]


def _speaking(connection: Connection, needle: Needle) -> list[Any]:
    t = tables.subscriptions
    rows = connection.execute(select(t.c.key, t.c.id, t.c.title, t.c.text).where(t.c.follows == "text"))
    return [row for row in rows if any(map(needle.stands_in, (row.title, row.text)))]


def _held(connection: Connection, person: Any) -> dict[str, Any]:
    s, o, m = tables.subscriptions, tables.outbox, tables.mailed
    subscriptions = connection.execute(select(s).where(s.c.subscriber == person.key).order_by(s.c.key)).all()
    mails = connection.execute(select(o).where(o.c.subscriber == person.key).order_by(o.c.key))
    return {
        **_plain(person),
        "subscriptions": [
            {
                **_plain(row),
                "mailed": [_plain(one) for one in connection.execute(select(m).where(m.c.subscription == row.key))],
            }
            for row in subscriptions
        ],
        "mails": [_plain(row) for row in mails],
    }


def _plain(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name not in _LEFT_OUT}
