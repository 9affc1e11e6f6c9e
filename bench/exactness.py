"""What the index finds, against comparing every vector."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import Figures, percentiles

from matcher.documents import Filters, IndexQuery
from matcher.index import LocalIndex
from matcher.records import OFFER_KINDS
from matcher.segments import Floats, Integers
from matcher.snapshot import Field, Snapshot

# What an enterprise's question is answered from.
OFFERS = Filters(visibilities=("public",), kinds=OFFER_KINDS)
DEPTHS = (10, 100)
FIELDS: tuple[Field, ...] = ("title", "body")
# Vectors compared at a time: with the questions' scores some 100 MB.
BLOCK = 50_000


def against_exact(home: Path, model: str, titles: Floats, bodies: Floats) -> dict[str, Figures]:
    """By field: recall at `DEPTHS`, and milliseconds of one search for the deepest, in the calling thread.

    :param titles: float32 (q, d), questions for the titles; `bodies` for the bodies.
    """
    index = opened(home, model, titles.shape[1])
    assert index.snapshot
    no_words = np.empty(0, np.uint32)
    queries = [IndexQuery(title, body, no_words) for title, body in zip(titles, bodies, strict=True)]
    # A search of its own for each depth: what is asked for ten is not the top of what is asked for a hundred.
    found = {depth: [index.search(query, OFFERS, depth) for query in queries] for depth in DEPTHS}
    figures: dict[str, Figures] = {}
    for field, vectors in zip(FIELDS, (titles, bodies), strict=True):
        times = search_times(index.snapshot, field, vectors, max(DEPTHS))
        true = exact(index.snapshot, field, vectors, max(DEPTHS))
        recalls = {f"recall@{depth}": recall([own[field] for own in found[depth]], true, depth) for depth in DEPTHS}
        figures[field] = recalls | {f"{name}_ms": value for name, value in percentiles(times).items()}
    return figures


def opened(home: Path, model: str, dimension: int) -> LocalIndex:
    """A home's index, loaded."""
    index = LocalIndex(home / "index", model, dimension)
    index.refresh()
    return index


def recall(found: Sequence[Integers], true: Integers, depth: int) -> float:
    """Share of each question's true nearest among what was found, on average.

    :param found: keys by question; `true` int64 (q, at least depth), nearest first.
    """
    wanted = true[:, :depth]
    shares = [np.isin(own, keys[:depth]).mean() for own, keys in zip(wanted, found, strict=True)]
    return round(float(np.mean(shares)), 5)


def exact(snapshot: Snapshot, field: Field, questions: Floats, depth: int) -> Integers:
    """Keys of the nearest offers, nearest first: int64 (q, depth), or fewer where there are fewer."""
    allowed, _ = snapshot.allowed(OFFERS)
    scores = np.empty((len(questions), 0), np.float32)
    keys = np.empty((len(questions), 0), np.int64)
    for segment, first in zip(snapshot.segments, snapshot.starts, strict=False):
        vectors: Floats = getattr(segment.arrays, field)
        for start in range(0, len(segment), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(segment)))
            rows = rows[allowed[first + rows]]
            scores = np.hstack([scores, questions @ vectors[rows].T])
            keys = np.hstack([keys, np.tile(segment.arrays.keys[rows], (len(questions), 1))])
            kept = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
            scores, keys = np.take_along_axis(scores, kept, 1), np.take_along_axis(keys, kept, 1)
    return keys


def search_times(snapshot: Snapshot, field: Field, questions: Floats, depth: int) -> list[float]:
    """Milliseconds of a search of one field for each question, the second time that it is asked."""
    allowed, count = snapshot.allowed(OFFERS)
    times = []
    for last in (False, True):
        for question in questions:
            start = time.perf_counter()
            snapshot._nearest(field, question[None], allowed, min(depth, count))
            if last:
                times.append((time.perf_counter() - start) * 1000)
    return times
