"""What a night brings: the pairs that subscribers have not been told of.

A pair is news if the subscription is asked for the first time, or if the record found has changed since it was
asked last, and if no mail has told of it with this level or a higher one. Levels of records that nobody touched
may drift with the collection's statistics; that is no news to anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import select

from matcher import tables
from matcher.answering import Answer, Answering, Match
from matcher.database import batches
from matcher.digests import NEWS, DigestBook, Item, Plan
from matcher.following import Asked, Following
from matcher.queries import MatchQuery
from matcher.records import OFFER_KINDS
from matcher.rows import StoredRecord
from matcher.store import Store, live
from matcher.subscribers import Subscriber, Subscription

# Questions that are matched together.
BLOCK = 16
# Pairs of one subscription that a mail has room for; only portfolios come near it.
SECTION_LIMIT = 30
# Records of the news that are the same for everybody.
NEWS_LIMIT = 10
# Where more than this share of all records is new, to look at the new ones first saves nothing.
WORTH_SCREENING = 0.2

People = Sequence[tuple[Subscriber, tuple[Subscription, ...]]]


@dataclass
class News:
    """Finds what is new for people.

    :param answer: gives for each question its answer, or the error that stands in place of it.
    :param answering: over the same generation of the index, whose revision is `revision`.
    :param matched_with: names model and ranker.
    :param full: match every question, even where no changed record could answer it; the news are the same.
    :ivar counts: `subscriptions`, `questions` in all, those `matched` in full, and new `pairs`.
    :ivar failed: ids of subscriptions that could not be matched, each with the reason; they are tried again.
    """

    store: Store
    answer: Callable[[Sequence[MatchQuery]], Sequence[Answer | Exception]]
    answering: Answering
    following: Following
    book: DigestBook
    revision: int
    matched_with: str
    full: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    _changed: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _latest: dict[int, tuple[StoredRecord, ...]] = field(default_factory=dict)

    def plans(self, people: People) -> list[Plan]:
        """What there is for some people."""
        wanted = [one for person, due in people if person.personalised for one in due]
        self.counts["subscriptions"] += sum(len(due) for _, due in people)
        told = self.book.told(wanted)
        asked = self.following.asked(wanted, self.matched_with)
        found: dict[int, list[Item]] = {}
        for one, answer in self._answers(asked):
            if isinstance(answer, Exception):
                self.failed[one.subscription.id] = str(answer)
                continue
            new = self._new(one, answer.matches, told)
            found.setdefault(one.subscription.key, []).extend(new)
        return [self._plan(person, due, found) for person, due in people]

    def _plan(self, person: Subscriber, due: tuple[Subscription, ...], found: Mapping[int, list[Item]]) -> Plan:
        if not person.personalised:
            return Plan(person, due, self._for_everybody(due))
        due = tuple(one for one in due if one.id not in self.failed)
        items: list[Item] = []
        omitted = {}
        for one in due:
            own = sorted(found.get(one.key, []), key=lambda item: (-item.level, -item.score, item.record_id))
            items += own[:SECTION_LIMIT]
            if len(own) > SECTION_LIMIT:
                omitted[one.id] = len(own) - SECTION_LIMIT
        self.counts["pairs"] += len(items)
        return Plan(person, due, tuple(items), omitted)

    # ------------------------------------------------------------ matches

    def _answers(self, asked: Sequence[Asked]) -> Iterator[tuple[Asked, Answer | Exception]]:
        self.counts["questions"] += len(asked)
        hopeful = []
        for start in range(0, len(asked), BLOCK):
            hopeful += self._hopeful(asked[start : start + BLOCK])
        self.counts["matched"] += len(hopeful)
        # One block after the other: an answer holds all that it found, of which little is kept.
        for start in range(0, len(hopeful), BLOCK):
            block = hopeful[start : start + BLOCK]
            yield from zip(block, self.answer([one.query for one in block]), strict=True)

    def _hopeful(self, asked: Sequence[Asked]) -> list[Asked]:
        """Those for which there may be news: the others' answers hold nothing that has changed."""
        screened: list[tuple[int, Asked]] = []
        kept: dict[int, Asked] = {}
        for place, one in enumerate(asked):
            among = None if one.fresh or self.full else self._screen(one)
            if among is None:
                kept[place] = one
            elif among:
                screened.append((place, replace(one, query=replace(one.query, among=among))))
        if screened:
            reaching = self.answering.reaching([one.query for _, one in screened])
            kept |= {place: asked[place] for (place, _), good in zip(screened, reaching, strict=True) if good}
        return [kept[place] for place in sorted(kept)]

    def _screen(self, one: Asked) -> tuple[int, ...] | None:
        """The records that have changed since a question was asked last; None where it is asked at once."""
        changed = self.changed(one.subscription.matched_revision or 0)
        if len(changed) > WORTH_SCREENING * self.answering.index.count():
            return None
        among = one.query.among
        return changed if among is None else tuple(sorted(set(changed) & set(among)))

    def changed(self, after: int) -> tuple[int, ...]:
        """Numbers of the records that changed after a revision and take part in matches."""
        if after not in self._changed:
            r = tables.records.c
            # What was changed since the index was read is for the next night.
            between = (r.revision > after, r.revision <= self.revision)
            query = select(r.key).where(*between, r.kind != "institution", *live()).order_by(r.key)
            with self.store.database.reading.connect() as connection:
                self._changed[after] = tuple(connection.execute(query).scalars())
        return self._changed[after]

    def _new(self, one: Asked, matches: Sequence[Match], told: Mapping[tuple[int, str, str], int]) -> list[Item]:
        since = 0 if one.fresh else one.subscription.matched_revision or 0
        recent = [match for match in matches if since < match.stored.revision <= self.revision]
        same = self._same([stored.id for match in recent for stored in (match.stored, *match.variants)])
        items = []
        for match in recent:
            ids = {id_ for stored in (match.stored, *match.variants) for id_ in (stored.id, *same.get(stored.id, ()))}
            before = max((told.get((one.subscription.key, one.asking_id, id_), 0) for id_ in ids), default=0)
            if before < match.level:
                items.append(_item(one, match, before or None))
        return items

    def _same(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """The ids of records that were merged into these: somebody may have been told of one of them."""
        r = tables.records.c
        merged: dict[str, list[str]] = {}
        with self.store.database.reading.connect() as connection:
            for part in batches(ids):
                query = select(r.merged_into, r.id).where(r.merged_into.in_(part))
                for into, id_ in connection.execute(query):
                    merged.setdefault(into, []).append(id_)
        return merged

    # ------------------------------------------------------------ the same for everybody

    def _for_everybody(self, due: Sequence[Subscription]) -> tuple[Item, ...]:
        if not due:
            return ()
        after = min(one.matched_revision or 0 for one in due)
        return tuple(
            Item(due[0].key, "", stored.id, NEWS, None, 0.0, {"revision": stored.revision})
            for stored in self._latest_offers(after)
        )

    def _latest_offers(self, after: int) -> tuple[StoredRecord, ...]:
        if after not in self._latest:
            r = tables.records.c
            public = (r.kind.in_(OFFER_KINDS), r.visibility == "public", r.revision > after, *live())
            query = select(tables.records).where(*public).order_by(r.key.desc()).limit(NEWS_LIMIT)
            self._latest[after] = tuple(self.store.select(query))
        return self._latest[after]


def _item(one: Asked, match: Match, before: int | None) -> Item:
    why = {"terms": list(match.why.terms), "passage": match.why.passage, "revision": match.stored.revision}
    subscription = one.subscription.key
    return Item(subscription, one.asking_id, match.stored.id, match.level, before, match.score, why)
