"""How often terms stand in the public documents, as text that a server can keep: it counts none for its clients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matcher.frequencies import Counts
from matcher.milvus.rows import from_strings, pack_hashes, to_strings, unpack_hashes

_TABLES = ("terms", "grams")


def plus(counts: Counts, change: Counts) -> Counts:
    """Both together, as counts of their own."""
    total = counts.copy()
    total.documents += change.documents
    total.length += change.length
    for name in (*_TABLES, "title", "body"):
        setattr(total, name, getattr(total, name) + getattr(change, name))
    return total


def counts_to_strings(counts: Counts) -> list[str]:
    """As strings of at most `VARCHAR_BYTES`; buckets with nothing in them cost nothing."""
    sums = np.concatenate([[counts.documents, counts.length], counts.title, counts.body])
    parts = [sums.astype(np.float64).tobytes()]
    for name in _TABLES:
        table = getattr(counts, name)
        buckets = np.flatnonzero(table).astype(np.uint32)
        values = table[buckets].astype("<i4").view(np.uint8).reshape(-1, 4).T
        parts += [np.array([len(buckets)], "<u4").tobytes(), pack_hashes(buckets), values.tobytes()]
    return to_strings(b"".join(parts))


def counts_from_strings(strings: Sequence[str], dimension: int) -> Counts:
    """What `counts_to_strings` wrote.

    :raises ValueError, zlib.error: if a part is damaged.
    """
    data = from_strings(strings)
    sums = np.frombuffer(data, np.float64, 2 + 2 * dimension)
    counts = Counts(dimension)
    counts.documents, counts.length = int(sums[0]), float(sums[1])
    counts.title, counts.body = sums[2 : 2 + dimension].copy(), sums[2 + dimension :].copy()
    at = sums.nbytes
    for name in _TABLES:
        size = int(np.frombuffer(data, "<u4", 1, at)[0])
        buckets = unpack_hashes(data[at + 4 : at + 4 + 4 * size])
        values = np.frombuffer(data, np.uint8, 4 * size, at + 4 + 4 * size).reshape(4, -1).T
        getattr(counts, name)[buckets] = np.ascontiguousarray(values).view("<i4").ravel()
        at += 4 + 8 * size
    return counts
