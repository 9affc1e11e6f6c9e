"""From the outbox to a server: what is taken, refused, put off, and what happens when the server goes away."""

from __future__ import annotations

import datetime
import socket
import threading
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from matcher import tables
from matcher.database import Database
from matcher.errors import Busy, DamagedIndex, InvalidSubscription, SettingError
from matcher.letters import Letter
from matcher.outbox import Outbox, Waiting
from matcher.sending import MAILS_PER_CONNECTION, REFUSED_IN_A_ROW, only_sender
from tests.mail.conftest import Send
from tests.mail.sink import Drop, Sink
from tests.mail.support import FakeClock, add_mail, address, fill, letter, mail, person


def answer_once(stage: str, answer: str | None, at: int = 1) -> object:
    """A script that gives an answer, or none at all, the n-th time at this stage."""
    times = 0

    def script(_: object, now: str, __: str) -> str | None:
        nonlocal times
        times += now == stage
        if now == stage and times == at:
            if answer is None:
                raise Drop
            return answer
        return None

    return script


def test_all_that_waits_goes_out_over_one_connection(
    send: Send, sink: Sink, outbox: Outbox, database: Database
) -> None:
    ids = fill(database, 5)
    report = send()
    assert (report.sent, report.postponed, report.failed, report.clean) == (5, 0, (), True)
    assert sink.recipients == {address(number): 1 for number in range(1, 6)}
    assert sink.connections == 1
    assert sink.stages().count("rset") == 4
    assert outbox.counts()["sent"] == 5
    assert [one.message["Message-ID"] for one in sink.taken] == [f"<{id_}@sender.example>" for id_ in ids]
    first = sink.taken[0]
    assert first.sender == "match@sender.example"
    text = first.message.get_body(("plain",))
    assert text is not None and text.get_content().splitlines() == ["您好。", ".", "..以点开头的行"]
    assert send().sent == 0
    assert len(sink.taken) == 5
    assert sink.connections == 1, "there was nothing to connect for"


def test_what_there_is_nothing_to_say_of_is_skipped_with_the_reason(send: Send, sink: Sink, database: Database) -> None:
    ids = fill(database, 3)
    report = send(lambda row: "没有新的匹配" if row.id != ids[1] else letter(address(2)))
    assert (report.sent, report.skipped) == (1, {"没有新的匹配": 2})
    assert sink.recipients == {address(2): 1}
    assert (mail(database, ids[0]).state, mail(database, ids[0]).message) == ("skipped", "没有新的匹配")


def test_a_refused_address_stops_nobody_else_and_is_counted(send: Send, sink: Sink, database: Database) -> None:
    ids = fill(database, 4)
    refused = "550 5.1.1 <reader2@receiver.example>: no such user here"
    sink.script = lambda _, stage, line: refused if stage == "rcpt" and address(2) in line else None
    report = send()
    assert report.sent == 3
    assert [failure.id for failure in report.failed] == [ids[1]]
    assert report.failed[0].message == "收件地址被拒收（550 5.1.1 <…>: no such user here）"
    assert mail(database, ids[1]).message == report.failed[0].message
    assert not report.clean
    assert [person(database, number).bounces for number in (1, 2, 3, 4)] == [0, 1, 0, 0]
    assert sink.connections == 1


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "message"])
def test_a_refusal_for_now_is_tried_again_within_the_run(
    stage: str, send: Send, sink: Sink, database: Database, clock: FakeClock
) -> None:
    fill(database, 3)
    sink.script = answer_once(stage, "451 4.3.0 try later", at=2)  # type: ignore[assignment]
    report = send()
    assert (report.sent, report.postponed, report.clean) == (3, 0, True)
    assert set(sink.recipients.values()) == {1}
    # The others go first.
    assert [one.recipient for one in sink.taken] == [address(1), address(3), address(2)]
    assert 1 <= clock.passed <= 4


def test_a_mail_put_off_again_and_again_waits_ever_longer_and_for_the_next_run(
    send: Send, sink: Sink, outbox: Outbox, database: Database, clock: FakeClock
) -> None:
    ids = fill(database, 2)
    sink.script = lambda _, stage, line: "450 4.2.0 greylisted" if stage == "rcpt" and address(1) in line else None
    report = send()
    assert (report.sent, report.postponed, report.failed, report.stopped) == (1, 1, (), None)
    assert report.clean
    # Times in the store are whole seconds.
    assert [seconds for seconds in clock.slept if seconds > 0.5] == pytest.approx([2, 4, 8, 16, 32], abs=1.1)
    row = mail(database, ids[0])
    assert (row.state, row.attempts, row.message) == ("waiting", 6, "收件地址被拒收（450 4.2.0 greylisted）")
    assert send().sent == 0, "its time has not come"
    clock.passed += 3600
    sink.script = None
    assert send().sent == 1


def test_what_was_put_off_for_days_is_given_up(send: Send, sink: Sink, database: Database) -> None:
    ids = fill(database, 1)
    sink.script = lambda _, stage, __: "450 4.2.0 greylisted" if stage == "rcpt" else None
    with database.writing() as connection:
        old = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=6)).isoformat(timespec="seconds")
        connection.execute(update(tables.outbox).values(created_at=old))
    report = send()
    assert [failure.id for failure in report.failed] == ids
    assert "5 天" in report.failed[0].message
    assert person(database, 1).bounces == 0


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        *((stage, None) for stage in ("connect", "ehlo", "mail", "rcpt", "data", "writing", "message", "rset")),
        *((stage, "421 4.4.2 closing") for stage in ("connect", "ehlo", "mail", "rcpt", "data", "message", "rset")),
    ],
)
def test_a_connection_that_ends_in_the_middle_costs_no_mail_and_doubles_none(
    stage: str, answer: str | None, send: Send, sink: Sink, database: Database
) -> None:
    fill(database, 4)
    sink.script = answer_once(stage, answer, at=1 if stage in ("connect", "ehlo") else 2)  # type: ignore[assignment]
    report = send()
    assert (report.sent, report.postponed, report.clean) == (4, 0, True)
    assert sink.recipients == {address(number): 1 for number in range(1, 5)}
    assert sink.connections == 2


def test_a_mail_whose_answer_was_lost_goes_again_under_the_same_id(send: Send, sink: Sink, database: Database) -> None:
    ids = fill(database, 1)
    given = []

    def script(_: object, stage: str, __: str) -> str | None:
        if stage == "message" and not given:
            given.append(1)
            raise Drop
        return None

    sink.script = script
    assert send().sent == 1
    assert sink.stages().count("writing") == 2
    assert sink.taken[0].message["Message-ID"] == f"<{ids[0]}@sender.example>"


def test_a_connection_is_given_up_after_so_many_mails(
    send: Send, sink: Sink, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAILS_PER_CONNECTION == 100
    monkeypatch.setattr("matcher.sending.MAILS_PER_CONNECTION", 3)
    fill(database, 7)
    assert send().sent == 7
    assert sink.connections == 3
    assert sink.stages(1)[-1] == "quit"


def test_a_server_that_ends_each_connection_after_two_mails_is_nothing_special(
    send: Send, sink: Sink, database: Database, clock: FakeClock
) -> None:
    fill(database, 9)
    sink.script = lambda session, stage, _: "421 enough" if stage == "mail" and session.mails == 2 else None
    report = send()
    assert (report.sent, report.clean, sink.connections) == (9, True, 5)
    assert max(clock.slept, default=0) < 1, "nothing to wait for"


def test_a_server_that_is_away_is_waited_for_and_then_told_of(
    send: Send, sink: Sink, outbox: Outbox, database: Database, clock: FakeClock
) -> None:
    fill(database, 3)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        report = send(smtp_port=nobody.getsockname()[1])
    assert report.stopped and "连不上发信服务器" in report.stopped and "MATCHER_SMTP_HOST" in report.stopped
    assert (report.sent, report.failed, report.clean) == (0, (), False)
    assert outbox.counts()["waiting"] == 3
    assert 119 < clock.passed < 121
    assert send().sent == 3, "back again"


def test_a_server_that_comes_back_while_it_is_waited_for(
    send: Send, database: Database, clock: FakeClock, sink: Sink
) -> None:
    fill(database, 3)
    down = True
    sink.script = lambda _, stage, __: "421 starting" if stage == "connect" and down else None

    def sleep(seconds: float) -> None:
        nonlocal down
        clock.passed += seconds
        down = clock.passed < 10

    clock.sleep = sleep  # type: ignore[method-assign]
    assert (send().sent, clock.passed < 30) == (3, True)


def test_a_refused_sender_concerns_all_mails_and_ends_the_run(
    send: Send, sink: Sink, outbox: Outbox, database: Database
) -> None:
    fill(database, 3)
    sink.script = lambda _, stage, __: "550 5.7.1 not your address: match@sender.example" if stage == "mail" else None
    report = send()
    assert report.stopped and "MATCHER_MAIL_FROM" in report.stopped and "5.7.1" in report.stopped
    assert "match@" not in report.stopped
    assert outbox.counts()["waiting"] == 3


def test_a_mail_that_is_too_large_fails_alone(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 3)
    sink.script = answer_once("mail", "552 5.3.4 too large", at=2)  # type: ignore[assignment]
    report = send()
    assert (report.sent, len(report.failed), report.stopped) == (2, 1, None)
    assert all("SIZE=" in line for _, stage, line in sink.seen if stage == "mail")


def test_a_server_that_refuses_everybody_for_a_reason_of_ours_silences_nobody(
    send: Send, sink: Sink, outbox: Outbox, database: Database
) -> None:
    fill(database, 15)
    sink.script = lambda _, stage, __: "554 5.7.1 Relay access denied" if stage == "rcpt" else None
    report = send()
    assert report.stopped and "Relay access denied" in report.stopped
    assert len(report.failed) == REFUSED_IN_A_ROW
    counts = outbox.counts()
    assert (counts["failed"], counts["waiting"]) == (REFUSED_IN_A_ROW, 15 - REFUSED_IN_A_ROW)
    assert all(person(database, number).bounces == 0 for number in range(1, 16))
    sink.script = None
    for failure in report.failed:
        outbox.resend(failure.id)
    assert send().sent == 15


def test_mails_are_spaced_evenly(send: Send, database: Database, clock: FakeClock) -> None:
    fill(database, 6)
    send(mail_per_minute=120)
    assert clock.passed == pytest.approx(2.5)


def test_a_letter_that_cannot_be_written_stays_alone_with_its_trouble(
    send: Send, sink: Sink, database: Database
) -> None:
    ids = fill(database, 4)

    def compose(row: Waiting) -> Letter:
        if row.id == ids[0]:
            raise ZeroDivisionError(address(1))
        if row.id == ids[1]:
            raise InvalidSubscription("邮箱", f"{address(2)} 不对")
        return letter("no address" if row.id == ids[2] else address(4))

    report = send(compose)
    assert (report.sent, [one.id for one in report.failed]) == (1, ids[:3])
    assert "ZeroDivisionError" in report.failed[0].message and "test_sending.py" in report.failed[0].message
    assert not any("@" in one.message for one in report.failed)


def test_trouble_of_the_installation_ends_the_run_and_costs_no_mail(
    send: Send, outbox: Outbox, database: Database
) -> None:
    fill(database, 2)

    def compose(_: Waiting) -> Letter:
        raise DamagedIndex("索引已损坏。")

    with pytest.raises(DamagedIndex):
        send(compose)
    assert outbox.counts()["waiting"] == 2


def test_who_is_erased_while_his_mail_is_on_its_way_gets_none(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 3)

    def script(_: object, stage: str, line: str) -> None:
        if stage == "rcpt" and address(2) in line:
            with database.writing() as connection:
                connection.execute(delete(tables.subscribers).where(tables.subscribers.c.email == address(2)))

    sink.script = script
    report = send()
    assert (report.sent, report.clean) == (2, True)
    assert sink.recipients == {address(1): 1, address(3): 1}


def test_a_mail_added_meanwhile_goes_out_as_well(send: Send, sink: Sink, database: Database) -> None:
    fill(database, 1)
    added: list[str] = []

    def script(_: object, stage: str, __: str) -> None:
        if stage == "message" and not added:
            added.append(add_mail(database, 1, "confirm"))

    sink.script = script
    assert send().sent == 2


def test_one_process_sends_at_a_time(send: Send, sink: Sink, database: Database, tmp_path: Path) -> None:
    fill(database, 1)
    with only_sender(database, tmp_path / "home"), pytest.raises(Busy, match="另一个进程正在发信"):
        send()
    held = threading.Event()
    refused: list[Exception] = []

    def script(_: object, stage: str, __: str) -> None:
        if stage == "message" and not held.is_set():
            held.set()
            with pytest.raises(Busy) as caught:
                send()
            refused.append(caught.value)

    sink.script = script
    assert send().sent == 1
    assert len(refused) == 1
    assert len(sink.taken) == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"smtp_host": None}, "MATCHER_SMTP_HOST"),
        ({"mail_from": None}, "MATCHER_MAIL_FROM"),
        ({"mail_from": "平台"}, "MATCHER_MAIL_FROM"),
        ({"smtp_user": "a"}, "MATCHER_SMTP_PASSWORD"),
    ],
)
def test_missing_settings_are_named(changes: dict[str, object], named: str, send: Send) -> None:
    with pytest.raises(SettingError, match=named):
        send(**changes)


def test_a_process_that_died_is_recovered_from_by_the_next_run(
    send: Send, sink: Sink, outbox: Outbox, database: Database
) -> None:
    ids = fill(database, 3)
    rows = outbox.due(datetime.datetime.now(datetime.UTC), 10)
    assert outbox.claim(rows[0].key)
    assert outbox.claim(rows[1].key) and outbox.handed(rows[1].key)
    report = send()
    assert (report.sent, report.unconfirmed, report.clean) == (2, (ids[1],), False)
    assert sink.recipients == {address(1): 1, address(3): 1}
    again = send()
    assert (again.sent, again.unconfirmed, again.clean) == (0, (), True)
