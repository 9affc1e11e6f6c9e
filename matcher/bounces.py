"""Reads notifications of mails that could not be delivered (RFC 3464), and tells the outbox.

The mails come from anybody, so little of them is parsed: the headers, the parts of one multipart, and in these the
fields that say whom it concerns. Parts within parts are not followed, whatever their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from typing import BinaryIO, Literal

from matcher.addresses import check_address
from matcher.errors import InvalidSubscription, UnreadableFile
from matcher.outbox import Outbox
from matcher.refusals import Reply, read_reply

# Bytes of a notification: servers that send the whole mail back cut it long before.
SIZE_LIMIT = 10_000_000
# Bytes of the headers of a mail or a part, and parts of a multipart, that are looked at.
HEADER_LIMIT = 200_000
PART_LIMIT = 50
# Recipients in one notification; a mail of ours has one.
RECIPIENT_LIMIT = 20
# Characters of an address that are looked at.
_ADDRESS_LIMIT = 320
_ID_LIMIT = 50
_MESSAGE_ID = re.compile(r"<([A-Za-z0-9_-]{1,64})@[^<>\s@]{1,255}>")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
# Headers by which a mail names others: its own id is not among them.
_NAMING = ("In-Reply-To", "References")
# Of bounces that people read and programs do not: who sends them, and how they quote the server.
_DAEMON = re.compile(r"mailer-daemon|postmaster", re.I)
_QUOTED = re.compile(rb"\b(5\d\d)[ -]#?5\.\d{1,3}\.\d{1,3}\b[^\r\n]{0,300}")
_QUOTED_ID = re.compile(rb"^[> \t]*message-id:[ \t]*(<[^<>\s]{1,320}>)", re.I | re.M)

Outcome = Literal["counted", "ignored", "unknown"]


@dataclass(frozen=True)
class Notice:
    """What a notification says of one mail.

    :param ids: that the mail may have had in the outbox.
    :param address: of the recipient; None if none is named.
    """

    ids: tuple[str, ...]
    address: str | None
    reply: Reply


@dataclass(frozen=True)
class Told:
    """What became of a notification.

    :param outcome: `counted`: a mail of ours was not delivered. `ignored`: it tells of no refusal. `unknown`: of a
        mail that is not ours, or that was told before.
    :param id: of the mail, where it was counted.
    """

    outcome: Outcome
    id: str | None = None
    message: str | None = None


def take_notification(outbox: Outbox, file: BinaryIO) -> Told:
    """Read a notification and count what it tells.

    :raises UnreadableFile: if it is too large, or no mail.
    """
    raw = file.read(SIZE_LIMIT + 1)
    if len(raw) > SIZE_LIMIT:
        raise UnreadableFile(f"邮件超过 {SIZE_LIMIT // 1_000_000} MB，不像退信，没有处理。")
    notices = read_notification(raw)
    for notice in notices:
        message = f"退信（{notice.reply}）"
        found = outbox.bounced(notice.ids, notice.address, notice.reply, message)
        if found is not None:
            return Told("counted", found.id, message)
    return Told("unknown" if notices else "ignored")


def read_notification(raw: bytes) -> list[Notice]:
    """Of which mails it says that they were refused for good; empty for delays, receipts and people's answers.

    :raises UnreadableFile: if it is no mail.
    """
    head, body = _split(raw)
    if not head.keys():
        raise UnreadableFile("这不是一封邮件（没有邮件头），没有处理。退信须是 .eml 原文。")
    if head.get_content_type() != "multipart/report":
        return _plain(head, body)
    if str(head.get_param("report-type", "")).lower() != "delivery-status":
        return []  # receipts, complaints
    fields: list[Message] = []
    ids = [found for name in _NAMING for found in _ids(head.get_all(name, []))]
    for part, content in _parts(head, body):
        kind = part.get_content_type()
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            fields = _groups(content)
        elif kind in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"):
            ids = _ids(_split(content.lstrip(b"\r\n"))[0].get_all("Message-ID", [])) + ids
    return [notice for group in fields for notice in _refused(group, tuple(ids[:_ID_LIMIT]))]


def _refused(group: Message, ids: tuple[str, ...]) -> Iterator[Notice]:
    """The refusal in one recipient's fields, if it is one."""
    if _text(group, "Action").lower() != "failed":
        return
    status = re.match(r"[45]\.\d{1,3}\.\d{1,3}", _text(group, "Status"))
    said = _text(group, "Diagnostic-Code").partition(";")[2].strip()
    quoted = re.match(r"5\d\d(?!\d)", said)
    if not (status or quoted):
        return
    number = status[0] if status else ""
    # Refused for good says the action; 4.x.x is what the server heard last before it gave up.
    code = int(quoted[0]) if quoted else int(f"{number[0]}54")
    reply = read_reply(code, said[3:] if quoted else said)
    # Exim writes 5.0.0 whatever it was; then the number that the other server gave is better, or none.
    known = None if number.endswith(".0.0") else number or None
    reply = Reply(code, known or reply.status, reply.text or number)
    recipient = _address(group, "Final-Recipient") or _address(group, "Original-Recipient")
    yield Notice(ids, recipient, reply)


def _plain(head: Message, body: bytes) -> list[Notice]:
    """A bounce without fields for programs: taken only from a server's own address, with our id and the reply."""
    automatic = _text(head, "Auto-Submitted").lower().startswith("auto-replied")  # somebody is on holiday
    if automatic or _text(head, "Return-Path") not in ("", "<>") or not _DAEMON.search(_text(head, "From")):
        return []
    quoted, named = _QUOTED.search(body), _QUOTED_ID.search(body)
    ids = _ids([named[1].decode("ascii", "replace")]) if named else []
    return [Notice(tuple(ids), None, read_reply(int(quoted[1]), quoted[0][3:]))] if quoted and ids else []


# ------------------------------------------------------------ as little MIME as will do


def _split(raw: bytes) -> tuple[Message, bytes]:
    """Headers and what follows them."""
    end = _END_OF_HEADERS.search(raw, 0, HEADER_LIMIT)
    head = raw[: end.start() if end else HEADER_LIMIT]
    if head.startswith(b"From "):  # of the file in which a mail was delivered
        head = head.partition(b"\n")[2]
    try:
        return BytesHeaderParser(policy=compat32).parsebytes(head), raw[end.end() :] if end else b""
    except (MessageError, ValueError, LookupError) as error:
        raise UnreadableFile("邮件头读不懂，没有处理。") from error


def _parts(head: Message, body: bytes) -> Iterator[tuple[Message, bytes]]:
    """The parts of a multipart, each taken apart once."""
    boundary = head.get_param("boundary", "")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= 200:
        return
    line = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("ascii", "replace")) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    starts = []
    for found in line.finditer(body):
        starts.append((found.start(), found.end()))
        if found[1] or len(starts) > PART_LIMIT:
            break
    for (_, begin), (end, _) in zip(starts, [*starts[1:], (len(body), 0)], strict=False):
        part = body[begin:end].removeprefix(b"\r").removeprefix(b"\n")
        # A part may begin with an empty line: then it has no headers.
        yield (Message(), part) if part.startswith((b"\n", b"\r\n")) else _split(part)


def _groups(content: bytes) -> list[Message]:
    """The groups of fields of a delivery status: of the mail, then one a recipient."""
    groups = [group for group in _END_OF_HEADERS.split(content[:HEADER_LIMIT]) if group.strip()]
    return [_split(group.strip(b"\r\n"))[0] for group in groups[: RECIPIENT_LIMIT + 1]]


def _text(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())


def _ids(values: list[str]) -> list[str]:
    return [found for value in values for found in _MESSAGE_ID.findall(str(value)[:HEADER_LIMIT])]


def _address(group: Message, name: str) -> str | None:
    """Of ``rfc822; a@example.cn``."""
    value = _text(group, name).partition(";")[2].strip().strip("<>")
    try:
        return check_address(value[:_ADDRESS_LIMIT])
    except InvalidSubscription:
        return None
