"""What an address is asked before it gets mail, and its answer (double opt-in)."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Collection

from sqlalchemy import Connection, insert, select, update

from matcher import tables
from matcher.audit import OPERATOR_ACCOUNT, Entry, now, write
from matcher.life import CHINA
from matcher.subscribers import Subscriber, Subscription

# Days in which an address may say yes; then it is forgotten.
CONFIRM_DAYS = 7
# Of one account, asked for and not answered: nobody may write to strangers by way of this platform.
UNCONFIRMED_LIMIT = 20


def earliest() -> str:
    """When a question may have been asked, at the earliest, that can still be answered."""
    moment = datetime.datetime.fromisoformat(now()) - datetime.timedelta(days=CONFIRM_DAYS)
    return moment.isoformat(timespec="seconds")


def is_open(subscription: Subscription) -> bool:
    """Whether the address may still say yes."""
    unanswered = subscription.confirmed_at is None and subscription.ended_at is None
    return unanswered and subscription.created_at >= earliest()


def ask(connection: Connection, subscriber: Subscriber, id_: str, moment: str) -> None:
    """Put the question whether it wants this subscription into the outbox, unless the address wants no mail.

    A mail that still waits there will ask about everything; one that is on its way, or was sent today, does not
    tell of this subscription, and the next one goes out tomorrow.
    """
    s, o = tables.subscriptions.c, tables.outbox.c
    # Asked anew, there is time anew.
    connection.execute(update(tables.subscriptions).where(s.id == id_).values(created_at=moment))
    query = select(o.day, o.state).where(o.subscriber == subscriber.key, o.kind == "confirm")
    states = {row.day: row.state for row in connection.execute(query)}
    if subscriber.suppressed_at is not None or "waiting" in states.values():
        return
    today = day = datetime.datetime.now(CHINA).date()
    while day.isoformat() in states:
        day += datetime.timedelta(days=1)
    midnight = datetime.datetime.combine(day, datetime.time(), CHINA).astimezone(datetime.UTC)
    row = {
        "id": f"mail-{secrets.token_hex(8)}",
        "subscriber": subscriber.key,
        "kind": "confirm",
        "day": day.isoformat(),
        "state": "waiting",
        "next_at": moment if day == today else midnight.isoformat(timespec="seconds"),
        "created_at": moment,
    }
    connection.execute(insert(tables.outbox).values(row))


def confirm(connection: Connection, subscriber: Subscriber, ids: Collection[str], moment: str, how: str) -> None:
    """Write down that an address wants subscriptions.

    :param how: `mail` for an answer to the question, `elsewhere`, or `before` where the account had a yes already.
    """
    s = tables.subscriptions.c
    for id_ in ids:
        change = update(tables.subscriptions).where(s.id == id_, s.confirmed_at.is_(None)).values(confirmed_at=moment)
        if connection.execute(change).rowcount:
            details = {"subscriber": subscriber.id, "consent": how}
            write(connection, [Entry(OPERATOR_ACCOUNT, "subscription-confirm", id_, details)])
