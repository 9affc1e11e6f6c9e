"""Looks for records that describe one thing: neighbours in the index, compared text by text.

Only what has changed since the last time is compared, with all that there is. The index brings for each record
its nearest by title and by text; of these only pairs that share characters enough are read and scored, a block
of records at a time, so that memory does not grow with the collection. What was finished before a kill is kept.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from matcher.documents import VISIBILITY_ORDER, Filters, IndexQuery
from matcher.index import Index
from matcher.likeness import Face, compare, face_of, weights
from matcher.merges import text_digest
from matcher.proposals import Finding, Proposals
from matcher.records import KINDS
from matcher.rows import StoredRecord
from matcher.segments import Hashes, Segment
from matcher.store import Store

# Records compared together; with their neighbours' arrays some 50 MB.
BLOCK = 128
# Neighbours by title, and as many by text. A record with more copies than that finds the others by way of them.
NEIGHBOURS = 10
# Pairs that share fewer of the smaller one's character n-grams are not read: of the duplicates made by
# bench/duplicates.py the least alike share .33.
LEAST_SHARED = 0.3
# Texts made ready for comparison and kept for the next blocks.
KEPT_FACES = 2000


@dataclass(frozen=True)
class Report:
    """What a search did.

    :param looked: records that had changed since the last one.
    :param merged: pairs merged at once; `proposed` those left to a person.
    """

    looked: int
    merged: int
    proposed: int


class Finder:
    """Searches one installation for duplicates."""

    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index
        self._proposals = Proposals(store)
        self._faces: OrderedDict[tuple[int, int], Face] = OrderedDict()

    def run(self, progress: Callable[[int, int], None] | None = None, everything: bool = False) -> Report:
        """Compare what has changed and the index knows already.

        :param progress: is told (records done, records).
        :param everything: compare all records anew, as after a change of the weights.
        """
        reached = 0 if everything else self._proposals.progress()
        last = self._index.revision
        total, done = max(0, self._store.count_changes(reached) - self._store.count_changes(last)), 0
        counts: Counter[str] = Counter()
        while changes := [one for one in self._store.changes(reached, BLOCK) if one.revision <= last]:
            reached = changes[-1].revision
            live = [one for one in changes if one.live and one.record.kind != "institution"]
            self._proposals.identify([one.key for one in live])
            pairs = self._candidates(live) | set(self._proposals.open_with([one.key for one in live]))
            counts.update(self._proposals.note(self._compare(pairs), reached))
            counts["looked"] += len(live)
            done += len(changes)
            if progress:
                progress(min(done, total), total)
        return Report(counts["looked"], counts["merged"], counts["proposed"])

    def _candidates(self, records: Sequence[StoredRecord]) -> set[tuple[int, int]]:
        """Pairs of these records and others, the smaller key first, that may be alike."""
        own = self._index.documents(np.array([one.key for one in records], np.int64))
        found: dict[int, set[int]] = {}
        for kind in np.unique(own.kind):
            rows = np.flatnonzero(own.kind == kind)
            queries = [IndexQuery(own.title[row], own.body[row], _NO_TERMS) for row in rows]
            filters = Filters(visibilities=VISIBILITY_ORDER, kinds=(KINDS[int(kind)],))
            near = self._index.search_many(queries, filters, NEIGHBOURS)
            for row, rankings in zip(rows, near, strict=True):
                key = int(own.keys[row])
                found[key] = {int(other) for ranking in rankings.values() for other in ranking} - {key}
        return _sharing(own, self._index.documents(_unique(found.values())), found)

    def _compare(self, pairs: Iterable[tuple[int, int]]) -> list[Finding]:
        """Score pairs; what is too unlike to be shown counts only where it had been shown before."""
        ordered = sorted(pairs)
        records = self._store.by_key(sorted({key for pair in ordered for key in pair}))
        own, findings = weights(), []
        for first, second in ordered:
            if first not in records or second not in records:
                continue
            one, other = records[first], records[second]
            like = compare(self._face(one), self._face(other))
            sure = like.score >= own.automatic
            findings.append(
                Finding(
                    first,
                    second,
                    like.score,
                    like.why,
                    "".join(text_digest(each.record.title, each.record.abstract) for each in (one, other)),
                    automatic=sure and like.mergeable,
                    # Patents with numbers of their own are two, and worth a question only where the texts are one.
                    proposed=sure if like.conflict else like.score >= own.proposed,
                )
            )
        return findings

    def _face(self, stored: StoredRecord) -> Face:
        place = stored.key, stored.revision
        face = self._faces.get(place)
        if face is None:
            face = self._faces[place] = face_of(stored.record, stored.institution_id)
            if len(self._faces) > KEPT_FACES:
                self._faces.popitem(last=False)
        else:
            self._faces.move_to_end(place)
        return face


def _sharing(own: Segment, others: Segment, found: dict[int, set[int]]) -> set[tuple[int, int]]:
    """Of the pairs found those that share n-grams enough."""
    grams = {int(key): _grams(own, row) for row, key in enumerate(own.keys)}
    grams |= {int(key): _grams(others, row) for row, key in enumerate(others.keys)}
    pairs = {(min(key, other), max(key, other)) for key, near in found.items() for other in near if other in grams}
    return {pair for pair in pairs if _share(grams[pair[0]], grams[pair[1]]) >= LEAST_SHARED}


def _grams(documents: Segment, row: int) -> Hashes:
    own: Hashes = documents.grams[documents.gram_offsets[row] : documents.gram_offsets[row + 1]]
    return own


def _share(first: Hashes, second: Hashes) -> float:
    least = min(len(first), len(second))
    return len(np.intersect1d(first, second, assume_unique=True)) / least if least else 0.0


def _unique(sets: Iterable[set[int]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(sorted(set().union(*sets)), np.int64)


_NO_TERMS: Hashes = np.empty(0, np.uint32)
