"""All questions at once: every need against the offers, or every offer against the needs.

Records are their own questions: their vectors, words and n-grams are in the index, so nothing is embedded
or tokenised. Blocks of questions go through recall and ranking as a few large array operations each, in as
many processes as there are cores. What a process finishes is written down at once; a run that was killed
goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matcher.documents import Filters, IndexQuery, passing
from matcher.features import Pairs, Question
from matcher.index import Index
from matcher.rank import Ranker, Scored, best_pairs, fold, fuse, predicted_levels
from matcher.records import OFFER_KINDS, Kind, Visibility
from matcher.segments import Floats, Integers, Segment, map_array
from matcher.store import Store
from matcher.text import normalize

# Questions that go through recall and ranking together; with some hundred candidates each, their arrays
# take some 100 MB.
BLOCK = 64

Side = Literal["needs", "offers"]
# How a command names the sides.
SIDES: Mapping[str, Side] = {"need": "needs", "offer": "offers"}


@dataclass(frozen=True, kw_only=True)
class BatchQuery:
    """Which records ask, and what may be found.

    :param asking: the side whose records ask; those of the other side are found.
    :param visibilities: of records on either side; there is no default on purpose.
    :param programmes: of the records that ask; empty does not restrict. `provinces` likewise.
    :param limit: matches of one question at most.
    """

    asking: Side
    visibilities: tuple[Visibility, ...]
    programmes: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    limit: int
    min_level: int

    @property
    def asking_kinds(self) -> tuple[Kind, ...]:
        """Kinds of the records that ask."""
        return ("need",) if self.asking == "needs" else OFFER_KINDS

    def filters(self) -> tuple[Filters, Filters]:
        """Who may ask, and who may be found."""
        found: tuple[Kind, ...] = OFFER_KINDS if self.asking == "needs" else ("need",)
        of_asking = Filters(
            visibilities=self.visibilities,
            kinds=self.asking_kinds,
            programmes=self.programmes,
            provinces=self.provinces,
        )
        return of_asking, Filters(visibilities=self.visibilities, kinds=found)


@dataclass(frozen=True)
class Matches:
    """Matches of some questions, one row a pair, questions in the order of their keys, best match first.

    :param questions: int64 (p,), the store's number of the record that asks; `found` int64 (p,) of the match.
    :param scores: float32 (p,), as in `matcher.rank.Scored`; `levels` uint8 (p,).
    """

    questions: Integers
    found: Integers
    scores: NDArray[np.float32]
    levels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.questions)

    def save(self, path: Path) -> None:
        """Write the arrays, complete or not at all."""
        # Named for the process: one that has lost its parent may still be writing the same.
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                np.savez(file, **vars(self))
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)  # on a full disk it would keep the room that the next run needs
            raise

    @classmethod
    def load(cls, path: Path) -> Matches:
        """Read what `save` wrote."""
        with path.open("rb") as file, np.load(file) as arrays:
            return cls(*(arrays[field.name] for field in fields(cls)))


@dataclass(frozen=True)
class NeedVectors:
    """Needs' vectors as questions, for models that embed questions otherwise than documents.

    :param keys: int64 (n,), ascending.
    :param titles: float32 (n, d); `bodies` of title and abstract together.
    """

    keys: Integers
    titles: NDArray[np.float32]
    bodies: NDArray[np.float32]

    def save(self, folder: Path) -> None:
        """Write the arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in vars(self).items():
            np.save(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> NeedVectors:
        """Map what `save` wrote."""
        return cls(*(map_array(folder / f"{field.name}.npy") for field in fields(cls)))


@dataclass(frozen=True)
class BatchMatcher:
    """Matches records that ask, a block at a time.

    :param recall: candidates each engine brings; `compared` how many of them are compared closely; `depth`
        how many of the best are looked through for families.
    :param needs: their vectors as questions; None where those in the index will do.
    """

    index: Index
    store: Store
    ranker: Ranker
    recall: int
    compared: int
    depth: int
    needs: NeedVectors | None = None

    def match(self, keys: Sequence[int], query: BatchQuery) -> Matches:
        """Match the records with these keys; those that the query does not let ask are passed over."""
        return joined([self._block(keys[start : start + BLOCK], query) for start in range(0, len(keys), BLOCK)])

    def _block(self, keys: Sequence[int], query: BatchQuery) -> Matches:
        asking, wanted = query.filters()
        askers = self.index.documents(np.array(keys, np.int64))
        standing = self.store.standing(askers.keys.tolist(), asking.visibilities)
        chosen = passing(askers, asking) & np.isin(askers.keys, np.array(list(standing), np.int64))
        if not chosen.any():
            return joined([])
        askers = askers.select(np.flatnonzero(chosen))
        asked = self._questions(askers, query.asking)
        found = self.index.search_many(
            [IndexQuery(one.title_vector, one.body_vector, one.hashes) for one in asked], wanted, self.recall
        )
        candidates = [fuse(rankings, self.compared) for rankings in found]
        keys_found = np.concatenate(candidates)
        documents = self.index.documents(np.unique(keys_found))
        questions = np.repeat(np.arange(len(asked)), [len(own) for own in candidates])
        there = np.isin(keys_found, documents.keys)
        pairs = Pairs(questions[there], np.searchsorted(documents.keys, keys_found[there]))
        best = self._ranked(query, askers, asked, documents, pairs)
        # The store's latest word: what was withdrawn or hidden a moment ago is left out.
        owners = self.store.standing(sorted({item.key for own in best for item in own}), wanted.visibilities)
        entries = [fold([item for item in own if item.key in owners], documents, owners) for own in best]
        rows = zip(askers.keys.tolist(), entries, strict=True)
        return joined([_matches(key, own[: query.limit]) for key, own in rows])

    def _ranked(
        self, query: BatchQuery, askers: Segment, asked: Sequence[Question], documents: Segment, pairs: Pairs
    ) -> list[list[Scored]]:
        """For each that asks its best documents, best first."""
        statistics = self.index.statistics()
        if query.asking == "needs":
            compared = self.ranker.compare_pairs(asked, documents, pairs, statistics)
        else:  # whoever begins, the need is what an offer is compared with
            turned = Pairs(pairs.documents, pairs.questions)
            compared = self.ranker.compare_pairs(self._questions(documents, "needs"), askers, turned, statistics)
        levels, scores = predicted_levels(compared.probabilities), compared.probabilities.mean(axis=1)
        found = documents.keys[pairs.documents]
        count, depth = len(asked), max(self.depth, 2 * query.limit)
        best = best_pairs(levels, scores, found, pairs.questions, [query.min_level] * count, [depth] * count)
        return [[Scored(int(found[i]), float(scores[i]), int(levels[i]), {}) for i in own] for own in best]

    def _questions(self, documents: Segment, side: Side) -> list[Question]:
        """Documents as questions, with their own vectors for it where there are any."""
        titles, bodies = documents.title, documents.body
        if self.needs and side == "needs" and len(self.needs.keys):
            places = np.searchsorted(self.needs.keys, documents.keys).clip(max=len(self.needs.keys) - 1)
            known = (self.needs.keys[places] == documents.keys)[:, None]  # not those of a moment ago
            titles = np.where(known, self.needs.titles[places], titles)
            bodies = np.where(known, self.needs.bodies[places], bodies)
        texts = self.store.texts(documents.keys.tolist()) if self.ranker.remembers else {}
        return as_questions(documents, texts, titles, bodies)


def as_questions(
    documents: Segment, texts: Mapping[int, tuple[str, str]], titles: Floats, bodies: Floats
) -> list[Question]:
    """Documents as questions. Their words are known by hash only.

    :param texts: titles and abstracts by key, which only a ranker that remembers needs.
    :param titles: float32 (n, d), the documents' vectors as questions; `bodies` likewise.
    """
    questions = []
    for i, key in enumerate(documents.keys.tolist()):
        terms = slice(documents.term_offsets[i], documents.term_offsets[i + 1])
        hashes, in_title = documents.terms[terms], documents.title_counts[terms] > 0
        title, text = (normalize(part) for part in texts.get(key, ("", "")))
        questions.append(
            Question(
                title,
                text,
                titles[i],
                bodies[i],
                [],
                hashes,
                hashes[in_title] if in_title.any() else hashes,
                documents.grams[documents.gram_offsets[i] : documents.gram_offsets[i + 1]],
                int(documents.programmes[i]),
            )
        )
    return questions


def _matches(key: int, entries: Sequence[Scored]) -> Matches:
    return Matches(
        np.full(len(entries), key, np.int64),
        np.array([entry.key for entry in entries], np.int64),
        np.array([entry.score for entry in entries], np.float32),
        np.array([entry.level for entry in entries], np.uint8),
    )


def joined(parts: Sequence[Matches]) -> Matches:
    """Several as one, in order."""
    empty = _matches(0, [])
    return Matches(
        *(np.concatenate([getattr(one, field.name) for one in (empty, *parts)]) for field in fields(Matches))
    )
