"""The nightly run: match what changed, write down what it brings, then send it."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from matcher.briefs import Brief, BriefItem, BriefSection
from matcher.digests import NEWS, DigestBook, Item, Plan
from matcher.embed import Progress
from matcher.engine import Matcher
from matcher.features import keep_vectors
from matcher.following import Following, text_of
from matcher.life import CHINA
from matcher.news import News
from matcher.rows import StoredRecord
from matcher.subscribers import Subscriber, Subscription
from matcher.visibility import PUBLIC

# People whose matches are found and written down together: what a kill may cost.
PEOPLE = 512


@dataclass
class Found:
    """What the matching of a night came to.

    :ivar people: who were due; `subscriptions` theirs, `questions` these asked, `matched` how many of them in full
        because something that changed could answer them, `pairs` new ones, `digests` mails to be sent.
    :ivar silent: subscriptions that asked nothing, by the reason; `failed` those with an error, by id.
    :ivar seconds: by step.
    """

    day: str
    people: int = 0
    subscriptions: int = 0
    questions: int = 0
    matched: int = 0
    pairs: int = 0
    digests: int = 0
    silent: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Night:
    """One night's matching over one generation of the index."""

    def __init__(self, matcher: Matcher, day: str | None = None, full: bool = False) -> None:
        """:param day: YYYY-MM-DD; today in China by default.

        :param full: see `matcher.news.News`.
        """
        self.matcher = matcher
        self.book = DigestBook(matcher.store.database)
        self.found = Found(day or datetime.datetime.now(CHINA).date().isoformat())
        self._full = full

    @cached_property
    def following(self) -> Following:
        """The subscriptions' questions, and whose eyes they have."""
        return Following(self.matcher.store, self.matcher.accounts)

    def index(self, progress: Progress | None = None) -> None:
        """Bring the index up to the store, so that nothing of today is missed.

        :raises Busy: if another process writes the index for too long.
        """
        with self._timed("index"):
            self.matcher.index.refresh()
            self.matcher.catch_up(progress)

    def embed(self, progress: Progress | None = None) -> None:
        """Embed the texts of all who are due, before anything else needs memory; those of last night are known.

        :param progress: is told (texts embedded, texts to embed).
        """
        embedder = self.matcher.embedder
        with self._timed("embed"):
            for people in self._people():
                due = [one for person, own in people if person.personalised for one in own]
                keep_vectors(embedder, [text_of(one) for one in due if one.follows == "text"], progress)
            embedder.release()

    def plan(self, progress: Progress | None = None) -> None:
        """Find what is new for everybody who is due, and write it down with the mails that will tell of it.

        :param progress: is told (people done, people).
        """
        for plans in self._plans(progress):
            with self._timed("save"):
                revision = self.matcher.index.revision
                self.found.digests += self.book.save(plans, self.found.day, revision, self._matched_with)

    def briefs(self, progress: Progress | None = None) -> Iterator[Brief]:
        """The mails that `plan` would lead to; nothing is written down."""
        for plans in self._plans(progress):
            for plan in plans:
                brief = self.brief(plan, self.found.day) if plan.items else None
                if brief:
                    self.found.digests += 1
                    yield brief

    def _plans(self, progress: Progress | None) -> Iterator[list[Plan]]:
        done = 0
        with self._timed("match"):
            total = self.book.count_due(self.found.day)
            news = self._news()
        for people in self._people():
            with self._timed("match"):
                plans = news.plans(people)
            done += len(people)
            yield plans
            if progress:
                progress(done, total)
        self.found.people = done
        self.found.subscriptions = news.counts["subscriptions"]
        self.found.questions, self.found.matched = news.counts["questions"], news.counts["matched"]
        self.found.pairs = news.counts["pairs"]
        self.found.silent, self.found.failed = self.following.silent, news.failed

    def _people(self) -> Iterator[list[tuple[Subscriber, tuple[Subscription, ...]]]]:
        after = 0
        while people := self.book.due(self.found.day, after, PEOPLE):
            yield people
            after = people[-1][0].key

    def _news(self) -> News:
        matcher = self.matcher
        return News(
            store=matcher.store,
            answer=matcher.match_many,
            answering=matcher.answering,
            following=self.following,
            book=self.book,
            revision=matcher.index.revision,
            matched_with=self._matched_with,
            full=self._full,
        )

    @cached_property
    def _matched_with(self) -> str:
        """Names model and ranker: what was matched with others is matched anew."""
        ranker = json.dumps(self.matcher.ranker.weights, sort_keys=True)
        return hashlib.sha256(f"{self.matcher.embedder.fingerprint}{ranker}".encode()).hexdigest()

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.found.seconds[step] = self.found.seconds.get(step, 0.0) + time.monotonic() - start

    # ------------------------------------------------------------ what a mail says

    def brief(self, plan: Plan, day: str) -> Brief | None:
        """What a digest says at this moment; None if nothing is left to say.

        Every record is looked up again with the reader's eyes: what was withdrawn, hidden or has ended since it
        was matched is not mailed.
        """
        if not plan.subscriber.personalised:
            ids = [item.record_id for item in plan.items if item.level == NEWS]
            known = self.matcher.records(ids, PUBLIC)
            news = tuple(known[id_] for id_ in ids if id_ in known and known[id_].live)
            return Brief(plan.subscriber, day, news=news) if news else None
        by_subscription: dict[int, list[Item]] = {}
        for item in plan.items:
            if item.level != NEWS:
                by_subscription.setdefault(item.subscription, []).append(item)
        sections = (self._section(one, by_subscription.get(one.key, []), plan) for one in plan.due)
        filled = tuple(section for section in sections if section and section.items)
        return Brief(plan.subscriber, day, filled) if filled else None

    def _section(self, subscription: Subscription, items: list[Item], plan: Plan) -> BriefSection | None:
        viewer = self.following.viewer(subscription)
        if viewer is None or not items:
            return None
        ids = {item.record_id for item in items} | {item.asking_id for item in items if item.asking_id}
        known = self.matcher.records(sorted(ids), viewer)
        told = tuple(_told(item, known) for item in items if _tellable(item, known))
        subject = self.following.subject(subscription, viewer)
        return BriefSection(subscription, subject, told, plan.omitted.get(subscription.id, 0))


def _tellable(item: Item, known: dict[str, StoredRecord]) -> bool:
    asking = not item.asking_id or (item.asking_id in known and known[item.asking_id].live)
    return asking and item.record_id in known and known[item.record_id].live


def _told(item: Item, known: dict[str, StoredRecord]) -> BriefItem:
    found = known[item.record_id]
    # A passage of a text that has been changed since may be what was taken out of it.
    same = item.why.get("revision") == found.revision
    return BriefItem(
        found=found,
        asking=known.get(item.asking_id),
        level=item.level,
        level_before=item.level_before,
        terms=tuple(item.why.get("terms", ())) if same else (),
        passage=item.why.get("passage", "") if same else "",
    )
