"""Duplicates as callers meet them: look for them, list them, decide, read a merged record's sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matcher.audit import OPERATOR_ACCOUNT
from matcher.duplicates import Finder, Report
from matcher.embed import Progress
from matcher.errors import NotFound
from matcher.index import Index
from matcher.merges import State
from matcher.proposals import Decision, Proposal, Proposals, no_pair
from matcher.rows import StoredRecord
from matcher.sources import SeenPair, Source, sources
from matcher.store import Store, no_record
from matcher.visibility import Viewer


class Duplicates:
    """Of one installation.

    Whatever is listed or decided passes `visible`, so that nobody learns of a record that he may not see.
    """

    def __init__(
        self,
        store: Store,
        index: Callable[[], Index],
        visible: Callable[[Sequence[str], Viewer], Mapping[str, StoredRecord]],
    ) -> None:
        """Nothing is loaded before it is needed.

        :param visible: records by id, as a viewer may read them; those that he may not see are left out.
        """
        self._store = store
        self._index = index
        self._visible = visible
        self._proposals = Proposals(store)

    def run(self, progress: Progress | None = None, everything: bool = False) -> Report:
        """Compare what has changed since the last time with all that the index knows; see `Finder.run`.

        What is merged leaves the answers at once, and the index with the next `Matcher.catch_up`.
        """
        return Finder(self._store, self._index()).run(progress, everything)

    def pairs(self, viewer: Viewer, state: State = "proposed", after: int = 0, limit: int = 100) -> list[SeenPair]:
        """Pairs in a state, by number, of which this viewer may see both records.

        :param after: the number of the last one seen.
        """
        found: list[SeenPair] = []
        while len(found) < limit and (page := self._proposals.page(state, after, limit)):
            found += self._seen(page, viewer)
            after = page[-1].number
        return found[:limit]

    def pair(self, number: int, viewer: Viewer) -> SeenPair:
        """One pair, by its number.

        :raises NotFound: if there is none, or none of which this viewer may see both records.
        """
        seen = self._seen([self._proposals.get(number)], viewer)
        if not seen:
            raise NotFound(no_pair(number))
        return seen[0]

    def decide(self, decision: Decision, number: int, viewer: Viewer) -> SeenPair:
        """Merge a pair, reject it, or undo its merge; see `Proposals`. Whether the role may do so is the caller's.

        :returns: the pair as it is afterwards.
        :raises NotFound: if there is none, or none of which this viewer may see both records.
        :raises Conflict: if the pair is not in a state for it.
        """
        self.pair(number, viewer)
        self._proposals.decide(decision, number, viewer.account or OPERATOR_ACCOUNT)
        return self.pair(number, viewer)

    def sources(self, id_: str, viewer: Viewer) -> list[Source]:
        """The records that a merged record was made of, those that this viewer may see, the one that leads first.

        :raises NotFound: if there is no such record, or none that this viewer may see.
        """
        group = self._proposals.group(id_)
        records = self._visible(group, viewer)
        if id_ not in records:
            raise NotFound(no_record(id_))
        return sources([records[one] for one in group if one in records], viewer)

    def _seen(self, page: Sequence[Proposal], viewer: Viewer) -> list[SeenPair]:
        stored = self._store.by_key(sorted({key for pair in page for key in (pair.first, pair.second)}))
        visible = self._visible([one.id for one in stored.values()], viewer)
        by_key = {one.key: one for one in visible.values()}
        return [
            SeenPair(pair, by_key[pair.first], by_key[pair.second])
            for pair in page
            if pair.first in by_key and pair.second in by_key
        ]
