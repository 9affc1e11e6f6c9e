"""People who receive mail, and what each of them follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from matcher.records import Kind

# A text that was typed; one need or offer; all offers of an institution; all records of one's own account.
Follows = Literal["text", "record", "institution", "own"]
FOLLOWS_NAMES: Mapping[Follows, str] = {
    "text": "文字",
    "record": "一条记录",
    "institution": "一家机构的成果和专利",
    "own": "账号自己的全部记录",
}
Frequency = Literal["daily", "weekly"]
FREQUENCIES: tuple[Frequency, ...] = get_args(Frequency)
FREQUENCY_NAMES: Mapping[Frequency, str] = {"daily": "每天", "weekly": "每周"}
# Why somebody gets no mail at all: he said so; his mail server said that there is no such person; an operator did.
Suppressed = Literal["unsubscribed", "bounced", "operator"]
DEFAULT_MAIL_LEVEL = 3


@dataclass(frozen=True)
class Subscriber:
    """An address.

    :param token: secret between us and the address: opens its pages without a login, and signs its links.
    :param personalised: False for news that are the same for everybody (PIPL, article 24).
    :param bounces: permanent refusals since the last mail that was taken.
    """

    key: int
    id: str
    email: str
    token: str
    personalised: bool
    created_at: str
    suppressed_at: str | None
    suppressed_for: Suppressed | None
    bounces: int


@dataclass(frozen=True)
class Subscription:
    """What an address follows.

    :param account: whose eyes decide what it may bring; 0 for what is public.
    :param subject: id of the record or institution that is followed; None for a text and for one's own records.
    :param kinds: that a text looks for; empty for the other sorts, which look for the other side.
    :param regions: codes of GB/T 2260 without trailing zeros, two, four or six digits; empty does not restrict.
    :param matched_revision: how far the store had come when it was matched last; None if it never was.
    :param matched_with: of which model and ranker; `matched_on` the day of that run, YYYY-MM-DD.
    """

    key: int
    id: str
    subscriber: int
    account: int
    follows: Follows
    subject: str | None
    title: str
    text: str
    kinds: tuple[Kind, ...]
    programmes: tuple[str, ...]
    regions: tuple[str, ...]
    min_level: int
    frequency: Frequency
    created_at: str
    confirmed_at: str | None
    ended_at: str | None
    matched_revision: int | None
    matched_with: str | None
    matched_on: str | None

    @property
    def active(self) -> bool:
        """Whether mail may be sent for it."""
        return self.confirmed_at is not None and self.ended_at is None
