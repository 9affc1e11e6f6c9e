"""How often terms stand in the public documents, kept beside them: a server counts no terms for its clients."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from matcher.documents import VISIBILITY_ORDER
from matcher.frequencies import BUCKETS, Statistics, Table, count, inverse_frequency, weighted_counts
from matcher.milvus.rows import from_strings, pack_hashes, to_strings, unpack_hashes
from matcher.segments import Segment


@dataclass(frozen=True)
class Counts:
    """Sums over documents, which later documents can be added to and earlier ones taken from.

    :param numbers: float64 (2,), documents and terms, title terms counted as `Statistics` has it.
    :param title: float64 (d,), sum of the title vectors; `body` of the body vectors.
    :param terms: int32 (BUCKETS,), documents that have a term, by bucket; `grams` likewise.
    """

    numbers: NDArray[np.float64]
    title: NDArray[np.float64]
    body: NDArray[np.float64]
    terms: Table
    grams: Table

    @classmethod
    def empty(cls, dimension: int) -> Counts:
        """Of no documents."""
        table, vector = np.zeros(BUCKETS, np.int32), np.zeros(dimension)
        return cls(np.zeros(2), vector, vector, table, table)

    @classmethod
    def of(cls, segment: Segment) -> Counts:
        """Of the public documents of a segment."""
        public = segment.select(np.flatnonzero(segment.visibility == VISIBILITY_ORDER.index("public")))
        length = float(weighted_counts(public.title_counts, public.body_counts).sum())
        return cls(
            np.array([len(public), length]),
            public.title.sum(axis=0, dtype=np.float64),
            public.body.sum(axis=0, dtype=np.float64),
            count(public.terms),
            count(public.grams),
        )

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def minus(self, other: Counts) -> Counts:
        """The one without the other."""
        return Counts(*(getattr(self, field.name) - getattr(other, field.name) for field in fields(self)))

    def statistics(self) -> Statistics:
        """As ranking wants them."""
        documents, length = int(self.numbers[0]), float(self.numbers[1])
        one = max(1, documents)
        return Statistics(
            documents,
            length / one,
            self.terms,
            (inverse_frequency(self.grams, documents) ** 2).astype(np.float32),
            (self.title / one).astype(np.float32),
            (self.body / one).astype(np.float32),
        )

    def to_strings(self) -> list[str]:
        """As strings of at most `VARCHAR_BYTES`; buckets with nothing in them cost nothing."""
        parts = [self.numbers.tobytes(), self.title.tobytes(), self.body.tobytes()]
        for table in (self.terms, self.grams):
            buckets = np.flatnonzero(table).astype(np.uint32)
            values = table[buckets].astype("<i4").view(np.uint8).reshape(-1, 4).T
            parts += [np.array([len(buckets)], "<u4").tobytes(), pack_hashes(buckets), values.tobytes()]
        return to_strings(b"".join(parts))

    @classmethod
    def from_strings(cls, strings: list[str], dimension: int) -> Counts:
        """What `to_strings` wrote.

        :raises ValueError, zlib.error: if a part is missing or damaged.
        """
        data = from_strings(strings)
        sums = np.frombuffer(data, np.float64, 2 + 2 * dimension)
        at, tables = sums.nbytes, []
        for _ in range(2):
            size = int(np.frombuffer(data, "<u4", 1, at)[0])
            buckets = unpack_hashes(data[at + 4 : at + 4 + 4 * size])
            bytes_ = np.frombuffer(data, np.uint8, 4 * size, at + 4 + 4 * size).reshape(4, -1).T
            table = np.zeros(BUCKETS, np.int32)
            table[buckets] = np.ascontiguousarray(bytes_).view("<i4").ravel()
            tables.append(table)
            at += 4 + 8 * size
        return cls(sums[:2], sums[2 : 2 + dimension], sums[2 + dimension :], *tables)
