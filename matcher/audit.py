"""The audit trail: who changed what, when. It names the fields that changed, never what they held."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from matcher import tables
from matcher.database import Database

# The account that stands for the operator at the command line.
OPERATOR_ACCOUNT = 0


@dataclass(frozen=True)
class Entry:
    """One change.

    :param account: who made it; `OPERATOR_ACCOUNT` for the command line.
    :param subject: public id of the record or account that was changed.
    :param at: ISO time in UTC; empty before it is written.
    """

    account: int
    action: str
    subject: str
    details: Mapping[str, Any]
    at: str = ""


def now() -> str:
    """The moment as the store writes it: ISO in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def write(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add entries in the transaction of the change that they tell of."""
    if entries:
        moment = now()
        rows = [
            {"at": moment, "account": e.account, "action": e.action, "subject": e.subject, "details": dict(e.details)}
            for e in entries
        ]
        connection.execute(insert(tables.audit), rows)


def history(database: Database, subject: str, limit: int = 1000) -> list[Entry]:
    """What happened to a record or an account, latest first."""
    a = tables.audit.c
    query = select(a.account, a.action, a.subject, a.details, a.at).where(a.subject == subject)
    with database.reading.connect() as connection:
        return [Entry(*row) for row in connection.execute(query.order_by(a.key.desc()).limit(limit))]
