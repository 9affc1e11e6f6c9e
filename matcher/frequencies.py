"""How common terms and n-grams are in a collection, counted by hash."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.segments import Bytes, Floats, Hashes, Integers, Segment

# Hashes are counted in this many buckets: 8 MB a table, and with half a million distinct terms about one
# in five shares its bucket with another, rare as a rule.
BUCKETS = 1 << 21
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


def statistics_of(parts: Iterable[tuple[Segment, NDArray[np.bool_]]], dimension: int) -> Statistics:
    """Statistics of the documents of several segments that are alive.

    :param parts: segments, each with bool (n,) that says which of its documents count.
    """
    terms, grams = np.zeros(BUCKETS, np.int32), np.zeros(BUCKETS, np.int32)
    title, body = np.zeros(dimension), np.zeros(dimension)
    documents, length = 0, 0.0
    for segment, alive in parts:
        of_terms = np.repeat(alive, np.diff(segment.term_offsets))
        of_grams = np.repeat(alive, np.diff(segment.gram_offsets))
        terms += count(segment.terms[of_terms])
        grams += count(segment.grams[of_grams])
        title += alive.astype(np.float32) @ segment.title
        body += alive.astype(np.float32) @ segment.body
        documents += int(alive.sum())
        length += float(weighted_counts(segment.title_counts[of_terms], segment.body_counts[of_terms]).sum())
    weights = inverse_frequency(grams, documents) ** 2
    count_or_one = max(1, documents)
    return Statistics(
        documents,
        length / count_or_one,
        terms,
        weights.astype(np.float32),
        (title / count_or_one).astype(np.float32),
        (body / count_or_one).astype(np.float32),
    )
