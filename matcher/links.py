"""Addresses that mails lead to, and the signatures that open a record to the reader of a mail."""

from __future__ import annotations

import hashlib
import hmac

from matcher.subscribers import Subscriber

# Hexadecimal digits of a signature: 128 bits.
_DIGITS = 32


def record_link(base_url: str, subscriber: Subscriber, record_id: str) -> str:
    """The page of a record, as this subscriber may see it."""
    return f"{base_url}/records/{record_id}?s={subscriber.id}&k={signature(subscriber, record_id)}"


def person_page(base_url: str, subscriber: Subscriber) -> str:
    """The subscriber's own page, which needs no login."""
    return f"{base_url}/mail/{subscriber.token}"


def unsubscribe_page(base_url: str, subscriber: Subscriber) -> str:
    """Ends all mail: a page with a button by GET, at once by POST (RFC 8058)."""
    return f"{person_page(base_url, subscriber)}/unsubscribe"


def signature(subscriber: Subscriber, record_id: str) -> str:
    """Shows that a link to this record was in a mail to this subscriber."""
    made = hmac.new(subscriber.token.encode(), record_id.encode("utf-8", "replace"), hashlib.sha256)
    return made.hexdigest()[:_DIGITS]


def is_signed(subscriber: Subscriber, record_id: str, given: str) -> bool:
    """Whether a signature is the one of this subscriber and record."""
    # Bytes: texts beyond ASCII cannot be compared in constant time.
    return hmac.compare_digest(signature(subscriber, record_id).encode(), given.encode("utf-8", "replace"))
