"""A mail as it goes out: who gets it, what it says, in both its forms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Letter:
    """One mail.

    :param to: the address.
    :param html: a whole document; `text` says the same without any markup.
    :param unsubscribe: address that ends all mail to this person, by GET with a page and by POST at once
        (RFC 8058); None for what was asked for a moment ago.
    """

    to: str
    subject: str
    text: str
    html: str
    unsubscribe: str | None
