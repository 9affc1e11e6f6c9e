"""What a mail server's refusal says: for now or for good, and whether it is the address that is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass

TEXT_LIMIT = 300
# RFC 3463: the mailbox does not exist, has moved and left no address, or its domain takes no mail at all.
_GONE = frozenset({"5.1.1", "5.1.6", "5.1.10"})
# Of the sender's address, though the number is among those of addresses.
_OF_SENDER = frozenset({"5.1.7", "5.1.8"})
# 5.1: the address; 5.2: its mailbox (closed, full). All others are of the way there, the content or a policy.
_OF_RECIPIENT = re.compile(r"5\.[12]\.\d{1,3}")
# Replies without such a number that servers give for an unknown mailbox, unless the text speaks of something else:
# one that refuses to relay because a login is missing would otherwise silence everybody within three nights.
_UNKNOWN_CODES = frozenset({550, 551, 553})
_OF_SOMETHING_ELSE = re.compile(
    r"relay|auth|log ?in|sender|spam|junk|virus|polic|block|black|reject list|rbl|spf|dkim|dmarc|rate|quota|too many"
    r"|发件人|垃圾|频率|拦截|黑名单|认证|登录",
    re.I,
)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
# Wider than any address is, so that nothing slips through.
_ADDRESS = re.compile(r"[^\s<>()\[\]:;,，；：（）《》“”\"]+[@＠][^\s<>()\[\]:;,，；：（）《》“”\"]+")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True)
class Reply:
    """A server's answer.

    :param code: of RFC 5321, three digits.
    :param status: of RFC 3463, such as 5.1.1; None where it gave none.
    :param text: for people, on one line, without any address.
    """

    code: int
    status: str | None
    text: str

    @property
    def accepted(self) -> bool:
        """Whether the server does what it was asked."""
        return self.code // 100 == 2

    @property
    def permanent(self) -> bool:
        """Whether the same would be refused again."""
        return self.code // 100 == 5

    @property
    def of_recipient(self) -> bool:
        """Whether it is the recipient's address, or its mailbox, that is refused for good."""
        if not self.permanent:
            return False
        if self.status is not None:
            return bool(_OF_RECIPIENT.fullmatch(self.status)) and self.status not in _OF_SENDER
        return self.code in _UNKNOWN_CODES and not _OF_SOMETHING_ELSE.search(self.text)

    @property
    def gone(self) -> bool:
        """Whether there surely is no such mailbox."""
        return self.permanent and self.status in _GONE

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()


def read_reply(code: int, text: bytes | str) -> Reply:
    """A reply as it came from the server, in whatever encoding."""
    if isinstance(text, bytes):
        text = _decoded(text)
    # A server could write pages; the status stands at the beginning.
    line = _BLANK.sub(" ", text[: TEXT_LIMIT * 4]).strip()
    status = _STATUS.search(line)
    # 2.1.5 in a refusal is a version number, or the server's mistake.
    own = status[1] if status and status[1][0] == str(code)[:1] else None
    return Reply(code, own, without_addresses(line)[:TEXT_LIMIT])


def without_addresses(text: str) -> str:
    """A text that somebody else wrote, such as a server's answer, for places where no person may be named."""
    return _ADDRESS.sub("…", text)


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("gb18030", "replace")
