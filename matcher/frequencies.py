"""How common terms and n-grams are in a collection, counted by hash."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matcher.segments import Bytes, Floats, Hashes, Integers, Segment

# Hashes are counted in this many buckets: 8 MB a table, and with half a million distinct terms about one
# in five shares its bucket with another, rare as a rule.
BUCKETS = 1 << 21  # a power of two
# Okapi BM25's usual constants (Robertson & Zaragoza 2009, section 3.2).
K1, B = 1.2, 0.75
# A word in a document's title counts as this many in its body.
TITLE_WEIGHT = 3

Table = NDArray[np.int32]


@dataclass(frozen=True)
class Statistics:
    """What is known of a whole collection.

    :param documents: how many there are.
    :param length: mean number of terms, title terms counted `TITLE_WEIGHT` times.
    :param term_counts: int32 (BUCKETS,), documents that have a term, by bucket.
    :param gram_weights: float32 (BUCKETS,), squared weight of an n-gram, by bucket.
    :param title_mean: float32 (d,), middle of the title vectors; `body_mean` of the body vectors.
    """

    documents: int
    length: float
    term_counts: Table
    gram_weights: NDArray[np.float32]
    title_mean: Floats
    body_mean: Floats

    def term_frequencies(self, hashes: Hashes) -> Integers:
        """In how many documents each term stands: int64 (n,)."""
        return self.term_counts[hashes % BUCKETS].astype(np.int64)


def inverse_frequency(counts: NDArray[Any], documents: int) -> NDArray[np.float64]:
    """BM25's weight of terms that stand in `counts` of `documents` documents, never negative."""
    weights: NDArray[np.float64] = np.log1p((documents - counts + 0.5).clip(min=0.5) / (counts + 0.5))
    return weights


def weighted_counts(title_counts: Bytes, body_counts: Bytes) -> NDArray[np.float64]:
    """Term counts of documents, the title's weighing more."""
    return TITLE_WEIGHT * title_counts.astype(np.float64) + body_counts


def count(hashes: Hashes) -> Table:
    """Occurrences by bucket: int32 (BUCKETS,)."""
    return np.bincount(hashes % BUCKETS, minlength=BUCKETS).astype(np.int32)


class Counts:
    """Sums over a collection's documents, kept up to date by adding some and taking some away.

    :param documents: how many documents; `length` the sum of their weighted terms.
    :param terms: int32 (BUCKETS,), documents that have a term, by bucket; `grams` likewise of n-grams.
    :param title: float64 (d,), sum of the title vectors; `body` of the body vectors.
    """

    def __init__(self, dimension: int) -> None:
        self.documents = 0
        self.length = 0.0
        self.terms: Table = np.zeros(BUCKETS, np.int32)
        self.grams: Table = np.zeros(BUCKETS, np.int32)
        self.title = np.zeros(dimension)
        self.body = np.zeros(dimension)

    def add(self, segment: Segment, rows: Integers, sign: Literal[1, -1] = 1) -> None:
        """Count the documents at `rows`; with sign -1 take them away again."""
        if not len(rows):
            return
        chosen = segment if len(rows) == len(segment) else segment.select(rows)
        self.documents += sign * len(rows)
        self.length += sign * float(weighted_counts(chosen.title_counts, chosen.body_counts).sum())
        self.terms += sign * count(chosen.terms)
        self.grams += sign * count(chosen.grams)
        self.title += sign * np.asarray(chosen.title, np.float64).sum(axis=0)
        self.body += sign * np.asarray(chosen.body, np.float64).sum(axis=0)

    def statistics(self) -> Statistics:
        """The figures that ranking looks at."""
        count_or_one = max(1, self.documents)
        return Statistics(
            self.documents,
            self.length / count_or_one,
            self.terms,
            (inverse_frequency(self.grams, self.documents) ** 2).astype(np.float32),
            (self.title / count_or_one).astype(np.float32),
            (self.body / count_or_one).astype(np.float32),
        )

    def copy(self) -> Counts:
        """One to change while this one stays."""
        twin = Counts(len(self.title))
        twin.documents, twin.length = self.documents, self.length
        twin.terms, twin.grams = self.terms.copy(), self.grams.copy()
        twin.title, twin.body = self.title.copy(), self.body.copy()
        return twin

    def save(self, path: Path) -> None:
        """Write the sums as one ``.npz``; buckets that nothing fell into take no room."""
        arrays: dict[str, Any] = {"sums": np.array([self.documents, self.length])}
        for name in ("terms", "grams"):
            table = getattr(self, name)
            arrays[f"{name}_buckets"] = np.flatnonzero(table).astype(np.uint32)
            arrays[f"{name}_counts"] = table[arrays[f"{name}_buckets"]]
        with path.open("wb") as file:
            np.savez(file, title=self.title, body=self.body, **arrays)

    @classmethod
    def load(cls, path: Path) -> Counts:
        """Read what `save` wrote.

        :raises Exception: of several kinds, if the file is damaged.
        """
        with path.open("rb") as file, np.load(file) as arrays:
            counts = cls(len(arrays["title"]))
            counts.documents, counts.length = int(arrays["sums"][0]), float(arrays["sums"][1])
            for name in ("terms", "grams"):
                getattr(counts, name)[arrays[f"{name}_buckets"]] = arrays[f"{name}_counts"]
            counts.title, counts.body = arrays["title"], arrays["body"]
        return counts


def statistics_of(parts: Iterable[tuple[Segment, NDArray[np.bool_]]], dimension: int) -> Statistics:
    """Statistics of some of the documents of several segments.

    :param parts: segments, each with bool (n,) that says which of its documents count.
    """
    counts = Counts(dimension)
    for segment, chosen in parts:
        counts.add(segment, np.flatnonzero(chosen))
    return counts.statistics()
