"""People, and mails for them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from sqlalchemy import insert, select

from matcher import audit, tables
from matcher.database import Database
from matcher.letters import Letter
from matcher.outbox import Waiting
from matcher.sending import Clock
from matcher.settings import Settings
from tests.mail.sink import Sink

FROM = "科技成果匹配平台 <match@sender.example>"
DAY = "2026-11-23"


def letter(to: str, subject: str = "匹配简报：2 条新的强相关成果", unsubscribe: str | None = None) -> Letter:
    return Letter(to, subject, "您好。\n.\n..以点开头的行\n", "<!doctype html><p>您好。</p>", unsubscribe)


def address(number: int) -> str:
    return f"reader{number}@receiver.example"


def fill(database: Database, count: int, kind: str = "digest", day: str = DAY, first: int = 1) -> list[str]:
    """So many people with a mail each; returns the mails' ids."""
    now = audit.now()
    with database.writing() as connection:
        for number in range(first, first + count):
            person = {"id": f"sub-{number}", "email": address(number), "token": f"token{number}", "created_at": now}
            connection.execute(insert(tables.subscribers).values(person))
    return [add_mail(database, number, kind, day) for number in range(first, first + count)]


def add_mail(database: Database, number: int, kind: str = "digest", day: str = DAY) -> str:
    """One mail more for a person."""
    now, id_ = audit.now(), f"mail-{number}-{kind}-{day}"
    s = tables.subscribers.c
    with database.writing() as connection:
        subscriber = connection.execute(select(s.key).where(s.email == address(number))).scalar_one()
        row = {"id": id_, "subscriber": subscriber, "kind": kind, "day": day, "state": "waiting"}
        connection.execute(insert(tables.outbox).values(row | {"next_at": now, "created_at": now}))
    return id_


def person(database: Database, number: int) -> Any:
    with database.reading.connect() as connection:
        return connection.execute(select(tables.subscribers).where(tables.subscribers.c.email == address(number))).one()


def mail(database: Database, id_: str) -> Any:
    with database.reading.connect() as connection:
        return connection.execute(select(tables.outbox).where(tables.outbox.c.id == id_)).one()


def composer(database: Database) -> Callable[[Waiting], Letter | str]:
    """Writes to whoever the mail is for."""

    def compose(row: Waiting) -> Letter | str:
        with database.reading.connect() as connection:
            query = select(tables.subscribers.c.email).where(tables.subscribers.c.key == row.subscriber)
            return letter(connection.execute(query).scalar_one(), unsubscribe=f"https://match.example/mail/{row.id}")

    return compose


class FakeClock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []
        # The mails' times are whole seconds.
        self._began = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.passed += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self._began + datetime.timedelta(seconds=self.passed), lambda: self.passed, self.sleep)


def settings(sink: Sink, home: Any, **changes: Any) -> Settings:
    values = {
        "home": home,
        "smtp_host": "127.0.0.1",
        "smtp_port": sink.port,
        "smtp_security": "none",
        "mail_from": FROM,
        "mail_per_minute": 100_000,
    }
    return Settings(**values | changes)
