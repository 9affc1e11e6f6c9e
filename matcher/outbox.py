"""Mails that wait, are being sent and were sent: each step is committed before the next is taken.

    waiting ── claim ──> claimed ── handed ──> handed ── sent ──> sent
       ^                    │                    │
       └──── postpone ──────┴────────────────────┤
                                                 ├─ failed: refused for good
                                                 └─ unconfirmed: found by the next run, see `recover`, `doubt`

`skipped` is for what there was nothing left to say of. docs/mail.md tells what the states promise.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, func, select, update

from matcher import audit, tables
from matcher.database import Database
from matcher.errors import Conflict, NotFound
from matcher.refusals import Reply

State = Literal["waiting", "claimed", "handed", "sent", "failed", "skipped", "unconfirmed"]
STATES: tuple[State, ...] = get_args(State)
STATE_NAMES: Mapping[State, str] = {
    "waiting": "待发",
    "claimed": "正在发",
    "handed": "正在交给服务器",
    "sent": "已发",
    "failed": "失败",
    "skipped": "略过",
    "unconfirmed": "未确认",
}
# An operator looks at these, and may have them sent again.
TROUBLED: tuple[State, ...] = ("failed", "unconfirmed")
# Permanent refusals of an address, with no mail taken in between, after which it gets none: a full mailbox or a
# server set up wrongly may be mended by the third day. Chosen.
BOUNCE_LIMIT = 3
# The same where the server says that there is no such mailbox: twice, as a directory that is just being moved says
# so as well, but not on two days. Chosen.
GONE_LIMIT = 2
# Days for which a notification may come after its mail; servers give up after five.
NOTIFIED_WITHIN = 14
_UNCONFIRMED = "程序在交出邮件后、收到服务器答复前中断，不知是否送达；为免重复，没有再发。"
_RESTORED = "备份时还在待发，此后可能已经发出；恢复备份后为免重复，没有再发。"
_NO_MAIL = "没有编号为“{id}”的邮件。可用 matcher outbox --list 查看。"
_NOT_TROUBLED = "邮件 {id} 的状态是“{state}”，不能重发；只有失败和未确认的可以。"


@dataclass(frozen=True)
class Waiting:
    """A mail to be sent.

    :param subscriber: key of who gets it.
    :param kind: `digest`, `confirm`, …; `day` the day it belongs to, YYYY-MM-DD.
    :param attempts: how often it was begun.
    :param next_at: not before, ISO in UTC.
    """

    key: int
    id: str
    subscriber: int
    kind: str
    day: str
    attempts: int
    next_at: str
    created_at: str


@dataclass(frozen=True)
class Troubled:
    """A mail that failed or is unconfirmed, and why."""

    id: str
    kind: str
    day: str
    state: State
    message: str
    done_at: str


_COLUMNS = ("key", "id", "subscriber", "kind", "day", "attempts", "next_at", "created_at")


class Outbox:
    """The mails of one installation. Each method is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------ what there is

    def due(self, now: datetime.datetime, limit: int) -> list[Waiting]:
        """Mails whose time has come, the longest waiting first."""
        o = tables.outbox.c
        query = select(*(o[name] for name in _COLUMNS)).where(o.state == "waiting", o.next_at <= moment(now))
        with self._database.reading.connect() as connection:
            return [Waiting(*row) for row in connection.execute(query.order_by(o.next_at, o.key).limit(limit))]

    def next_due(self) -> datetime.datetime | None:
        """When the next mail's time comes; None where none waits."""
        o = tables.outbox.c
        with self._database.reading.connect() as connection:
            found = connection.execute(select(func.min(o.next_at)).where(o.state == "waiting")).scalar()
        return datetime.datetime.fromisoformat(found) if found else None

    def counts(self) -> dict[State, int]:
        """How many mails are in each state."""
        o = tables.outbox.c
        with self._database.reading.connect() as connection:
            rows = connection.execute(select(o.state, func.count()).group_by(o.state)).all()
        found = {state: count for state, count in rows}  # noqa: C416  # dict() knows nothing of the columns' types
        return {state: found.get(state, 0) for state in STATES}

    def troubled(self, limit: int) -> list[Troubled]:
        """Mails that failed or are unconfirmed, latest first."""
        o = tables.outbox.c
        query = select(o.id, o.kind, o.day, o.state, o.message, o.done_at).where(o.state.in_(TROUBLED))
        with self._database.reading.connect() as connection:
            rows = connection.execute(query.order_by(o.done_at.desc(), o.key.desc()).limit(limit)).all()
        return [Troubled(*row) for row in rows]

    # ------------------------------------------------------------ a mail's way

    def recover(self) -> list[str]:
        """What a process that died has left: to be called by the one that holds the sender's lock.

        A mail that was claimed has not been handed over, and waits again. One that was being handed over may have
        arrived: the system delivers what a dead process has written. It is not sent a second time.

        :returns: ids of the mails that became `unconfirmed`.
        """
        o = tables.outbox.c
        with self._database.writing() as connection:
            lost = list(connection.execute(select(o.id).where(o.state == "handed").order_by(o.key)).scalars())
            ended = {"state": "unconfirmed", "message": _UNCONFIRMED, "done_at": audit.now()}
            connection.execute(update(tables.outbox).where(o.state == "handed").values(ended))
            connection.execute(update(tables.outbox).where(o.state == "claimed").values(state="waiting"))
        return lost

    def doubt(self) -> int:
        """Send nothing by itself of what was to be sent: this is the outbox of an earlier day, out of a back-up.

        :returns: how many mails became `unconfirmed`.
        """
        o = tables.outbox.c
        pending = update(tables.outbox).where(o.state.in_(("waiting", "claimed", "handed")))
        with self._database.writing() as connection:
            ended = {"state": "unconfirmed", "message": _RESTORED, "done_at": audit.now()}
            return int(connection.execute(pending.values(ended)).rowcount)

    def claim(self, key: int) -> bool:
        """Take a mail before the first command for it.

        :returns: False if it is no longer there or no longer waits: then it must not be sent.
        """
        with self._database.writing() as connection:
            return _move(connection, key, ("waiting",), state="claimed", attempts=tables.outbox.c.attempts + 1)

    def handed(self, key: int) -> bool:
        """Note that the message goes to the server next, which has just said that it wants it.

        :returns: False if the mail is no longer there, as when its reader was erased: then it must not be sent.
        """
        with self._database.writing() as connection:
            return _move(connection, key, ("claimed",), state="handed")

    def sent(self, key: int) -> None:
        """The server has taken the mail.

        Refusals that were counted are forgotten, unless the mail before this one was refused: most servers take
        everything and tell hours later that nobody was there.
        """
        o, s = tables.outbox.c, tables.subscribers.c
        with self._database.writing() as connection:
            _move(connection, key, ("handed",), state="sent", message=None, done_at=audit.now())
            own = select(o.subscriber).where(o.key == key).scalar_subquery()
            query = select(s.key).where(s.key == own, s.bounces > 0)
            subscriber = connection.execute(query).scalar()
            if subscriber is None:
                return
            before = select(o.state).where(o.subscriber == subscriber, o.key < key, o.state.in_(("sent", "failed")))
            if connection.execute(before.order_by(o.key.desc()).limit(1)).scalar() != "failed":
                connection.execute(update(tables.subscribers).where(s.key == subscriber).values(bounces=0))

    def postpone(self, key: int, next_at: datetime.datetime, message: str) -> None:
        """The server has not taken the mail; it is tried again.

        :param message: why, without any address.
        """
        with self._database.writing() as connection:
            changes = {"state": "waiting", "next_at": moment(next_at), "message": message}
            _move(connection, key, ("claimed", "handed"), **changes)

    def failed(self, key: int, message: str, refusal: Reply | None = None) -> None:
        """The mail will not be taken.

        :param message: why, without any address.
        :param refusal: the server's, where it is the recipient whom it refuses; it is counted.
        """
        with self._database.writing() as connection:
            states: tuple[State, ...] = ("waiting", "claimed", "handed")
            if _move(connection, key, states, state="failed", message=message, done_at=audit.now()) and refusal:
                _count(connection, key, refusal)

    def skipped(self, key: int, reason: str) -> None:
        """There is nothing to send."""
        with self._database.writing() as connection:
            _move(connection, key, ("waiting",), state="skipped", message=reason, done_at=audit.now())

    # ------------------------------------------------------------ afterwards

    def resend(self, id_: str) -> None:
        """Let a mail that failed or is unconfirmed wait once more.

        :raises NotFound: if there is no such mail.
        :raises Conflict: if it is in another state.
        """
        o = tables.outbox.c
        with self._database.writing() as connection:
            row = connection.execute(select(o.key, o.state).where(o.id == id_)).first() if id_.isprintable() else None
            if row is None:
                raise NotFound(_NO_MAIL.format(id=id_[:40]))
            if row.state not in TROUBLED:
                raise Conflict(_NOT_TROUBLED.format(id=id_, state=STATE_NAMES[row.state]))
            now = audit.now()
            # Counted from now, or a mail that is days old would be given up at the first trouble.
            changes = {"state": "waiting", "attempts": 0, "message": None, "done_at": None}
            _move(connection, row.key, TROUBLED, **changes, next_at=now, created_at=now)

    def bounced(self, ids: Sequence[str], address: str | None, refusal: Reply, message: str) -> Troubled | None:
        """A server told afterwards that it could not deliver a mail, which it had taken.

        Each mail counts once, however often it is told.

        :param ids: that the notification names; some may be strange.
        :param address: where none of them is known, the latest mail to this address is meant.
        :param refusal: counted, where it is of the recipient.
        :returns: the mail; None if there is none, or it was told before.
        """
        o = tables.outbox.c
        since = moment(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=NOTIFIED_WITHIN))
        query = select(o.key, o.id, o.kind, o.day, o.state).where(o.done_at >= since).order_by(o.key.desc()).limit(1)
        with self._database.writing() as connection:
            row = None
            if ids:
                row = connection.execute(query.where(o.id.in_(ids))).first()
            if row is None and address:
                s = tables.subscribers.c
                own = select(s.key).where(func.lower(s.email) == address.lower()).scalar_subquery()
                row = connection.execute(query.where(o.subscriber == own)).first()
            now = audit.now()
            changes = {"state": "failed", "message": message, "done_at": now}
            if row is None or not _move(connection, row.key, ("sent", "unconfirmed"), **changes):
                return None
            if refusal.of_recipient:
                _count(connection, row.key, refusal)
            return Troubled(row.id, row.kind, row.day, "failed", message, now)


def moment(when: datetime.datetime) -> str:
    """As the store writes it: ISO in UTC, to the second, never earlier."""
    utc = when.astimezone(datetime.UTC)
    whole = utc.replace(microsecond=0)
    return (whole if whole == utc else whole + datetime.timedelta(seconds=1)).isoformat()


def _move(connection: Connection, key: int, states: Sequence[State], **values: Any) -> bool:
    """Change a mail that is in one of the states."""
    o = tables.outbox.c
    change = update(tables.outbox).where(o.key == key, o.state.in_(states)).values(**values)
    return connection.execute(change).rowcount == 1


def _count(connection: Connection, key: int, refusal: Reply) -> None:
    """One refusal more of the mail's reader; enough of them end all mail to the address."""
    s = tables.subscribers.c
    own = s.key == select(tables.outbox.c.subscriber).where(tables.outbox.c.key == key).scalar_subquery()
    connection.execute(update(tables.subscribers).where(own).values(bounces=s.bounces + 1))
    enough = s.bounces >= (GONE_LIMIT if refusal.gone else BOUNCE_LIMIT)
    end = update(tables.subscribers).where(own, enough, s.suppressed_at.is_(None))
    if connection.execute(end.values(suppressed_at=audit.now(), suppressed_for="bounced")).rowcount:
        subject = connection.execute(select(s.id).where(own)).scalar_one()
        audit.write(connection, [audit.Entry(audit.OPERATOR_ACCOUNT, "mail-suppress", subject, {"why": "bounced"})])
