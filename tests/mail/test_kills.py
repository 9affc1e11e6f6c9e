"""Killed anywhere and started again: nobody gets two mails, and whoever may have got none is named."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from matcher.database import Database
from matcher.outbox import Outbox
from tests.mail.conftest import Send
from tests.mail.dying import STEPS, start
from tests.mail.sink import Session, Sink
from tests.mail.support import address, fill

PEOPLE = 30
# What the server sees last of a process; it dies there before it has the answer.
SEEN = ("connect", "ehlo", "mail", "rcpt", "data", "message", "rset", "quit")
# At these the server has the whole mail, or the process is about to write it.
IN_DOUBT = ("message", "after handed", "before sent")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def run_until_killed(home: Path, sink: Sink, fatal: str) -> None:
    """One run that dies with its second mail, at a step of its own or at a stage that the server sees."""
    if fatal in STEPS:
        child = start(home, sink, fatal)
    else:
        times = 0

        def script(_: Session, stage: str, __: str) -> None:
            nonlocal times
            times += stage == fatal
            if stage == fatal and times == (1 if fatal in ("connect", "ehlo", "rset", "quit") else 2):
                os.kill(child.pid or 0, signal.SIGKILL)

        sink.script = script
        child = start(home, sink)
    child.join(60)
    sink.script = None
    assert child.exitcode == -signal.SIGKILL


def test_killed_at_every_step_in_turn_everybody_gets_one_mail(
    home: Path, sink: Sink, database: Database, outbox: Outbox, send: Send
) -> None:
    ids = fill(database, PEOPLE)
    # "quit" comes when all is sent, "after handed" is the next test's.
    steps = [one for one in (*SEEN, *STEPS) if one not in ("quit", "after handed")]
    for fatal in steps:
        run_until_killed(home, sink, fatal)
    before = outbox.counts()
    assert before["waiting"] > 0, "all steps were taken while there was something to send"
    run_until_killed(home, sink, "quit")
    report = send()
    assert (report.sent, report.failed, report.stopped) == (0, (), None)
    assert sink.recipients == {address(number): 1 for number in range(1, PEOPLE + 1)}
    # Only where the process could not know does it say so.
    doubted = [one.id for one in outbox.troubled(PEOPLE)]
    assert len(doubted) == sum(fatal in IN_DOUBT for fatal in steps)
    assert outbox.counts()["sent"] == PEOPLE - len(doubted)
    assert set(doubted) < set(ids)


def test_the_one_window_a_mail_that_was_to_be_handed_over_is_not_sent_twice_but_named(
    home: Path, sink: Sink, database: Database, outbox: Outbox, send: Send
) -> None:
    ids = fill(database, 3)
    run_until_killed(home, sink, "after handed")
    report = send()
    assert (report.sent, report.unconfirmed, report.clean) == (1, (ids[1],), False)
    assert sink.recipients == {address(1): 1, address(3): 1}
    # The server's log says that it never came: the operator has it sent again.
    outbox.resend(ids[1])
    assert send().sent == 1
    assert sink.recipients == {address(number): 1 for number in (1, 2, 3)}


def test_killed_at_any_moment_nobody_gets_two_and_whoever_got_none_is_named(
    home: Path, sink: Sink, database: Database, outbox: Outbox, send: Send
) -> None:
    fill(database, PEOPLE)
    moments = random.Random(20261123)
    runs = killed = 0

    def script(*_: object) -> None:
        time.sleep(0.002)

    sink.script = script
    while outbox.counts()["waiting"] + outbox.counts()["claimed"] + outbox.counts()["handed"]:
        child = start(home, sink)
        runs += 1  # on a machine that is busy with other things the first may die before they begin
        child.join(moments.uniform(0.02, 0.15) * (1 + runs / 4))
        if child.is_alive():
            child.kill()
            killed += 1
        child.join(60)
    assert killed >= 3
    send()
    assert set(sink.recipients.values()) == {1}
    missing = {address(number) for number in range(1, PEOPLE + 1)} - set(sink.recipients)
    doubted = outbox.troubled(PEOPLE)
    assert {one.state for one in doubted} <= {"unconfirmed"}
    named = {address(int(one.id.split("-")[1])) for one in doubted}
    assert missing <= named
    for one in doubted:
        if address(int(one.id.split("-")[1])) in missing:
            outbox.resend(one.id)
    send()
    assert sink.recipients == {address(number): 1 for number in range(1, PEOPLE + 1)}
