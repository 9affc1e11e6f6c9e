"""The connection by itself: what goes over it, and for how long it is waited."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from matcher.smtp import ANSWER_TIMEOUT, PORTS, TIMEOUT, Line, Lost
from tests.mail.sink import Sink
from tests.mail.support import settings

SENDER, RECEIVER = "match@sender.example", "reader1@receiver.example"


def opened(sink: Sink, home: Path, **timeouts: float) -> Line:
    line = Line(settings(sink, home), "sender.example", **timeouts)
    line.open()
    return line


@pytest.mark.parametrize("body", [b".\r\n", b"..\r\n.x\r\n", b".", b"a\r\n.\r\nQUIT\r\n", b"x.\r\n", b""])
def test_a_message_arrives_as_it_is_whatever_dots_it_has(body: bytes, sink: Sink, tmp_path: Path) -> None:
    line = opened(sink, tmp_path)
    message = b"Subject: x\r\n\r\n" + body
    answer = line.transmit(SENDER, RECEIVER, message, lambda: True)
    line.close()
    assert answer is not None and answer.reply.accepted
    assert sink.taken[0].raw == (message if message.endswith(b"\r\n") else message + b"\r\n")
    assert sink.stages()[-1] == "quit"


def test_the_message_is_written_only_after_it_was_noted(sink: Sink, tmp_path: Path) -> None:
    line = opened(sink, tmp_path)
    seen: list[str] = []
    sink.script = lambda _, stage, __: seen.append(stage)  # type: ignore[func-returns-value]

    def handing() -> bool:
        time.sleep(0.05)
        seen.append("noted")
        return True

    assert line.transmit(SENDER, RECEIVER, b"Subject: x\r\n\r\n", handing)
    line.close()
    assert seen[:5] == ["mail", "rcpt", "data", "noted", "writing"]


@pytest.mark.parametrize("trouble", [OSError, KeyboardInterrupt])
def test_what_could_not_be_noted_is_not_written(trouble: type[BaseException], sink: Sink, tmp_path: Path) -> None:
    line = opened(sink, tmp_path)

    def handing() -> bool:
        raise trouble

    with pytest.raises(trouble):
        line.transmit(SENDER, RECEIVER, b"Subject: x\r\n\r\n", handing)
    assert not line.usable()
    assert sink.taken == [] and "writing" not in sink.stages()


@pytest.mark.parametrize("stage", ["ehlo", "mail", "message"])
def test_a_server_that_says_nothing_is_not_waited_for_for_ever(stage: str, sink: Sink, tmp_path: Path) -> None:
    sink.script = lambda _, now, __: time.sleep(0.5) if now == stage else None  # type: ignore[func-returns-value]
    began = time.monotonic()
    line = Line(settings(sink, tmp_path), "sender.example", timeout=0.1, answer_timeout=0.1)
    with pytest.raises(Lost, match="超时"):
        line.open()
        line.transmit(SENDER, RECEIVER, b"x\r\n", lambda: True)
    assert time.monotonic() - began < 5


def test_the_answer_to_a_message_is_waited_for_longer(sink: Sink, tmp_path: Path) -> None:
    sink.script = lambda _, stage, __: time.sleep(0.4) if stage == "message" else None  # type: ignore[func-returns-value]
    line = opened(sink, tmp_path, timeout=0.2, answer_timeout=30)
    assert line.transmit(SENDER, RECEIVER, b"x\r\n", lambda: True)
    assert line.usable()
    line.close()
    assert (TIMEOUT, ANSWER_TIMEOUT) == (60, 600), "RFC 5321, 4.5.3.2"


@pytest.mark.parametrize("answer", ["199 what", "399 what", "abc", "250-endless\r\n2"])
def test_what_is_no_answer_ends_the_connection(answer: str, sink: Sink, tmp_path: Path) -> None:
    line = opened(sink, tmp_path)
    sink.script = lambda _, stage, __: answer if stage == "message" else None
    with pytest.raises(Lost):
        line.transmit(SENDER, RECEIVER, b"x\r\n", lambda: True)
    assert not line.usable()


def test_the_usual_port_follows_from_the_encryption(sink: Sink, tmp_path: Path) -> None:
    for security, port in PORTS.items():
        own = settings(sink, tmp_path, smtp_port=None, smtp_security=security)
        assert Line(own, "sender.example").where == f"127.0.0.1:{port}"
    assert PORTS == {"none": 25, "starttls": 587, "tls": 465}
