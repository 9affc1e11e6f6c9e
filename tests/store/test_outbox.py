"""The outbox: a mail's way from state to state, and what refusals come to, over both databases."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, update

from matcher import audit, tables
from matcher.database import Database
from matcher.errors import Busy, Conflict, NotFound
from matcher.outbox import BOUNCE_LIMIT, GONE_LIMIT, NOTIFIED_WITHIN, Outbox, Waiting, moment
from matcher.refusals import read_reply
from matcher.sending import only_sender
from matcher.store import Store
from tests.mail.support import add_mail, address, fill, mail, person
from tests.store.conftest import only_postgresql

NOW = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
GONE = read_reply(550, b"5.1.1 no such user")
FULL = read_reply(552, b"5.2.2 mailbox full")


@pytest.fixture
def database(store: Store) -> Database:
    return store.database


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


def due(outbox: Outbox) -> list[Waiting]:
    return outbox.due(NOW, 100)


def states(database: Database) -> list[str]:
    with database.reading.connect() as connection:
        return list(connection.execute(select(tables.outbox.c.state).order_by(tables.outbox.c.key)).scalars())


def test_a_mail_s_way(outbox: Outbox, database: Database) -> None:
    (id_,) = fill(database, 1)
    (row,) = due(outbox)
    assert (row.id, row.kind, row.day, row.attempts) == (id_, "digest", "2026-11-23", 0)
    assert outbox.claim(row.key)
    assert not outbox.claim(row.key), "once"
    assert due(outbox) == []
    assert outbox.handed(row.key)
    assert not outbox.handed(row.key)
    outbox.sent(row.key)
    assert outbox.counts() == {
        "waiting": 0, "claimed": 0, "handed": 0, "sent": 1, "failed": 0, "skipped": 0, "unconfirmed": 0,
    }  # fmt: skip
    assert (mail(database, id_).attempts, mail(database, id_).done_at is not None) == (1, True)


def test_a_mail_that_is_not_taken_waits_until_its_time(outbox: Outbox, database: Database) -> None:
    fill(database, 2)
    first, second = due(outbox)
    outbox.claim(first.key)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1, microseconds=1)
    outbox.postpone(first.key, later, "请稍后")
    assert [row.key for row in outbox.due(later - datetime.timedelta(seconds=1), 10)] == [second.key]
    # Whole seconds, never earlier than asked for; those that have waited longest come first.
    assert [row.key for row in outbox.due(later + datetime.timedelta(seconds=1), 10)] == [second.key, first.key]
    assert [row.key for row in outbox.due(NOW, 1)] == [second.key]
    outbox.skipped(second.key, "没有新内容")
    coming = outbox.next_due()
    assert coming is not None and later < coming <= later + datetime.timedelta(seconds=1)
    outbox.claim(first.key)
    outbox.handed(first.key)
    outbox.postpone(first.key, later, "没有答复")
    assert mail(database, first.id).state == "waiting", "the answer never came, and this process lived to know it"
    outbox.failed(first.key, "拒收")
    assert outbox.next_due() is None


def test_what_a_dead_process_left(outbox: Outbox, database: Database) -> None:
    ids = fill(database, 4)
    rows = due(outbox)
    for row in rows[:3]:
        outbox.claim(row.key)
    for row in rows[1:3]:
        outbox.handed(row.key)
    outbox.sent(rows[2].key)
    assert outbox.recover() == [ids[1]]
    assert states(database) == ["waiting", "unconfirmed", "sent", "waiting"]
    assert outbox.recover() == []
    (one,) = outbox.troubled(10)
    assert (one.id, one.state, one.message != "", one.done_at != "") == (ids[1], "unconfirmed", True, True)


def test_no_step_takes_a_mail_that_is_elsewhere(outbox: Outbox, database: Database) -> None:
    fill(database, 1)
    (row,) = due(outbox)
    steps: list[Callable[[], object]] = [
        lambda: outbox.handed(row.key),
        lambda: outbox.sent(row.key),
        lambda: outbox.postpone(row.key, NOW, "x"),
    ]
    for step in steps:
        step()
        assert states(database) == ["waiting"]
    outbox.skipped(row.key, "x")
    for step in [*steps, lambda: outbox.claim(row.key), lambda: outbox.failed(row.key, "x", GONE)]:
        step()
        assert states(database) == ["skipped"]
    assert person(database, 1).bounces == 0


def test_a_reader_who_is_erased_takes_his_mails_along(outbox: Outbox, database: Database) -> None:
    fill(database, 2)
    rows = due(outbox)
    outbox.claim(rows[0].key)
    with database.writing() as connection:
        connection.execute(delete(tables.subscribers))
    assert (outbox.handed(rows[0].key), outbox.claim(rows[1].key)) == (False, False)
    outbox.sent(rows[0].key)
    outbox.failed(rows[1].key, "拒收", GONE)


@pytest.mark.parametrize(("refusal", "limit"), [(FULL, BOUNCE_LIMIT), (GONE, GONE_LIMIT)])
def test_so_many_refusals_end_all_mail_to_an_address(
    refusal: object, limit: int, outbox: Outbox, database: Database
) -> None:
    fill(database, 2)
    refuse(outbox, database, refusal, 1)
    for night in range(2, limit + 1):
        assert person(database, 1).suppressed_at is None
        add_mail(database, 1, day=f"2026-12-{night:02}")
        refuse(outbox, database, refusal, night)
    assert (person(database, 1).suppressed_for, person(database, 1).suppressed_at is not None) == ("bounced", True)
    (entry,) = audit.history(database, person(database, 1).id)
    assert (entry.action, entry.details) == ("mail-suppress", {"why": "bounced"})
    assert (person(database, 2).bounces, person(database, 2).suppressed_for) == (0, None)


def refuse(outbox: Outbox, database: Database, refusal: object, count: int) -> None:
    row = next(row for row in due(outbox) if mail(database, row.id).subscriber == person(database, 1).key)
    outbox.claim(row.key)
    outbox.failed(row.key, "拒收", refusal)  # type: ignore[arg-type]
    assert person(database, 1).bounces == count


def test_an_address_that_unsubscribed_stays_so_for_that_reason(outbox: Outbox, database: Database) -> None:
    fill(database, 1)
    with database.writing() as connection:
        gone = {"suppressed_at": "2026-01-01T00:00:00+00:00", "suppressed_for": "unsubscribed", "bounces": 7}
        connection.execute(update(tables.subscribers).values(gone))
    refuse(outbox, database, GONE, 8)
    row = person(database, 1)
    assert (row.suppressed_at, row.suppressed_for) == ("2026-01-01T00:00:00+00:00", "unsubscribed")


def deliver(outbox: Outbox) -> None:
    for row in due(outbox):
        assert outbox.claim(row.key) and outbox.handed(row.key)
        outbox.sent(row.key)


def test_a_mail_that_was_taken_and_stayed_so_forgets_refusals(outbox: Outbox, database: Database) -> None:
    fill(database, 1)
    refuse(outbox, database, FULL, 1)
    add_mail(database, 1, day="2026-12-01")
    deliver(outbox)
    assert person(database, 1).bounces == 1, "it may yet come back"
    add_mail(database, 1, day="2026-12-02")
    deliver(outbox)
    assert person(database, 1).bounces == 0


def test_mails_that_are_taken_and_come_back_are_counted_all_the_same(outbox: Outbox, database: Database) -> None:
    fill(database, 1)
    for day in range(1, BOUNCE_LIMIT + 1):
        assert person(database, 1).suppressed_at is None
        id_ = add_mail(database, 1, day=f"2026-12-{day:02}")
        deliver(outbox)
        told = outbox.bounced([id_], None, FULL, "退信")
        assert told is not None and told.id == id_
        assert outbox.bounced([id_], None, FULL, "退信") is None, "once a mail"
        assert person(database, 1).bounces == day
    assert person(database, 1).suppressed_for == "bounced"


def test_a_notification_is_of_a_mail_that_was_sent_lately(outbox: Outbox, database: Database) -> None:
    ids = fill(database, 3)
    assert outbox.bounced([ids[0]], None, GONE, "退信") is None, "not sent yet"
    deliver(outbox)
    assert outbox.bounced(["mail-of-others"], None, GONE, "退信") is None
    assert outbox.bounced([], "stranger@receiver.example", GONE, "退信") is None
    told = outbox.bounced(["mail-of-others"], address(2).upper(), GONE, "退信（550）")
    assert told is not None and (told.id, told.state, told.message) == (ids[1], "failed", "退信（550）")
    old = moment(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=NOTIFIED_WITHIN, minutes=1))
    with database.writing() as connection:
        connection.execute(update(tables.outbox).where(tables.outbox.c.id == ids[2]).values(done_at=old))
    assert outbox.bounced([ids[2]], None, GONE, "退信") is None
    assert [person(database, number).bounces for number in (1, 2, 3)] == [0, 1, 0]


def test_a_notification_about_the_way_or_the_content_is_not_counted(outbox: Outbox, database: Database) -> None:
    (id_,) = fill(database, 1)
    deliver(outbox)
    assert outbox.bounced([id_], None, read_reply(554, b"5.7.1 spam"), "退信")
    assert (person(database, 1).bounces, mail(database, id_).state) == (0, "failed")


def test_an_unconfirmed_or_failed_mail_may_go_again(outbox: Outbox, database: Database) -> None:
    ids = fill(database, 3)
    rows = due(outbox)
    outbox.claim(rows[0].key)
    outbox.handed(rows[0].key)
    outbox.recover()
    outbox.failed(rows[1].key, "拒收")
    with pytest.raises(Conflict, match="待发"):
        outbox.resend(ids[2])
    with pytest.raises(NotFound, match="没有编号"):
        outbox.resend("mail-of-others")
    with pytest.raises(NotFound):
        outbox.resend("\0")
    for id_ in ids[:2]:
        outbox.resend(id_)
    assert {(row.id, row.attempts) for row in due(outbox)} == {(id_, 0) for id_ in ids}
    assert outbox.troubled(10) == []


def test_a_person_has_one_mail_of_a_kind_a_day(database: Database) -> None:
    fill(database, 1)
    add_mail(database, 1, "confirm")
    with pytest.raises(Exception, match=r"(?i)unique"):
        add_mail(database, 1)
    with database.reading.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.outbox)).scalar() == 2


def test_many_mails_are_read_in_pages_in_their_order(outbox: Outbox, database: Database) -> None:
    fill(database, 1)
    now = audit.now()
    with database.writing() as connection:
        subscriber = connection.execute(select(tables.subscribers.c.key)).scalar_one()
        rows = [
            {"id": f"m{n}", "subscriber": subscriber, "kind": "digest", "day": f"{n}", "state": "waiting"}
            | {"next_at": now, "created_at": now}
            for n in range(300)
        ]
        connection.execute(insert(tables.outbox), rows)
    assert len(outbox.due(NOW, 250)) == 250
    found = outbox.due(NOW, 1000)
    assert [row.key for row in found] == sorted(row.key for row in found)


@only_postgresql
def test_one_process_sends_on_whatever_machine(database: Database, tmp_path: Path) -> None:
    here, there = only_sender(database, tmp_path / "here"), only_sender(database, tmp_path / "there")
    with here, pytest.raises(Busy, match="另一个进程正在发信"), there:
        raise AssertionError("held twice")
    with only_sender(database, tmp_path / "there"):
        pass
