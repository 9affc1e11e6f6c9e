"""What a mail says, before it has a form: sections of matches, or news for everybody."""

from __future__ import annotations

from dataclasses import dataclass

from matcher.rows import StoredRecord
from matcher.subscribers import Subscriber, Subscription


@dataclass(frozen=True)
class BriefItem:
    """One match.

    :param found: as the reader may see it; `asking` likewise: the reader's record that it fits, where he
        follows several; None where the section says it already.
    :param level: 4 to 2; `level_before` what a mail told before, where it has risen since.
    :param terms: shared terms, the most telling first; `passage` a sentence of the record found.
    """

    found: StoredRecord
    asking: StoredRecord | None
    level: int
    level_before: int | None
    terms: tuple[str, ...]
    passage: str


@dataclass(frozen=True)
class BriefSection:
    """The matches of one subscription, best first.

    :param subject: the record that is followed, or the institution, as the reader may see it; None for a text, for
        one's own records, and for a record that the reader may no longer see.
    :param omitted: how many more there were than a mail has room for.
    """

    subscription: Subscription
    subject: StoredRecord | None
    items: tuple[BriefItem, ...]
    omitted: int = 0


@dataclass(frozen=True)
class Brief:
    """A mail of matches (匹配简报).

    :param day: YYYY-MM-DD.
    :param news: instead of sections, for those who do not want to be looked at: the latest public offers.
    """

    subscriber: Subscriber
    day: str
    sections: tuple[BriefSection, ...] = ()
    news: tuple[StoredRecord, ...] = ()
