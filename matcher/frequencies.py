"""How common terms and n-grams are in a collection, counted by hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matcher.segments import Bytes, Hashes, Integers, Segment

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
    :param term_frequencies: hashes to the number of documents that have them; `gram_frequencies` likewise.
    """

    documents: int
    length: float
    term_frequencies: Callable[[Hashes], Integers]
    gram_frequencies: Callable[[Hashes], Integers]


def weighted_counts(title_counts: Bytes, body_counts: Bytes) -> NDArray[np.float64]:
    """Term counts of documents, the title's weighing more."""
    return TITLE_WEIGHT * title_counts.astype(np.float64) + body_counts


def count(hashes: Hashes) -> Table:
    """Occurrences by bucket: int32 (BUCKETS,)."""
    return np.bincount(hashes % BUCKETS, minlength=BUCKETS).astype(np.int32)


def statistics_of(parts: Iterable[tuple[Segment, NDArray[np.bool_]]]) -> Statistics:
    """Statistics of the documents of several segments that are alive.

    :param parts: segments, each with bool (n,) that says which of its documents count.
    """
    terms, grams = np.zeros(BUCKETS, np.int32), np.zeros(BUCKETS, np.int32)
    documents, length = 0, 0.0
    for segment, alive in parts:
        of_terms = np.repeat(alive, np.diff(segment.term_offsets))
        of_grams = np.repeat(alive, np.diff(segment.gram_offsets))
        terms += count(segment.terms[of_terms])
        grams += count(segment.grams[of_grams])
        documents += int(alive.sum())
        length += float(weighted_counts(segment.title_counts[of_terms], segment.body_counts[of_terms]).sum())
    return Statistics(
        documents,
        length / max(1, documents),
        lambda hashes: terms[hashes % BUCKETS].astype(np.int64),
        lambda hashes: grams[hashes % BUCKETS].astype(np.int64),
    )
