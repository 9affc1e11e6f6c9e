"""Records to candidates: what an index must do, and the local one.

The local index lives in one folder::

    CURRENT               names the generation that readers load; replaced atomically
    write.lock            held by the one process that writes
    segments/NAME/        documents' arrays and what they are searched by (`matcher.segments`,
                          `matcher.postings`, `matcher.nearest`); immutable, shared by generations
    generations/N/        manifest.json, dead.npy (documents since replaced or deleted), counts.npz

A writer prepares the next generation beside the current one and switches at the end, so a reader sees
all of a change or nothing of it, and a killed writer leaves only folders that the next one removes.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from matcher.documents import VISIBILITY_ORDER, Filters, IndexDocument, IndexQuery, Listing, listed, segment_of
from matcher.errors import Busy, DamagedIndex
from matcher.faults import room_for
from matcher.frequencies import Counts, Statistics, statistics_of
from matcher.records import Visibility
from matcher.seal import sync
from matcher.segments import Integers, Segment
from matcher.settings import Settings
from matcher.snapshot import LoadedSegment, Snapshot, generation_identity, write_segment

FORMAT = 3
# A flush adds one segment, and rewrites the older ones up to this many times its size into it: so segments
# stay few, and each document is rewritten a few times at most however large the index grows.
GROWTH = 3
# A segment with more dead than this is rewritten too.
MAX_DEAD_SHARE = 0.3
# Generations kept, the current one included: a reader may still be opening the one before.
KEPT_GENERATIONS = 3


class Index(Protocol):
    """What ranking asks of an engine. Engines differ in their scores, so only ranks leave them."""

    @property
    def place(self) -> str:
        """Names where the index is kept, alike for all who write to it, on whatever machine they run."""

    @property
    def generation(self) -> int:
        """Rises with every change that readers can see."""

    @property
    def revision(self) -> int:
        """The store's revision up to which the index holds all records."""

    def count(self, visibilities: Sequence[Visibility] = VISIBILITY_ORDER) -> int:
        """Documents that can be found by those who may see these."""

    def search(self, query: IndexQuery, filters: Filters, limit: int) -> dict[str, Integers]:
        """Engine name to keys, best first, at most `limit` each; filters act inside the search."""

    def search_many(self, queries: Sequence[IndexQuery], filters: Filters, limit: int) -> list[dict[str, Integers]]:
        """What `search` gives for each query, at the price of a batch."""

    def documents(self, keys: Integers) -> Segment:
        """Arrays of the documents with these keys, in this order; those that there are no more are left out."""

    def statistics(self) -> Statistics:
        """How common terms are among the public documents.

        Hidden ones do not count for anybody: from weights and known terms a caller could tell their words.
        """

    def listing(self) -> Listing:
        """All documents of the loaded generation, for checks."""

    def refresh(self) -> bool:
        """Load the latest generation; whether there was a newer one."""

    def writer(self, wait: float, rebuild: bool = False) -> AbstractContextManager[Writer]:
        """Hold the one right to write.

        :param wait: seconds to wait for another process.
        :param rebuild: start from nothing, whatever there is; readers keep the old generation until the
            first published flush.
        :raises Busy: if the other process does not finish in time.
        :raises DamagedIndex: if the current generation cannot be read, unless rebuilding.
        """


class Writer(Protocol):
    """Collects changes and makes them one generation; who is killed in between leaves the last one serving."""

    @property
    def revision(self) -> int:
        """The store's revision that the last flush reached."""

    def upsert(self, documents: Sequence[IndexDocument]) -> None:
        """Put documents in, in place of those with the same key."""

    def delete(self, keys: Sequence[int]) -> None:
        """Take documents out; unknown keys do nothing."""

    def flush(self, revision: int, publish: bool = True) -> None:
        """Write all changes so far as the next generation.

        :param revision: the store's revision that they bring the index to.
        :param publish: whether readers shall see it now.
        """

    def purge(self) -> None:
        """Write anew what still holds deleted documents, and drop the generations that show them."""


class LocalIndex:
    """The index in a folder. Readers call `refresh`; one process at a time holds a `writer`."""

    def __init__(self, root: Path, fingerprint: str, dimension: int) -> None:
        """Nothing is loaded before `refresh`.

        :param fingerprint: of the model; each model has an index of its own.
        """
        self._root = root / f"{_folder_name(fingerprint)}-{FORMAT}"
        self.dimension = dimension
        self._make_folders()
        self.snapshot: Snapshot | None = None
        self._damage: str | None = None

    def _make_folders(self) -> None:
        (self._root / "segments").mkdir(parents=True, exist_ok=True)
        (self._root / "generations").mkdir(exist_ok=True)

    @property
    def place(self) -> str:
        """See `Index`; a folder is known to its own machine only."""
        return f"{platform.node()}:{self._root.resolve()}"

    @property
    def generation(self) -> int:
        """See `Index`."""
        return self.snapshot.number if self.snapshot else 0

    @property
    def revision(self) -> int:
        """See `Index`."""
        return self.snapshot.revision if self.snapshot else 0

    def count(self, visibilities: Sequence[Visibility] = VISIBILITY_ORDER) -> int:
        """See `Index`."""
        served = self._served()
        return served.allowed(Filters(visibilities=tuple(visibilities)))[1] if served else 0

    def search(self, query: IndexQuery, filters: Filters, limit: int) -> dict[str, Integers]:
        """See `Index`."""
        return self.search_many([query], filters, limit)[0]

    def search_many(self, queries: Sequence[IndexQuery], filters: Filters, limit: int) -> list[dict[str, Integers]]:
        """See `Index`."""
        served = self._served()
        return served.search(queries, filters, limit) if served else [{} for _ in queries]

    def documents(self, keys: Integers) -> Segment:
        """See `Index`."""
        served = self._served()
        if served is None:
            return segment_of([], self.dimension)
        rows = served.rows(keys)
        return served.take(rows[rows >= 0])

    def statistics(self) -> Statistics:
        """See `Index`."""
        served = self._served()
        return served.statistics if served else statistics_of([], self.dimension)

    def listing(self) -> Listing:
        """See `Index`."""
        served = self._served()
        return listed([segment_of([], self.dimension)]) if served is None else served.listing()

    def refresh(self) -> bool:
        """See `Index`.

        :raises DamagedIndex: if the latest generation cannot be read; an older one serves on, unless its files
            were cut short.
        """
        self._stop_serving_what_is_cut_short()
        while True:
            number = self._current()
            if number == 0 or self._is_loaded(number):
                return False
            try:
                self.snapshot = Snapshot(self._root, number, self.snapshot)
                self._damage = None
            except (FileNotFoundError, DamagedIndex) as error:
                if number != self._current():
                    continue  # a writer has moved on and cleaned up while this one was read
                if isinstance(error, DamagedIndex):
                    raise
                raise DamagedIndex(
                    f"索引文件缺失（{error.filename}）。请运行 matcher reindex 从数据库重建索引。"
                ) from error
            return True

    @contextmanager
    def writer(self, wait: float, rebuild: bool = False) -> Iterator[LocalWriter]:
        """See `Index`; the lock is a file, which the kernel drops with its process."""
        self._make_folders()  # somebody may have removed the index since it was opened
        with self._locked(wait):
            if not rebuild:
                self.refresh()
            gone = rebuild or not self._current()
            yield LocalWriter(self, self._root, None if gone else self.snapshot)

    @contextmanager
    def _locked(self, wait: float) -> Iterator[None]:
        try:
            with FileLock(self._root / "write.lock", timeout=wait):
                yield
        except Timeout as error:
            raise Busy("另一个进程正在写入索引。请等它结束后再试。") from error

    def _served(self) -> Snapshot | None:
        if self._damage:
            raise DamagedIndex(self._damage)
        return self.snapshot

    def _stop_serving_what_is_cut_short(self) -> None:
        segments = self.snapshot.segments if self.snapshot else []
        damaged = next((path for path in (segment.cut_short() for segment in segments) if path), None)
        if damaged:
            self.snapshot = None
            self._damage = f"索引文件已损坏（{damaged} 被截短）。请运行 matcher reindex 从数据库重建索引。"

    def _is_loaded(self, number: int) -> bool:
        """Whether the snapshot is this generation, and not one of a folder that was removed and made anew."""
        if self.snapshot is None or self.snapshot.number != number:
            return False
        try:
            return self.snapshot.identity == generation_identity(self._root, number)
        except FileNotFoundError:  # a writer has moved on, or somebody is removing the index: serve what there is
            return True

    def _current(self) -> int:
        try:
            return int((self._root / "CURRENT").read_text())
        except FileNotFoundError:
            return 0
        except ValueError as error:
            raise DamagedIndex("索引的 CURRENT 文件已损坏。请运行 matcher reindex 从数据库重建索引。") from error


def open_index(settings: Settings, fingerprint: str, dimension: int) -> Index:
    """The index that the settings name; nothing is loaded before `refresh`."""
    if settings.index == "milvus":
        from matcher.milvus import MilvusIndex
        from matcher.milvus.server import Server

        token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
        return MilvusIndex(settings.home / "index", Server(settings.milvus_uri, token), fingerprint, dimension)
    return LocalIndex(settings.home / "index", fingerprint, dimension)


class LocalWriter:
    """See `Writer`."""

    def __init__(self, index: LocalIndex, root: Path, base: Snapshot | None) -> None:
        self._index = index
        self._root = root
        self._base = base
        self._added: dict[int, IndexDocument] = {}
        self._deleted: set[int] = set()

    @property
    def revision(self) -> int:
        """See `Writer`."""
        return self._base.revision if self._base else 0

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

        :raises DiskFull: if there is no room; readers keep the generation that they have.
        """
        number = self._next_number()
        try:
            with room_for("索引", self._root, "记录都在数据库中，检索仍用原来的索引。"):
                self._flush(number, revision, publish)
        except BaseException:
            self._discard(number)
            raise

    def _discard(self, number: int) -> None:
        """Remove what was begun: on a full disk it would keep the room that the next attempt needs."""
        with suppress(OSError, ValueError):
            if int((self._root / "CURRENT").read_text()) == number:
                return
        with suppress(OSError):
            (self._root / "CURRENT.part").unlink(missing_ok=True)
        for kind in ("generations", "segments"):
            shutil.rmtree(self._root / kind / str(number), ignore_errors=True)

    def _flush(self, number: int, revision: int, publish: bool) -> None:
        names, dead, counts = self._remaining()
        if self._added:
            fresh = segment_of(list(self._added.values()), self._index.dimension)
            counts.add(fresh, _public(fresh, np.arange(len(fresh))))
            kept = self._kept(dead)
            starts = self._base.starts if self._base else np.zeros(1, np.int64)
            parts = [
                (segment.arrays, np.flatnonzero(~dead[start : start + len(segment)]))
                for segment, start in list(zip(self._segments, starts, strict=False))[kept:]
            ]
            write_segment([*parts, (fresh, np.arange(len(fresh)))], self._root / "segments" / str(number))
            names = [*names[:kept], str(number)]
            written = len(fresh) + sum(len(rows) for _, rows in parts)
            dead = np.concatenate([dead[: starts[kept]], np.zeros(written, np.bool_)])
        self._write_generation(number, names, dead, counts, revision)
        self._added, self._deleted = {}, set()
        if publish:
            self._publish(number)
            self._index.refresh()
            self._base = self._index.snapshot
            self._clean()
        else:
            self._base = Snapshot(self._root, number, self._base)

    def purge(self) -> None:
        """See `Writer`.

        :raises DiskFull: if there is no room; readers keep the generation that they have.
        """
        if self._base is None:
            return
        number = self._next_number()
        try:
            with room_for("索引", self._root, "记录都在数据库中，检索仍用原来的索引。"):
                self._purge(number, self._base)
        except BaseException:
            self._discard(number)
            raise

    def _purge(self, number: int, base: Snapshot) -> None:
        names: list[str] = []
        parts: list[tuple[Segment, Integers]] = []
        kept = written = 0
        for segment, start in zip(base.segments, base.starts, strict=False):
            living = np.flatnonzero(~base.dead[start : start + len(segment)])
            if len(living) == len(segment):
                names.append(segment.name)
                kept += len(segment)
            else:
                parts.append((segment.arrays, living))
                written += len(living)
        if written:
            write_segment(parts, self._root / "segments" / str(number))
            names.append(str(number))
        self._write_generation(number, names, np.zeros(kept + written, np.bool_), base.counts, base.revision)
        self._publish(number)
        self._index.refresh()
        self._base = self._index.snapshot
        self._clean(generations=1)

    @property
    def _segments(self) -> list[LoadedSegment]:
        return self._base.segments if self._base else []

    def _remaining(self) -> tuple[list[str], NDArray[np.bool_], Counts]:
        """What is left of the base: its segments' names, which rows are dead, the public documents' counts."""
        if self._base is None:
            return [], np.empty(0, np.bool_), Counts(self._index.dimension)
        dead, counts = self._base.dead.copy(), self._base.counts.copy()
        rows = self._base.rows(np.array(sorted(self._deleted | self._added.keys()), np.int64))
        rows = rows[rows >= 0]
        dead[rows] = True
        for segment, start in zip(self._segments, self._base.starts, strict=False):
            own = rows[(rows >= start) & (rows < start + len(segment))] - start
            counts.add(segment.arrays, _public(segment.arrays, own), -1)
        return [segment.name for segment in self._segments], dead, counts

    def _kept(self, dead: NDArray[np.bool_]) -> int:
        """How many segments stay as they are; the others go into the new one."""
        sizes = [len(segment) for segment in self._segments]
        ends = np.cumsum(sizes)
        gone = [int(dead[end - size : end].sum()) for size, end in zip(sizes, ends, strict=True)]
        too_dead = [i for i, size in enumerate(sizes) if gone[i] > MAX_DEAD_SHARE * size]
        kept, written = len(sizes), len(self._added)
        while kept and (sizes[kept - 1] - gone[kept - 1] <= GROWTH * written or (too_dead and too_dead[0] < kept)):
            kept -= 1
            written += sizes[kept] - gone[kept]
        return kept

    def _next_number(self) -> int:
        """A number no folder has: a killed writer may have left some behind."""
        taken = [*(self._root / "generations").iterdir(), *(self._root / "segments").iterdir()]
        return max((int(path.name) for path in taken if path.name.isdigit()), default=0) + 1

    def _write_generation(
        self, number: int, names: list[str], dead: NDArray[np.bool_], counts: Counts, revision: int
    ) -> None:
        folder = self._root / "generations" / str(number)
        folder.mkdir()
        np.save(folder / "dead.npy", dead)
        counts.save(folder / "counts.npz")
        manifest = {"revision": revision, "dimension": self._index.dimension, "segments": names}
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        for path in (*folder.iterdir(), folder, *(self._root / "segments" / name for name in names)):
            sync(path)

    def _publish(self, number: int) -> None:
        part = self._root / "CURRENT.part"
        part.write_text(str(number))
        sync(part)
        part.replace(self._root / "CURRENT")
        sync(self._root)

    def _clean(self, generations: int | None = None) -> None:
        segments: dict[int, list[str]] = {}
        for path in (self._root / "generations").iterdir():
            try:
                segments[int(path.name)] = json.loads((path / "manifest.json").read_text("utf-8"))["segments"]
            except (OSError, ValueError, KeyError):
                shutil.rmtree(path)  # half done by a killed writer, or damaged: nobody can read it
        kept = sorted(segments)[-(generations or KEPT_GENERATIONS) :]
        for number in segments.keys() - kept:
            shutil.rmtree(self._root / "generations" / str(number))
        used = {name for number in kept for name in segments[number]}
        for path in (self._root / "segments").iterdir():
            if path.name not in used:
                shutil.rmtree(path)


def _public(segment: Segment, rows: Integers) -> Integers:
    """Those of the rows whose documents everybody may see."""
    public: Integers = rows[segment.visibility[rows] == VISIBILITY_ORDER.index("public")]
    return public


def _folder_name(fingerprint: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in fingerprint)
