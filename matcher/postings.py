"""BM25 over words: which documents of a segment have a term, as arrays that readers map into memory.

A term's documents stand in a row, each with its impact: the part of BM25 that does not depend on the
question or on other documents. A search adds up a few of these rows and picks the best documents that the
filters let through, so a filter costs nothing and hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matcher.frequencies import K1, B, Statistics, inverse_frequency, weighted_counts
from matcher.segments import Bytes, Floats, Hashes, Integers, Segment, map_array, write_array

# Words of one question, rarest first: the time grows with them, and common ones tell little.
QUERY_TERMS = 32
# Entries read for one question. Past that only words are left that stand in a good share of a large
# collection: without a bound a question would cost ten times as much in a collection ten times as large.
QUERY_ENTRIES = 1_000_000
# The length at which a document's terms are neither damped nor lifted: that of a patent's title and abstract
# (mean of 4,097: 91 weighted terms). Not the collection's own mean, which would change every impact with
# every document.
USUAL_LENGTH = 100
# An impact lies between 0 and 1 and is kept in eight bits.
IMPACT_SCALE = 255
# Entries sorted at a time while a segment is written: some 100 MB.
SORTED_ENTRIES = 1 << 22
# The bound that candidates must reach is taken from at least this many times the documents wanted.
SAMPLED = 4


@dataclass(frozen=True)
class Postings:
    """One segment's terms.

    :param terms: uint32 (t,), hashes of all terms, ascending.
    :param offsets: int64 (t + 1,), bounds of each term's entries.
    :param rows: int32 (e,), documents, ascending within a term.
    :param impacts: uint8 (e,), in 255ths.
    """

    terms: Hashes
    offsets: Integers
    rows: NDArray[np.int32]
    impacts: Bytes

    @classmethod
    def load(cls, folder: Path) -> Postings:
        """Map what `write` wrote.

        :raises OSError, ValueError: if a file is missing or damaged.
        """
        return cls(**{field.name: map_array(_file(folder, field.name)) for field in fields(cls)})

    def search(self, terms: Hashes, weights: Floats, allowed: NDArray[np.bool_], limit: int) -> tuple[Integers, Floats]:
        """The best documents with their scores, best first, ties in their own order.

        :param terms: rarest first; `weights` float32, of each.
        :param allowed: bool (n,), which documents may be found.
        :returns: rows and scores of at most `limit` documents that have any of the terms.
        """
        from scipy.sparse import csc_array

        places = np.searchsorted(self.terms, terms)
        places[places == len(self.terms)] = 0
        here = self.terms[places] == terms if len(self.terms) else np.zeros(len(terms), np.bool_)
        bounds = [(int(self.offsets[place]), int(self.offsets[place + 1])) for place in places[here]]
        if not bounds:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows = [self.rows[start:stop] for start, stop in bounds]
        impacts = np.concatenate([self.impacts[start:stop] for start, stop in bounds]).astype(np.float32)
        ends = np.cumsum([0, *(stop - start for start, stop in bounds)], dtype=np.int32)
        entries = csc_array((impacts, np.concatenate(rows), ends), shape=(len(allowed), len(bounds)))
        return _best(entries @ (weights[here] / IMPACT_SCALE), rows, allowed, limit)


def _best(
    scores: Floats, rows: Sequence[NDArray[np.int32]], allowed: NDArray[np.bool_], limit: int
) -> tuple[Integers, Floats]:
    """The highest scores among the allowed, without sorting them all.

    The documents of the rarest terms give a bound that the last of the best reaches at least.
    """
    sample = np.empty(0, np.int64)
    for own in rows:
        sample = np.concatenate([sample, own[allowed[own]]])
        if len(sample) >= SAMPLED * limit:
            sample = np.unique(sample)  # the rarest terms may all stand in the same few documents
            if len(sample) > limit:
                break
    sample = np.unique(sample)
    if len(sample) > limit:
        bound = np.partition(scores[sample], -limit)[-limit]
        found = np.flatnonzero(scores >= bound)
        found = found[allowed[found]]
    else:  # no more terms are left: these are all
        found = sample
    order = np.lexsort((found, -scores[found]))[:limit]
    return found[order], scores[found[order]]


def asked_terms(terms: Hashes, statistics: Statistics) -> tuple[Hashes, Floats]:
    """The terms of a question to look up, rarest first, with their weights.

    Terms that no public document has are looked up beside the others: who may see hidden documents finds
    them by these, and for all others nothing changes.

    :param terms: of the question, each once.
    """
    counts = statistics.term_frequencies(terms)
    order = np.argsort(counts, kind="stable")
    terms, counts = terms[order], counts[order]
    public = counts > 0
    kept = ~public | ((np.cumsum(public) <= QUERY_TERMS) & (np.cumsum(counts) - counts < QUERY_ENTRIES))
    return terms[kept], inverse_frequency(counts[kept], statistics.documents).astype(np.float32)


def write(segment: Segment, folder: Path) -> None:
    """Write the postings of a segment beside its other arrays and make them durable."""
    entries = len(segment.terms)
    terms: list[Hashes] = []
    counts: list[Integers] = []
    rows: list[NDArray[np.int32]] = []
    impacts: list[Bytes] = []

    for own_terms, own_rows, own_impacts in _by_hash(segment, -(-entries // SORTED_ENTRIES)):
        order = np.argsort(own_terms, kind="stable")
        distinct, own_counts = np.unique(own_terms, return_counts=True)
        terms.append(distinct)
        counts.append(own_counts)
        rows.append(own_rows[order])
        impacts.append(own_impacts[order])
    all_terms = np.concatenate([np.empty(0, np.uint32), *terms])
    offsets = np.cumsum([0, *np.concatenate([np.empty(0, np.int64), *counts])]).astype(np.int64)
    write_array(_file(folder, "terms"), all_terms.shape, all_terms.dtype, [all_terms])
    write_array(_file(folder, "offsets"), offsets.shape, offsets.dtype, [offsets])
    write_array(_file(folder, "rows"), (entries,), np.dtype(np.int32), rows)
    write_array(_file(folder, "impacts"), (entries,), np.dtype(np.uint8), impacts)


def _file(folder: Path, name: str) -> Path:
    return folder / f"posting_{name}.npy"


def _by_hash(segment: Segment, parts: int) -> Iterator[tuple[Hashes, NDArray[np.int32], Bytes]]:
    """A segment's entries in so many ranges of their terms' hashes, each in the order of documents."""
    impacts = _impacts(segment)
    bounds = np.linspace(0, 1 << 32, parts + 1).astype(np.int64)
    for low, high in pairwise(bounds.tolist()):
        places = np.flatnonzero((segment.terms >= low) & (segment.terms < high))
        owners = np.searchsorted(segment.term_offsets, places, side="right") - 1
        yield segment.terms[places], owners.astype(np.int32), impacts[places]


def _impacts(segment: Segment) -> Bytes:
    """BM25's saturated term frequency of every entry, in 255ths: uint8 (e,)."""
    impacts = np.empty(len(segment.terms), np.uint8)
    rows_at_once = 1 << 16
    for start in range(0, len(segment), rows_at_once):
        offsets = segment.term_offsets[start : start + rows_at_once + 1]
        own = slice(int(offsets[0]), int(offsets[-1]))
        frequency = weighted_counts(segment.title_counts[own], segment.body_counts[own])
        owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        lengths = np.bincount(owners, frequency, minlength=len(offsets) - 1)
        damping = K1 * (1 - B + B * lengths[owners] / USUAL_LENGTH)
        impacts[own] = np.rint(frequency / (frequency + damping) * IMPACT_SCALE).clip(1)
    return impacts
