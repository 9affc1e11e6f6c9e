"""What subscriptions ask today: each its text, or the records that it follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import or_, select

from matcher import tables
from matcher.accounts import Accounts
from matcher.listing import seen
from matcher.queries import TEXT_LIMIT, TITLE_LIMIT, MatchQuery, record_query
from matcher.records import OFFER_KINDS
from matcher.redaction import shown
from matcher.regions import name_of
from matcher.rows import StoredRecord
from matcher.store import Store, live
from matcher.subscribers import Subscription
from matcher.visibility import PUBLIC, Viewer

# Matches of one question that a mail names: what somebody reads in the morning.
QUESTION_LIMIT = 10
_PROVINCE_DIGITS = 2


@dataclass(frozen=True)
class Asked:
    """One question of a subscription.

    :param record: that asks, as the reader may see it; None for a text.
    :param fresh: whether this was never asked, or not in these words: all that it finds is new then.
    """

    subscription: Subscription
    record: StoredRecord | None
    query: MatchQuery
    fresh: bool

    @property
    def asking_id(self) -> str:
        """The record's id, where a subscription follows several; empty otherwise."""
        return self.record.id if self.record and self.subscription.follows in ("institution", "own") else ""


@dataclass
class Following:
    """Makes questions of subscriptions.

    :ivar silent: how many subscriptions ask nothing today, by the reason.
    """

    store: Store
    accounts: Accounts
    silent: Counter[str] = field(default_factory=Counter)
    _viewers: dict[int, Viewer | None] = field(default_factory=dict)
    _regions: dict[tuple[str, ...], tuple[int, ...]] = field(default_factory=dict)

    def viewer(self, subscription: Subscription) -> Viewer | None:
        """Whose eyes decide what a subscription may bring; None if the account is closed."""
        number = subscription.account
        if number not in self._viewers:
            account = self.accounts.by_key(number) if number else None
            self._viewers[number] = account.viewer if account and account.closed_at is None else None
        return self._viewers[number] if number else PUBLIC

    def asked(self, subscriptions: Sequence[Subscription], matched_with: str) -> list[Asked]:
        """The questions of subscriptions, in their order.

        :param matched_with: names model and ranker; what was matched with others is fresh.
        """
        followed = [one.subject for one in subscriptions if one.follows == "record" and one.subject]
        subjects = self.store.by_id(sorted(set(followed)))
        questions: list[Asked] = []
        for subscription in subscriptions:
            viewer = self.viewer(subscription)
            if viewer is None:
                self.silent["账号已关闭"] += 1
                continue
            own = self._questions(subscription, viewer, subjects, matched_with)
            questions += own
        return questions

    def subject(self, subscription: Subscription, viewer: Viewer) -> StoredRecord | None:
        """The record or institution that is followed, as the reader may see it."""
        found = self.store.by_id([subscription.subject]) if subscription.subject else {}
        return next((shown(stored, viewer) for stored in found.values() if _may_see(stored, viewer)), None)

    def _questions(
        self, subscription: Subscription, viewer: Viewer, subjects: Mapping[str, StoredRecord], matched_with: str
    ) -> list[Asked]:
        again = subscription.matched_revision is not None and subscription.matched_with == matched_with
        if subscription.follows == "text":
            kinds = subscription.kinds or OFFER_KINDS
            title, text = subscription.title[:TITLE_LIMIT], subscription.text[:TEXT_LIMIT]
            query = MatchQuery(text=text, title=title, kinds=kinds, viewer=viewer, keep=True)
            return [Asked(subscription, None, self._narrowed(subscription, query), not again)]
        asking = []
        for stored in self._records(subscription, viewer, subjects):
            changed = not again or stored.revision > (subscription.matched_revision or 0)
            asking.append(Asked(subscription, stored, self._record_query(subscription, viewer, stored), changed))
        if not asking:
            self.silent["所订阅的记录已结束、撤回或不再公开"] += 1
        return asking

    def _records(
        self, subscription: Subscription, viewer: Viewer, subjects: Mapping[str, StoredRecord]
    ) -> Iterable[StoredRecord]:
        r = tables.records.c
        if subscription.follows == "record":
            stored = subjects.get(subscription.subject or "")
            # An operator may point an address at a record of his own: it asks, and is not shown.
            mine = stored is not None and subscription.account == 0 and stored.owner == 0
            if stored is None or not stored.live or not (mine or _may_see(stored, viewer)):
                return []
            return [stored if mine else shown(stored, viewer)]
        query = select(tables.records).where(r.kind.in_((*OFFER_KINDS, "need")), *live()).order_by(r.key)
        if subscription.follows == "own":
            return self.store.select(query.where(r.owner == viewer.account)) if viewer.account else []
        offers = query.where(r.institution_id == subscription.subject, r.kind.in_(OFFER_KINDS), seen(viewer.sight))
        return [shown(stored, viewer) for stored in self.store.select(offers)]

    def _record_query(self, subscription: Subscription, viewer: Viewer, stored: StoredRecord) -> MatchQuery:
        query = record_query(stored, viewer)
        return self._narrowed(
            subscription, replace(query, text=query.text[:TEXT_LIMIT], title=query.title[:TITLE_LIMIT])
        )

    def _narrowed(self, subscription: Subscription, query: MatchQuery) -> MatchQuery:
        provinces, among = self._place(subscription.regions)
        return replace(
            query,
            programmes=subscription.programmes,
            provinces=provinces,
            among=among,
            limit=QUESTION_LIMIT,
            min_level=subscription.min_level,
            partners=1,
        )

    def _place(self, regions: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
        """Regions as filters of a question: provinces by name, or else the records of smaller places by number."""
        if all(len(code) == _PROVINCE_DIGITS for code in regions):
            return tuple(name for code in regions if (name := name_of(code))), None
        if regions not in self._regions:
            r = tables.records.c
            inside = or_(*(r.region_code.like(f"{code}%") for code in regions))
            with self.store.database.reading.connect() as connection:
                keys = connection.execute(select(r.key).where(inside, *live()).order_by(r.key)).scalars()
                self._regions[regions] = tuple(keys)
        return (), self._regions[regions]


def _may_see(stored: StoredRecord, viewer: Viewer) -> bool:
    return viewer.sight.shows(stored.record.kind, stored.record.visibility, stored.owner)
