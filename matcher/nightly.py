"""The nightly run: match what changed, write down what it brings, and only then send it.

docs/mail.md tells the whole story; `matcher nightly` is its command.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from matcher.composing import Composer
from matcher.digests import DigestBook, Plan
from matcher.embed import Progress
from matcher.engine import Matcher
from matcher.features import keep_vectors
from matcher.following import Following
from matcher.letter_files import write_letters
from matcher.life import CHINA
from matcher.message import read_sender
from matcher.news import News
from matcher.outbox import Outbox
from matcher.sending import SendReport, only_sender, require_settings, send_locked, send_waiting
from matcher.subscribers import Subscriber, Subscription

# Whom mails of a rehearsal are from, where no sender is set.
REHEARSED_SENDER = "科技成果匹配平台 <match@sender.example>"
# Seconds that a night waits for a run of `matcher outbox` to end, which has few mails to send.
SENDER_WAIT = 600.0
# People whose matches are found and written down together: what a kill may cost.
PEOPLE = 256


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

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        steps = {step: round(seconds, 3) for step, seconds in self.seconds.items()}
        return {**vars(self), "silent": dict(self.silent), "failed": dict(self.failed), "seconds": steps}


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
            self.matcher.embedder.release()

    def embed(self, progress: Progress | None = None) -> None:
        """Embed what all who are due will ask, before the matching needs memory; what was asked before is known.

        :param progress: is told (people done, people).
        """
        embedder, done = self.matcher.embedder, 0
        following = Following(self.matcher.store, self.matcher.accounts)
        with self._timed("embed"):
            total = self.book.count_due(self.found.day)
            for people in self._people():
                due = [one for person, own in people if person.personalised for one in own]
                asked = (one.query for one in following.asked(due, self._matched_with))
                queries = [query for query in asked if query.keep]
                keep_vectors(embedder, [(query.title, query.text) for query in queries])
                # What each shape of batch has taken is not used for others, and would add up.
                embedder.release()
                done += len(people)
                if progress:
                    progress(done, total)

    def plan(self, progress: Progress | None = None) -> None:
        """Find what is new for everybody who is due, and write it down with the mails that will tell of it.

        :param progress: is told (people done, people).
        """
        for plans in self._plans(progress):
            with self._timed("save"):
                revision = self.matcher.index.revision
                self.found.digests += self.book.save(plans, self.found.day, revision, self._matched_with)

    def plans(self, progress: Progress | None = None) -> Iterator[Plan]:
        """What `plan` would write down of those who would get a mail; nothing is written."""
        for plans in self._plans(progress):
            for plan in plans:
                if plan.items:
                    self.found.digests += 1
                    yield plan

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


# Opens for the name of a step what is told (done, of so many).
Steps = Callable[[str], AbstractContextManager[Progress]]


@contextmanager
def silently(_: str) -> Iterator[Progress]:
    """Tell nobody of the progress."""
    yield lambda _, __: None


def send_night(
    matcher: Matcher, day: str | None = None, full: bool = False, steps: Steps = silently
) -> tuple[Found, SendReport]:
    """Do a night's work: match, write down, send.

    :param day: YYYY-MM-DD; today in China by default.
    :param full: see `matcher.news.News`.
    :raises SettingError: before anything is done, if no mail could be sent with these settings.
    :raises Busy: if another process is at it, or sends, for longer than `SENDER_WAIT`.
    """
    settings, database = matcher.settings, matcher.store.database
    sender = require_settings(settings)
    with only_sender(database, settings.home, SENDER_WAIT):
        # A mail that an earlier run had claimed waits again, and may become part of tonight's.
        unconfirmed = Outbox(database).recover()
        night = Night(matcher, day, full)
        _prepare(night, steps)
        with steps("匹配") as told:
            night.plan(told)
        report = send_locked(database, settings, Composer(matcher, sender.name).compose)
    night.found.seconds["send"] = report.seconds
    return night.found, replace(report, unconfirmed=(*unconfirmed, *report.unconfirmed))


def rehearse_night(
    matcher: Matcher, folder: Path, day: str | None = None, full: bool = False, steps: Steps = silently
) -> tuple[Found, list[Path]]:
    """Write the mails that a night would bring as files; nothing is sent, and nothing counts as told.

    :returns: what was found, and the files.
    """
    sender = read_sender(matcher.settings.mail_from or REHEARSED_SENDER)
    composer = Composer(matcher, sender.name)
    night = Night(matcher, day, full)
    _prepare(night, steps)
    with steps("匹配") as told:
        briefs = (composer.brief(plan, night.found.day) for plan in night.plans(told))
        letters = ((brief.subscriber.id, composer.letter(brief)) for brief in briefs if brief)
        written = write_letters(letters, folder, sender, datetime.datetime.now(datetime.UTC))
    return night.found, written


def send_outbox(matcher: Matcher) -> SendReport:
    """Send what waits: confirmations, and what could not be sent before.

    :raises SettingError, Busy: see `matcher.sending.send_waiting`.
    """
    sender = require_settings(matcher.settings)
    return send_waiting(matcher.store.database, matcher.settings, Composer(matcher, sender.name).compose)


def _prepare(night: Night, steps: Steps) -> None:
    with steps("建立索引") as told:
        night.index(told)
    with steps("计算新订阅的向量") as told:
        night.embed(told)
