"""Questions to answers: understood, recalled, compared, looked up and explained, many at the price of a batch.

Every question keeps its own filters and its own viewer: what one of them may see decides nothing for another.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from matcher.batch import as_questions
from matcher.documents import Filters, IndexDocument, IndexQuery, programme_bits, segment_of
from matcher.embed import Embedder
from matcher.explain import Explainer, Why
from matcher.features import Pairs, Question, ask_many
from matcher.frequencies import Statistics
from matcher.index import Index
from matcher.owners import OWNER_SOURCE
from matcher.partners import Partner, suggest
from matcher.programs import Tag, TaggedText, Tagger
from matcher.queries import MatchQuery
from matcher.rank import Ranker, Scored, fold, fuse
from matcher.records import KINDS, OFFER_KINDS
from matcher.redaction import shown
from matcher.rows import StoredRecord
from matcher.segments import Integers, Segment
from matcher.store import Store
from matcher.text import Tokenizer
from matcher.visibility import PUBLIC, Viewer

# Candidates each engine brings, and how many are compared closely. Chosen for the
# time they take, not yet measured for what they miss.
RECALL = 100
COMPARED = 120
# Matches that partners are gathered from.
PARTNER_DEPTH = 30


@dataclass(frozen=True)
class Match:
    """One entry of an answer."""

    rank: int
    score: float
    level: int
    stored: StoredRecord
    variants: tuple[StoredRecord, ...]
    why: Why


@dataclass(frozen=True)
class Answer:
    """What a question brought.

    :param terms: the question's terms that the index knows, the most telling first.
    :param steps: milliseconds by step, of all the questions that were answered together.
    """

    programmes: list[Tag]
    terms: list[str]
    matches: list[Match]
    partners: list[Partner]
    generation: int
    records: int
    steps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Answering:
    """What answering takes, and the one way to do it."""

    embedder: Embedder
    tokenizer: Tokenizer
    tagger: Tagger
    ranker: Ranker
    index: Index
    store: Store

    def answer(self, queries: Sequence[MatchQuery]) -> list[Answer]:
        """Answer questions that `matcher.queries.check_query` has passed, in their order."""
        clock = _Clock()
        asked = self._asked(queries)
        clock.mark("embed")
        asked, tags = self._tagged(asked)
        clock.mark("tag")
        statistics = self.index.statistics()
        documents, pairs = self._candidates(queries, asked, COMPARED)
        clock.mark("recall")
        scored = self._ranked(queries, asked, tags, documents, pairs, statistics)
        clock.mark("rank")
        found = self.store.by_key(sorted({item.key for own in scored for item in own}))
        stored = [_readable(own, found, query) for own, query in zip(scored, queries, strict=True)]
        clock.mark("fetch")
        entries = [
            fold([item for item in own if item.key in mine], documents, _owners(mine))
            for own, mine in zip(scored, stored, strict=True)
        ]
        clock.mark("fold")
        partners = self._partners(entries, stored, queries)
        clock.mark("partners")
        answers = []
        for place, (query, question, own, mine) in enumerate(zip(queries, asked, entries, stored, strict=True)):
            explainer = Explainer(question, statistics)
            answers.append(
                Answer(
                    tags[place],
                    explainer.known_terms(),
                    _matches(own[: query.limit], mine, explainer),
                    partners[place],
                    self.index.generation,
                    self.index.count(query.viewer.sight.visibilities),
                    clock.steps,
                )
            )
        clock.mark("explain")
        return answers

    def reaching(self, queries: Sequence[MatchQuery]) -> list[bool]:
        """For each question whether `answer` could find anything among the records that it names.

        Where this says no, `answer` finds none of them without `among` either: there they compete with all
        others for the same places.
        """
        asked, tags = self._tagged(self._asked(queries))
        documents, pairs = self._candidates(queries, asked, None)
        scored = self._ranked(queries, asked, tags, documents, pairs, self.index.statistics())
        return [bool(own) for own in scored]

    def _asked(self, queries: Sequence[MatchQuery]) -> list[Question]:
        asked: dict[int, Question] = {}
        for keep in (False, True):
            places = [place for place, query in enumerate(queries) if query.keep == keep]
            texts = [(queries[place].title, queries[place].text) for place in places]
            if texts:
                asked |= zip(places, ask_many(self.embedder, self.tokenizer, texts, keep), strict=True)
        return [asked[place] for place in range(len(queries))]

    def _tagged(self, asked: Sequence[Question]) -> tuple[list[Question], list[list[Tag]]]:
        """The questions with the programmes that they belong to."""
        tags = [self.tagger.tag(TaggedText(question.body_vector, question.terms)) for question in asked]
        tagged = [
            replace(question, programmes=int(programme_bits([tag.code for tag in own])))
            for question, own in zip(asked, tags, strict=True)
        ]
        return tagged, tags

    def _candidates(
        self, queries: Sequence[MatchQuery], asked: Sequence[Question], compared: int | None
    ) -> tuple[Segment, Pairs]:
        """The documents that are to be compared, and which question with which; those of a question together.

        :param compared: at most so many a question; None for all that the engines bring.
        """
        found: list[Integers] = [np.empty(0, np.int64)] * len(queries)
        groups: dict[Filters, list[int]] = {}
        for place, query in enumerate(queries):
            groups.setdefault(_filters(query), []).append(place)
        for filters, places in groups.items():
            wanted = [_index_query(asked[place]) for place in places]
            # Where nothing is left out afterwards, nothing may be missed: among equals it is chance who comes last.
            limit = 2 * RECALL if compared is None else RECALL
            for place, rankings in zip(places, self.index.search_many(wanted, filters, limit), strict=True):
                candidates = fuse(rankings, compared)
                found[place] = candidates[candidates != (queries[place].exclude or 0)]
        keys = np.concatenate(found)
        if len(queries) == 1:
            documents = self.index.documents(keys)
            return documents, Pairs.of_one(len(documents))
        documents = self.index.documents(np.unique(keys))
        questions = np.repeat(np.arange(len(queries)), [len(own) for own in found])
        there = np.isin(keys, documents.keys)
        return documents, Pairs(questions[there], np.searchsorted(documents.keys, keys[there]))

    def _ranked(
        self,
        queries: Sequence[MatchQuery],
        asked: Sequence[Question],
        tags: Sequence[Sequence[Tag]],
        documents: Segment,
        pairs: Pairs,
        statistics: Statistics,
    ) -> list[list[Scored]]:
        """For each question its best documents, best first."""
        from_offer = np.array([query.from_offer for query in queries])
        least = [query.min_level for query in queries]
        depths = [max(PARTNER_DEPTH, 2 * query.limit) for query in queries]
        by_needs = pairs.some(~from_offer[pairs.questions])
        scored = self.ranker.score_pairs(asked, documents, by_needs, statistics, least, depths)
        for place in np.flatnonzero(from_offer).tolist():
            own = documents.select(pairs.documents[pairs.questions == place])
            scored[place] = self._needs_for(
                asked[place], tags[place], own, statistics, queries[place].min_level, depths[place]
            )
        return scored

    def _partners(
        self,
        entries: Sequence[Sequence[Scored]],
        stored: Sequence[Mapping[int, StoredRecord]],
        queries: Sequence[MatchQuery],
    ) -> list[list[Partner]]:
        """For each question the institutions to talk to, with their own records."""
        suggested = [_suggested(*one) for one in zip(entries, stored, queries, strict=True)]
        ids = sorted({partner.id for own in suggested for partner in own})
        # Institutions are public, even to those who may look for nothing but offers.
        known = readable(self.store.by_id(ids).values(), PUBLIC)
        return [
            [replace(one, own=known[one.id].record) if one.id in known else one for one in own] for own in suggested
        ]

    def _needs_for(
        self,
        offer: Question,
        tags: Sequence[Tag],
        documents: Segment,
        statistics: Statistics,
        min_level: int,
        limit: int,
    ) -> list[Scored]:
        """Rank needs for an offer that was typed."""
        title, text = (offer.title, offer.text) if offer.text else ("", offer.title)
        asker = IndexDocument(
            key=0,
            kind="achievement",
            programmes=tuple(tag.code for tag in tags),
            province=None,
            visibility="private",
            title_vector=offer.title_vector,
            body_vector=offer.body_vector,
            title=title,
            abstract=text,
            title_terms=self.tokenizer.terms(title),
            body_terms=self.tokenizer.terms(text),
        )
        texts = self.store.texts(documents.keys.tolist()) if self.ranker.remembers else {}
        needs = as_questions(documents, texts, documents.title, documents.body)
        segment = segment_of([asker], self.embedder.dimension)
        return self.ranker.score_needs(segment, needs, documents, statistics, min_level, limit)


def readable(found: Iterable[StoredRecord], viewer: Viewer) -> dict[str, StoredRecord]:
    """Of records that were looked up those that this viewer may read, by id, as he may read them.

    What is withdrawn is there for its owner only.
    """
    return {
        stored.id: shown(stored, viewer)
        for stored in found
        if viewer.sight.shows(stored.record.kind, stored.record.visibility, stored.owner)
        and (not stored.withdrawn or viewer.owns(stored.owner))
        # Known by name only, perhaps from a need that this viewer may not see.
        and stored.record.source != OWNER_SOURCE
    }


def _filters(query: MatchQuery) -> Filters:
    """What the question asks for, within what its viewer may see."""
    sight = query.viewer.sight
    kinds = tuple(kind for kind in query.kinds or KINDS if kind in sight.kinds)
    return Filters(
        # Nothing at all, rather than everything, where none of the kinds is the viewer's to see.
        visibilities=sight.visibilities if kinds else (),
        owner=sight.owner if kinds else 0,
        kinds=kinds,
        programmes=query.programmes,
        provinces=query.provinces,
        among=query.among,
    )


def _index_query(question: Question) -> IndexQuery:
    return IndexQuery(question.title_vector, question.body_vector, question.hashes)


def _readable(
    scored: Sequence[Scored], found: Mapping[int, StoredRecord], query: MatchQuery
) -> dict[int, StoredRecord]:
    """Of what was looked up for all questions, what this one brought and its viewer may read."""
    # The store may be a moment ahead of the index: what was withdrawn or hidden since is left out.
    sight = query.viewer.sight
    own = (found[item.key] for item in scored if item.key in found)
    return {
        stored.key: shown(stored, query.viewer)
        for stored in own
        if stored.live and sight.shows(stored.record.kind, stored.record.visibility, stored.owner)
    }


def _owners(stored: Mapping[int, StoredRecord]) -> dict[int, str | None]:
    return {key: one.institution_id for key, one in stored.items()}


def _matches(entries: Sequence[Scored], stored: Mapping[int, StoredRecord], explainer: Explainer) -> list[Match]:
    matches = []
    for rank, entry in enumerate(entries, 1):
        record = stored[entry.key].record
        why = explainer.explain(record.title, record.abstract, entry.contributions)
        variants = tuple(stored[key] for key in entry.variants if key in stored)
        matches.append(Match(rank, round(entry.score, 4), entry.level, stored[entry.key], variants, why))
    return matches


def _suggested(entries: Sequence[Scored], stored: Mapping[int, StoredRecord], query: MatchQuery) -> list[Partner]:
    offers = [
        (stored[entry.key], entry.level, entry.score)
        for entry in entries
        if stored[entry.key].record.kind in OFFER_KINDS
    ]
    year = datetime.datetime.now(datetime.UTC).year
    return suggest(offers, query.asker, f"{query.title}\n{query.text}", year, query.partners)


class _Clock:
    """Milliseconds between marks."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.steps: dict[str, float] = {}

    def mark(self, step: str) -> None:
        """Book the time since the last mark under this step."""
        now = time.perf_counter()
        self.steps[step] = round((now - self._last) * 1000, 3)
        self._last = now
