"""Changes to the index on a Milvus server, one generation after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from matcher.documents import VISIBILITY_ORDER, IndexDocument, segment_of
from matcher.errors import DamagedIndex, IndexUnavailable
from matcher.frequencies import Counts
from matcher.milvus.counts import plus
from matcher.milvus.log import MAX_CHAIN, Log, State, now
from matcher.milvus.rows import ALIVE, INDEXES, ROW_FIELDS, fields, rows_of, segment_from, with_keys
from matcher.milvus.server import Row, Server
from matcher.segments import Segment, concatenate

# How long a reader may go on with a generation that was replaced. A server refreshes every second and a
# command ends within minutes; a reader that is later than this may miss documents.
RETENTION_SECONDS = 600.0
# A session that has written so many rows has them sealed at its end: milvus-lite indexes only what is. A cluster
# seals by itself; it allows a seal every ten seconds or so, too few for one a flush.
SEAL_ROWS = 1000
# Rows read and written back by one request: some 2 MB, 60 MB if all are of the greatest length.
REWRITE = 128


class MilvusWriter:
    """See `matcher.index.Writer`.

    What a flush does, in this order: old versions of the documents are marked as dead from the next
    generation on, the new ones written as born in it, then its counts, then the row that publishes it.
    Of one killed in between, the next writer takes back the marks and deletes the rest.
    """

    def __init__(
        self,
        server: Server,
        log: Log,
        prefix: str,
        dimension: int,
        held: tuple[State, Counts] | None,
        published: Callable[[], object],
    ) -> None:
        """:param held: the generation to go on from; None to start from nothing.

        :param published: is called after each generation that readers can see.
        """
        self._server = server
        self._log = log
        self._prefix = prefix
        self._dimension = dimension
        self._published = published
        self._added: dict[int, IndexDocument] = {}
        self._deleted: set[int] = set()
        self._failed = False
        self._unsealed = 0
        if held:
            self._state, self._counts = held
        else:
            self._state = State(0, 0, "", 0, (0,) * len(VISIBILITY_ORDER), (), 0.0)
            self._counts = Counts(dimension)
        # What the counts lack since the last generation that was published.
        self._change = Counts(dimension)
        self._number = self._tidy() + 1

    @property
    def revision(self) -> int:
        """See `Writer`."""
        return self._state.revision

    def upsert(self, documents: Sequence[IndexDocument]) -> None:
        """See `Writer`."""
        self._added.update((document.key, document) for document in documents)

    def delete(self, keys: Sequence[int]) -> None:
        """See `Writer`."""
        for key in keys:
            self._added.pop(key, None)
            self._deleted.add(key)

    def flush(self, revision: int, publish: bool = True) -> None:
        """See `Writer`.

        :raises IndexUnavailable: if the server does not answer. What it has done by then is unknown: this
            writer is of no more use, and the next one tidies up.
        """
        if self._failed:
            raise IndexUnavailable("上一次写入 Milvus 没有完成。请重新运行。")
        self._failed = True
        number, collection = self._number, self._state.collection
        if not collection:
            collection = f"{self._prefix}_{number}"
            self._server.create(collection, fields(self._dimension), INDEXES)
        documents = list(self._added.values())
        segment = segment_of(documents, self._dimension)
        buried = self._bury(collection, sorted(self._deleted | self._added.keys()), number)
        self._insert(collection, documents, segment, number)
        self._count(buried, -1)
        self._count(segment, 1)
        self._state = replace(
            self._state,
            generation=number,
            revision=revision,
            collection=collection,
            rows=self._state.rows + len(documents),
        )
        self._unsealed += len(documents)
        self._added, self._deleted = {}, set()
        self._number = number + 1
        if publish:
            self._publish()
            self._published()
            self._clean()
        self._failed = False

    def purge(self) -> None:
        """See `Writer`; the server drops deleted rows from its disks when it compacts them.

        :raises IndexUnavailable: if the server does not answer.
        """
        if self._state.collection:
            self._server.delete(self._state.collection, "row", f"died <= {self._state.generation}")

    def close(self) -> None:
        """End a session whose work is done."""
        if self._unsealed >= SEAL_ROWS:
            self._seal()

    def _seal(self) -> None:
        self._server.seal(self._state.collection)
        self._unsealed = 0

    def _bury(self, collection: str, keys: Sequence[int], number: int) -> Segment:
        """Mark the living rows of these documents as dead from a generation on; their arrays."""
        buried = [segment_of([], self._dimension)]
        for start in range(0, len(keys), REWRITE):
            where = f"{with_keys(keys[start : start + REWRITE])} and died == {ALIVE}"
            rows = self._server.query(collection, where, ROW_FIELDS)
            self._rewrite(collection, rows, number)
            buried.append(segment_from(rows, self._dimension))
        return concatenate(buried)

    def _rewrite(self, collection: str, rows: Sequence[Row], died: int) -> None:
        self._server.put(collection, [{**{name: row[name] for name in ROW_FIELDS}, "died": died} for row in rows])

    def _insert(self, collection: str, documents: Sequence[IndexDocument], segment: Segment, number: int) -> None:
        terms = [(document.title_terms, document.body_terms) for document in documents]
        self._server.put(collection, rows_of(segment, terms, self._state.rows, number))

    def _count(self, segment: Segment, sign: Literal[1, -1]) -> None:
        if not len(segment):
            return
        self._change.add(segment, np.flatnonzero(segment.visibility == VISIBILITY_ORDER.index("public")), sign)
        changes = np.bincount(segment.visibility, minlength=len(VISIBILITY_ORDER))
        visible = tuple(have + sign * int(n) for have, n in zip(self._state.visible, changes, strict=True))
        self._state = replace(self._state, visible=visible)

    def _publish(self) -> None:
        number, chain = self._state.generation, self._state.chain
        whole = not chain or len(chain) >= MAX_CHAIN
        if not chain:
            # A collection that readers see for the first time has its indexes then, not a while later.
            self._seal()
        self._counts = plus(self._counts, self._change)
        self._log.write_counts(number, self._counts if whole else self._change)
        self._state = replace(self._state, chain=(number,) if whole else (*chain, number), published=now())
        self._log.publish(self._state)
        self._change = Counts(self._dimension)

    def _tidy(self) -> int:
        """Undo what killed writers began; the highest number that any generation has had."""
        numbers = self._log.numbers()
        try:
            states = self._log.states()
        except DamagedIndex:
            if self._state.collection:
                raise
            states = []  # nobody can read them, and whoever starts from nothing need not
        last = max((state.generation for state in states), default=0)
        if numbers and max(numbers) > last:
            self._log.forget_after(last)
        collections = self._collections()
        for name in collections - {state.collection for state in states}:
            self._server.drop(name)
        if self._state.collection:
            self._revive(self._state)
        return max([0, *numbers, *(int(name.rpartition("_")[2]) for name in collections)])

    def _revive(self, state: State) -> None:
        """Delete rows that no generation has; take back marks that no generation made."""
        self._server.delete(state.collection, "row", f"row >= {state.rows}")
        wrongly = f"died > {state.generation} and died < {ALIVE}"
        while rows := self._server.query(state.collection, wrongly, ROW_FIELDS, limit=REWRITE):
            self._rewrite(state.collection, rows, ALIVE)

    def _collections(self) -> set[str]:
        names = self._server.names(f"{self._prefix}_")
        return {name for name in names if name.removeprefix(f"{self._prefix}_").isdigit()}

    def _clean(self) -> None:
        """Delete what only generations show that were replaced long enough ago."""
        states = self._log.states()
        replaced = [state for state, following in pairwise(states) if following.published <= now() - RETENTION_SECONDS]
        if not replaced:
            return
        kept = states[len(replaced) :]
        if kept[0].collection == self._state.collection:
            self._server.delete(kept[0].collection, "row", f"died <= {kept[0].generation}")
        for name in self._collections() - {state.collection for state in kept}:
            self._server.drop(name)
        self._log.forget(kept[0].generation, kept[0].chain[0])
