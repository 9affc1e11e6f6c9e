"""A night that is killed while it matches, and run again: the mails are those of a night that nobody disturbed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from matcher import digests
from matcher.digests import DigestBook
from matcher.nightly import send_night
from matcher.wishes import Wish
from tests.api.fresh import fresh_matcher
from tests.fakes import PROCESSES, THINGS
from tests.mail.sink import Sink
from tests.mail.support import FROM
from tests.mail.test_night import add, offer

DAY = "2026-11-24"
READERS = 7
# A night looks at so many people at a time.
PEOPLE = 2
STEPS = ("before the second save", "within the second save", "after the second save", "before the first mail")


def work(home: Path, port: int, fatal: str | None) -> None:
    """A night in a process of its own, which dies at a step."""
    calls = 0
    save, remember, send = DigestBook.save, digests._remember, "matcher.nightly.send_locked"

    def dying(_: Any = None) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def saving(*arguments: Any) -> int:
        nonlocal calls
        calls += 1
        if (fatal, calls) == ("before the second save", 2):
            dying()
        count = save(*arguments)
        if (fatal, calls) == ("after the second save", 2):
            dying()
        return count

    def remembering(*arguments: Any) -> None:
        remember(*arguments)
        if (fatal, calls) == ("within the second save", 2):
            dying()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matcher.nightly.PEOPLE", PEOPLE)
        patch.setattr(DigestBook, "save", saving)
        patch.setattr(digests, "_remember", remembering)
        if fatal == "before the first mail":
            patch.setattr(send, lambda *_: dying())
        server = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "mail_from": FROM}
        matcher = fresh_matcher(home, threads=1, **server)
        send_night(matcher, DAY)
        matcher.close()


def run(home: Path, sink: Sink, fatal: str | None = None) -> int:
    """How a night's process ended."""
    child = multiprocessing.get_context("spawn").Process(target=work, args=(home, sink.port, fatal))
    child.start()
    child.join(120)
    assert child.exitcode is not None
    return child.exitcode


def test_killed_while_it_matches_a_night_run_again_sends_what_it_would_have_sent(tmp_path: Path, sink: Sink) -> None:
    home = tmp_path / "home"
    matcher = fresh_matcher(home)
    add(matcher, *(offer(f"{thing}{process}", thing, process) for thing in THINGS for process in PROCESSES))
    for number in range(READERS):
        thing, process = THINGS[number % len(THINGS)], list(PROCESSES)[number % len(PROCESSES)]
        wish = Wish(follows="text", title=f"{thing}{process}", text=PROCESSES[process])
        matcher.subscriptions.add(f"reader{number}@x.example", wish, confirmed=True, by_operator=True)
    matcher.close()
    for fatal in STEPS:
        assert run(home, sink, fatal) == -signal.SIGKILL
        assert sink.recipients == {}
    assert run(home, sink) == 0
    assert sink.recipients == {f"reader{number}@x.example": 1 for number in range(READERS)}
    for taken in sink.taken:
        number = int(taken.recipient[6])
        body = taken.message.get_body(("plain",))
        assert body
        assert f"{THINGS[number % len(THINGS)]}{list(PROCESSES)[number % len(PROCESSES)]}技术" in body.get_content()
    assert run(home, sink) == 0
    assert len(sink.taken) == READERS
