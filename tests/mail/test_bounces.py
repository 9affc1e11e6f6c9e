"""Notifications of mails that were not delivered: which mail they mean, which count, and what harms nobody."""

from __future__ import annotations

import io
import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.bounces import SIZE_LIMIT, Told, read_notification, take_notification
from matcher.database import Database
from matcher.errors import UnreadableFile
from matcher.outbox import Outbox
from tests.mail.conftest import Send
from tests.mail.sink import Sink
from tests.mail.support import address, fill, mail, person

GONE = "smtp; 550 5.1.1 <reader1@receiver.example>: Recipient address rejected: User unknown"


def notification(
    returned: str | None,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str | None = GONE,
    recipient: str = "reader1@receiver.example",
    references: str | None = None,
) -> bytes:
    """As Postfix writes it."""
    more = f"References: {references}\n" if references else ""
    said = f"Diagnostic-Code: {diagnostic}\n" if diagnostic else ""
    original = ORIGINAL.format(id=returned) if returned is not None else ""
    values = {"more": more, "said": said, "original": original}
    return NOTIFICATION.format(**values, recipient=recipient, action=action, status=status).encode()


NOTIFICATION = """\
Return-Path: <>
From: MAILER-DAEMON@relay.example (Mail Delivery System)
To: match@sender.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: <20261123.ABC@relay.example>
{more}MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="ABC.1/relay.example"

This is a MIME-encapsulated message.

--ABC.1/relay.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host relay.example.

--ABC.1/relay.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example
X-Postfix-Queue-ID: ABC

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Remote-MTA: dns; mx.receiver.example
{said}
{original}--ABC.1/relay.example--
"""
ORIGINAL = """\
--ABC.1/relay.example
Content-Description: Undelivered Message
Content-Type: message/rfc822

Received: by relay.example
From: match@sender.example
Message-ID: {id}

Message-ID: <mail-99@other.example>

"""


def take(outbox: Outbox, raw: bytes) -> Told:
    return take_notification(outbox, io.BytesIO(raw))


@pytest.fixture
def ids(database: Database, send: Send, sink: Sink) -> list[str]:
    """Of three mails that were sent."""
    made = fill(database, 3)
    assert send().sent == 3
    return made


def test_a_mail_that_came_back_is_found_by_its_id_and_counted(
    ids: list[str], outbox: Outbox, database: Database, sink: Sink
) -> None:
    raw = notification(sink.taken[0].message["Message-ID"], recipient="somebody@else.example")
    told = take(outbox, raw)
    assert (told.outcome, told.id) == ("counted", ids[0])
    row = mail(database, ids[0])
    assert row.state == "failed" and "550 5.1.1" in row.message and "receiver.example" not in row.message
    assert person(database, 1).bounces == 1
    assert take(outbox, raw).outcome == "unknown", "told before"
    assert person(database, 1).bounces == 1


def test_it_is_found_by_what_it_answers_to_and_by_the_recipient(
    ids: list[str], outbox: Outbox, database: Database
) -> None:
    told = take(outbox, notification(None, references=f"<x@y.example> <{ids[1]}@sender.example>"))
    assert told.id == ids[1]
    told = take(outbox, notification(None, recipient="<Reader3@Receiver.example>", diagnostic=None))
    assert told.id == ids[2]
    assert [person(database, number).bounces for number in (1, 2, 3)] == [0, 1, 1]


def test_headers_in_the_place_of_the_mail_will_do(ids: list[str], outbox: Outbox) -> None:
    raw = notification("<gone@elsewhere.example>").replace(
        b"Content-Type: message/rfc822", b"Content-Type: text/rfc822-headers"
    )
    raw = raw.replace(b"<gone@elsewhere.example>", f"<{ids[1]}@sender.example>".encode())
    assert b"text/rfc822-headers" in raw
    assert take(outbox, raw).id == ids[1]


@pytest.mark.parametrize(
    ("status", "diagnostic", "bounces"),
    [
        ("5.0.0", "smtp; 550 5.1.1 no such user", 1),
        ("5.0.0", "smtp; 550 Unknown user", 1),
        ("5.0.0", "smtp; 550 5.7.1 not allowed", 0),
        ("5.0.0", None, 0),
        ("5.1.1", None, 1),
        ("5.2.2", "smtp; 552 5.2.2 full", 1),
        ("5.7.1", "smtp; 554 5.7.1 looks like spam", 0),
        ("5.1.8", "smtp; 553 5.1.8 sender rejected", 0),
        ("4.4.7", "smtp; delivery time expired", 0),
        ("", "smtp; 550 user unknown", 1),
        ("", "smtp; 550 relay not permitted", 0),
    ],
)
def test_only_what_concerns_the_address_is_counted_against_it(
    status: str, diagnostic: str | None, bounces: int, ids: list[str], outbox: Outbox, database: Database
) -> None:
    told = take(outbox, notification(f"<{ids[0]}@sender.example>", status=status, diagnostic=diagnostic))
    assert told.outcome == "counted"
    assert mail(database, ids[0]).state == "failed"
    assert person(database, 1).bounces == bounces


def out_of_office() -> bytes:
    answer = EmailMessage()
    answer["From"] = "reader1@receiver.example"
    answer["Auto-Submitted"] = "auto-replied"
    answer["In-Reply-To"] = "<mail-1-digest-2026-11-23@sender.example>"
    answer["Subject"] = "自动答复：休假中"
    answer.set_content("550 5.1.1 我在休假")
    return answer.as_bytes()


def plain_bounce(quoted: str, sender: str = "postmaster@receiver.example", **headers: str) -> bytes:
    bounce = EmailMessage()
    bounce["From"] = sender
    bounce["Subject"] = "系统退信"
    for name, value in headers.items():
        bounce[name.replace("_", "-")] = value
    bounce.set_content(f"Host said: {quoted}\n\n> From: match@sender.example\n> Message-ID: {{id}}\n", cte="7bit")
    return bounce.as_bytes().replace(b"{id}", b"<mail-1-digest-2026-11-23@sender.example>")


@pytest.mark.parametrize(
    "raw",
    [
        notification("<mail-1-digest-2026-11-23@sender.example>", action="delayed", status="4.4.1"),
        notification("<mail-1-digest-2026-11-23@sender.example>", action="delivered", status="2.0.0"),
        notification("<mail-1-digest-2026-11-23@sender.example>", status="garbage", diagnostic=None),
        notification("<mail-1-digest-2026-11-23@sender.example>").replace(b"delivery-status", b"feedback-report", 1),
        out_of_office(),
        plain_bounce("550 5.1.1 no such user", "somebody@receiver.example"),
        plain_bounce("550 5.1.1 no such user", Return_Path="<somebody@receiver.example>"),
        plain_bounce("550 yuan"),
    ],
    ids=["delayed", "delivered", "no status", "complaint", "out of office", "a person", "a path back", "no code"],
)
def test_what_tells_of_no_refusal_is_ignored(raw: bytes, ids: list[str], outbox: Outbox, database: Database) -> None:
    assert take(outbox, raw).outcome == "ignored"
    assert mail(database, ids[0]).state == "sent"
    assert person(database, 1).bounces == 0


def test_a_bounce_for_people_counts_where_it_quotes_the_server_and_our_mail(
    ids: list[str], outbox: Outbox, database: Database
) -> None:
    assert take(outbox, plain_bounce("550 5.1.1 <reader1@receiver.example> unknown", Return_Path="<>")).id == ids[0]
    assert "receiver" not in mail(database, ids[0]).message
    assert person(database, 1).bounces == 1


def test_mails_of_others_are_told_apart(ids: list[str], outbox: Outbox) -> None:
    raw = notification("<mail-77@sender.example>", recipient="stranger@receiver.example")
    assert take(outbox, raw).outcome == "unknown"


def test_what_is_too_large_or_no_mail_is_refused_in_a_sentence(outbox: Outbox) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= SIZE_LIMIT + 1, "memory is bounded"
            return b"x" * size

    with pytest.raises(UnreadableFile, match="10 MB"):
        take_notification(outbox, Endless())  # type: ignore[arg-type]
    for raw in (b"", b"\0\xff\xfe", b"hello", b"\n\nbody only"):
        with pytest.raises(UnreadableFile, match="不是一封邮件"):
            take(outbox, raw)


def nested(depth: int) -> bytes:
    head = b"From: MAILER-DAEMON@x.example\r\n"
    for level in range(depth):
        head += b'Content-Type: multipart/report; report-type=delivery-status; boundary="b%d"\r\n\r\n--b%d\r\n' % (
            level,
            level,
        )
    return head


HOSTILE = {
    "deep": nested(5000),
    "wide": nested(1) + b"--b0\r\n\r\n" * 1_000_000,
    "long header": b"From: x\r\n" + b"References: " + b"<a@b> " * 1_000_000 + b"\r\n\r\n",
    "many headers": b"References: <a@b>\r\n" * 400_000 + b"\r\n",
    "long parameter": b"Content-Type: multipart/report; " + b'a="\\' * 60_000 + b"\r\n\r\n",
    "many parameters": b"Content-Type: multipart/report; " + b"boundary*0=x; " * 14_000 + b"\r\n\r\n",
    "many recipients": notification("<a@b>").replace(
        b"Action: failed", b"Action: failed\n\nFinal-Recipient: x; a@b.example\nAction: failed" * 50_000
    ),
    "unknown encoding": b"Subject: =?x-none?b?////?=\r\nContent-Type: multipart/report; boundary*=x-none''%ff\r\n\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mails_cost_little_and_mean_nothing(name: str, outbox: Outbox) -> None:
    began = time.process_time()
    notices = read_notification(HOSTILE[name][:SIZE_LIMIT])
    assert len(notices) <= 20
    assert time.process_time() - began < 3


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_notification_cut_and_stirred_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(notification("<mail-1@sender.example>", references="<mail-2@sender.example>"))
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(raw)))
        piece = data.draw(st.binary(max_size=8) | st.sampled_from([b"\r\n\r\n", b"--", b"=?utf-8?b?", b"*0*=", b'"']))
        raw[place : place + data.draw(st.integers(0, 40))] = piece
    try:
        notices = read_notification(bytes(raw))
    except UnreadableFile as error:
        assert "没有处理" in str(error)
    else:
        assert all(notice.reply.code // 100 in (4, 5) for notice in notices)
        assert address(1) not in "".join(str(notice.reply) for notice in notices)
