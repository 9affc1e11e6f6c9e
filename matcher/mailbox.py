"""Mail addresses: what is one, and how it travels."""

from __future__ import annotations

import re
from dataclasses import dataclass

# RFC 5321, 4.5.3.1: bytes before the @, and of a whole address.
LOCAL_LIMIT = 64
ADDRESS_LIMIT = 254
# RFC 5322's dot-atom, and beyond ASCII what RFC 6531 adds. Quoted local parts are in no mailbox that people have,
# and are what tricks with addresses are made of.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\uffff]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ALL_DIGITS = re.compile(r"[0-9]+")
# What other people's sentences may hold; wider than `_LOCAL`, so that nothing slips through.
_ANY_ADDRESS = re.compile(r"[^\s<>()\[\]:;,，；：（）《》“”\"]+[@＠][^\s<>()\[\]:;,，；：（）《》“”\"]+")


@dataclass(frozen=True)
class Mailbox:
    """An address, the domain in the ASCII form that the name system and old servers know (IDNA)."""

    local: str
    domain: str

    @property
    def address(self) -> str:
        """LOCAL@DOMAIN."""
        return f"{self.local}@{self.domain}"

    @property
    def international(self) -> bool:
        """Whether a server must know SMTPUTF8 (RFC 6531) to take it: there is no ASCII form of a local part."""
        return not self.local.isascii()


def mailbox(address: str) -> Mailbox | None:
    """An address taken apart; None for what is none, such as two, or one with a line break in it."""
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or len(local.encode("utf-8", "replace")) > LOCAL_LIMIT:
        return None
    try:
        plain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = plain.split(".")
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or _ALL_DIGITS.fullmatch(labels[-1]):
        return None
    found = Mailbox(local, plain)
    return found if len(found.address.encode("utf-8", "replace")) <= ADDRESS_LIMIT else None


def without_addresses(text: str) -> str:
    """A text that somebody else wrote, such as a server's answer, for places where no person may be named."""
    return _ANY_ADDRESS.sub("…", text)
