"""Answers to writes that carried an Idempotency-Key: a request sent again gets the first one's answer."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from matcher import tables
from matcher.audit import now
from matcher.database import Database
from matcher.errors import InProgress, InvalidQuery

# Seconds after which a request that was never answered is thought to have died with its process.
ABANDONED = 60
# Status of a request that is still being answered.
_PENDING = 0


@dataclass(frozen=True)
class Reply:
    """An answer.

    :param body: JSON.
    """

    status: int
    headers: Mapping[str, str]
    body: str


class Replies:
    """The answers in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, account: int, name: str, request: str) -> Reply | None:
        """Claim a request.

        :param name: the key that the caller gave it.
        :param request: a hash of what is asked for.
        :returns: the answer that it got before; None if it is the caller's to answer now.
        :raises InvalidQuery: if the key was given to another request.
        :raises InProgress: if the same request is being answered.
        """
        t = tables.idempotency
        mine = (t.c.account == account, t.c.name == name)
        with self._database.writing() as connection:
            known = connection.execute(select(t).where(*mine)).one_or_none()
            if known is not None and known.request != request:
                raise InvalidQuery("Idempotency-Key", "已用于另一个请求；每个新请求须用新的值")
            if known is not None and known.status != _PENDING:
                return Reply(known.status, known.headers, known.body)
            # One of the future is of before the clock was set back.
            if known is not None and _ago(ABANDONED) < known.created_at < _ago(-ABANDONED):
                raise InProgress("同一个请求正在处理。请稍后再试。")
            connection.execute(delete(t).where(*mine))
            row = {"account": account, "name": name, "request": request, "status": _PENDING, "headers": {}, "body": ""}
            connection.execute(insert(t).values(row | {"created_at": now()}))
        return None

    def finish(self, account: int, name: str, reply: Reply) -> None:
        """Keep the answer."""
        t = tables.idempotency
        change = update(t).where(t.c.account == account, t.c.name == name)
        with self._database.writing() as connection:
            connection.execute(change.values(status=reply.status, headers=dict(reply.headers), body=reply.body))

    def abandon(self, account: int, name: str) -> None:
        """Let a request that failed be sent again."""
        t = tables.idempotency
        with self._database.writing() as connection:
            connection.execute(delete(t).where(t.c.account == account, t.c.name == name, t.c.status == _PENDING))


def _ago(seconds: int) -> str:
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds")
