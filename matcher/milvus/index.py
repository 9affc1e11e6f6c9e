"""The index on a Milvus server.

Its collections, all with one prefix that names the model::

    PREFIX_log            the generations (`matcher.milvus.log`)
    PREFIX_N              the documents (`matcher.milvus.rows`), begun by generation N; a rebuild begins another

Readers hold the number of a generation and ask for the rows that count in it, so they see all of a change
or nothing of it, and go on seeing their own generation until they `refresh`. What is dead is deleted
`RETENTION_SECONDS` after the generation that still showed it was replaced.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from matcher.documents import VISIBILITY_ORDER, Filters, IndexQuery, Listing, segment_of
from matcher.errors import Busy, DamagedIndex
from matcher.frequencies import BUCKETS, Counts, Statistics, statistics_of
from matcher.milvus.log import Log, State
from matcher.milvus.rows import (
    SEGMENT_FIELDS,
    VECTOR_SEARCH,
    WORD_SEARCH,
    alive,
    condition,
    segment_from,
    with_keys,
    words,
)
from matcher.milvus.server import BOUNDED, STRONG, Server
from matcher.milvus.writer import MilvusWriter
from matcher.segments import Hashes, Integers, Segment

FORMAT = 2
# The most rows that Milvus returns to one search.
MAX_LIMIT = 16_384
# Questions sent as one request: the server shares its work among them.
BATCH = 64
# Documents fetched by one request: some 2 MB, 60 MB if all are of the greatest length.
FETCH = 128
# Rows looked at by one request when all are listed, and what of them.
LISTED = 10_000
LISTED_FIELDS = ("key", "kind", "visibility", "owner", "ends")
# Words of one question that are searched for, rarest first, as in the local index; and as many of those
# that no public document has, which may still stand in hidden ones.
QUERY_TERMS = 32
# How long after its generation was loaded a search still waits for the server to have caught up with it.
# Later ones need not: bounded staleness in Milvus means five seconds, unless its operators change that.
SETTLE_SECONDS = 15.0


@dataclass(frozen=True)
class _Snapshot:
    state: State
    counts: Counts
    loaded: float = field(default_factory=time.monotonic)

    @cached_property
    def statistics(self) -> Statistics:
        return self.counts.statistics()

    @property
    def consistency(self) -> str:
        return STRONG if time.monotonic() - self.loaded < SETTLE_SECONDS else BOUNDED


class MilvusIndex:
    """See `matcher.index.Index`. Readers call `refresh`; one process at a time holds a `writer`."""

    def __init__(self, locks: Path, server: Server, fingerprint: str, dimension: int) -> None:
        """Nothing is asked of the server before `refresh`.

        :param locks: folder for the writers' lock. It keeps writers apart on one machine only.
        :param fingerprint: of the model; each model has collections of its own.
        """
        self.dimension = dimension
        self.prefix = _prefix(fingerprint)
        self.server = server
        self.log = Log(server, f"{self.prefix}_log")
        self._locks = locks
        self._snapshot: _Snapshot | None = None

    @property
    def place(self) -> str:
        """See `Index`. Without the server's address: machines may know it by different ones."""
        return f"milvus:{self.prefix}"

    @property
    def generation(self) -> int:
        """See `Index`."""
        return self._snapshot.state.generation if self._snapshot else 0

    @property
    def revision(self) -> int:
        """See `Index`."""
        return self._snapshot.state.revision if self._snapshot else 0

    def count(self, visibilities: Sequence[str] = VISIBILITY_ORDER) -> int:
        """See `Index`."""
        if self._snapshot is None:
            return 0
        by_name = dict(zip(VISIBILITY_ORDER, self._snapshot.state.visible, strict=True))
        return sum(number for name, number in by_name.items() if name in visibilities)

    def search(self, query: IndexQuery, filters: Filters, limit: int) -> dict[str, Integers]:
        """See `Index`; raises IndexUnavailable if the server does not answer."""
        return self.search_many([query], filters, limit)[0]

    def search_many(self, queries: Sequence[IndexQuery], filters: Filters, limit: int) -> list[dict[str, Integers]]:
        """See `Index`; raises IndexUnavailable if the server does not answer."""
        snapshot = self._snapshot
        where = condition(snapshot.state.generation, filters) if snapshot else None
        if snapshot is None or where is None or limit < 1:
            return [{} for _ in queries]
        found: list[dict[str, Integers]] = []
        for start in range(0, len(queries), BATCH):
            found += self._search_batch(snapshot, queries[start : start + BATCH], where, min(limit, MAX_LIMIT))
        return found

    def _search_batch(
        self, snapshot: _Snapshot, queries: Sequence[IndexQuery], where: str, limit: int
    ) -> list[dict[str, Integers]]:
        found: list[dict[str, Integers]] = [{} for _ in queries]
        texts = [" ".join(words(_rarest(query.terms, snapshot.counts))) for query in queries]
        engines: Sequence[tuple[str, Sequence[Any], Mapping[str, Any]]] = (
            ("title", [query.title_vector for query in queries], VECTOR_SEARCH),
            ("body", [query.body_vector for query in queries], VECTOR_SEARCH),
            ("words", texts, WORD_SEARCH),
        )
        for name, questions, parameters in engines:
            asked = [i for i, question in enumerate(questions) if len(question)]
            answers = (
                self.server.search(
                    snapshot.state.collection,
                    name,
                    [questions[i] for i in asked],
                    where,
                    limit,
                    snapshot.consistency,
                    parameters,
                )
                if asked
                else []
            )
            for i in range(len(queries)):
                found[i][name] = np.empty(0, np.int64)
            for i, keys in zip(asked, answers, strict=True):
                found[i][name] = np.array(keys, np.int64)
        return found

    def documents(self, keys: Integers) -> Segment:
        """See `Index`.

        :raises IndexUnavailable: if the server does not answer.
        """
        snapshot = self._snapshot
        if snapshot is None or not len(keys):
            return segment_of([], self.dimension)
        asked = list(dict.fromkeys(int(key) for key in keys))
        rows = {}
        for start in range(0, len(asked), FETCH):
            where = f"{with_keys(asked[start : start + FETCH])} and {alive(snapshot.state.generation)}"
            for row in self.server.query(
                snapshot.state.collection, where, SEGMENT_FIELDS, consistency=snapshot.consistency
            ):
                rows[int(row["key"])] = row
        return segment_from([rows[int(key)] for key in keys if int(key) in rows], self.dimension)

    def listing(self) -> Listing:
        """See `Index`.

        :raises IndexUnavailable: if the server does not answer.
        """
        snapshot, rows = self._snapshot, []
        if snapshot:
            for start in range(0, snapshot.state.rows, LISTED):
                where = f"row >= {start} and row < {start + LISTED} and {alive(snapshot.state.generation)}"
                rows += self.server.query(snapshot.state.collection, where, LISTED_FIELDS)
        rows.sort(key=lambda row: int(row["key"]))
        kinds = (np.int64, np.uint8, np.uint8, np.int64, np.int32)
        columns = zip(LISTED_FIELDS, kinds, strict=True)
        return Listing(*(np.array([row[name] for row in rows], kind) for name, kind in columns))

    def statistics(self) -> Statistics:
        """See `Index`."""
        return self._snapshot.statistics if self._snapshot else statistics_of([], self.dimension)

    def refresh(self) -> bool:
        """See `Index`.

        :raises IndexUnavailable: if the server does not answer; DamagedIndex: if a part is missing.
        """
        held = self._snapshot
        if held is None:
            if not self.log.exists():
                return False
            self.log.load()
        states = self.log.states(after=self.generation)
        if not states:
            return False
        state = states[-1]
        if held is None or held.state.collection != state.collection:
            if state.collection not in self.server.names(state.collection):
                raise DamagedIndex("Milvus 中缺少索引的数据。请运行 matcher reindex 从数据库重建索引。")
            self.server.load(state.collection)
        counts = self.log.counts(state, (held.state, held.counts) if held else None, self.dimension)
        self._snapshot = _Snapshot(state, counts)
        return True

    @contextmanager
    def writer(self, wait: float, rebuild: bool = False) -> Iterator[MilvusWriter]:
        """See `Index`; the lock is a file, which the kernel drops with its process."""
        with self._locked(wait):
            self.log.create()
            if not rebuild:
                self.refresh()
            held = None if rebuild or self._snapshot is None else (self._snapshot.state, self._snapshot.counts)
            writer = MilvusWriter(self.server, self.log, self.prefix, self.dimension, held, self.refresh)
            yield writer
            writer.close()

    @contextmanager
    def _locked(self, wait: float) -> Iterator[None]:
        self._locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._locks / f"{self.prefix}.lock", timeout=wait):
                yield
        except Timeout as error:
            raise Busy("另一个进程正在写入索引。请等它结束后再试。") from error


def _rarest(hashes: Hashes, counts: Counts) -> Hashes:
    common = counts.terms[hashes % BUCKETS]
    ordered = hashes[np.argsort(common, kind="stable")]
    unknown = int((common == 0).sum())
    return np.concatenate([ordered[:unknown][:QUERY_TERMS], ordered[unknown:][:QUERY_TERMS]])


def _prefix(fingerprint: str) -> str:
    """A collection name of letters, digits and underscores; the checksum tells apart what these make equal."""
    name = re.sub(r"\W", "_", fingerprint, flags=re.ASCII)[-60:]
    return f"matcher_{name}_{zlib.crc32(fingerprint.encode()):08x}_{FORMAT}"
