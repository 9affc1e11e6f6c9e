"""One generation of the local index, loaded: its segments, and which of their documents are alive."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matcher import nearest, postings
from matcher.documents import Filters, IndexQuery, Listing, listed, passing, segment_of
from matcher.errors import DamagedIndex
from matcher.frequencies import Counts, Statistics
from matcher.nearest import Nearest
from matcher.postings import Postings, asked_terms
from matcher.segments import Floats, Integers, Segment, concatenate, map_array, write_merged

# Filters whose rows are remembered: callers ask with few different ones, and reckoning takes milliseconds
# in a large collection.
REMEMBERED_FILTERS = 32

Field = Literal["title", "body"]


@dataclass(frozen=True)
class LoadedSegment:
    """A segment with what it is searched by.

    :param files: path, inode and size of each of its files.
    """

    name: str
    identity: tuple[int, int]
    arrays: Segment
    postings: Postings
    title: Nearest
    body: Nearest
    files: Sequence[tuple[Path, int, int]]

    @classmethod
    def load(cls, root: Path, name: str) -> LoadedSegment:
        """Map a folder that `write_segment` wrote.

        :raises Exception: of several kinds, if a file is missing or damaged.
        """
        folder = root / "segments" / name
        arrays = Segment.load(folder)
        fields: list[Field] = ["title", "body"]
        title, body = (Nearest(getattr(arrays, field), folder, field) for field in fields)
        stats = [(path, path.stat()) for path in folder.iterdir()]
        files = [(path, stat.st_ino, stat.st_size) for path, stat in stats]
        return cls(name, identity(root, name), arrays, Postings.load(folder), title, body, files)

    def __len__(self) -> int:
        return len(self.arrays)

    def cut_short(self) -> Path | None:
        """A file of which less is left than was mapped: touching the rest of it would end the process."""
        for path, inode, size in self.files:
            try:
                stat = path.stat()
            except FileNotFoundError:  # what is mapped stays
                continue
            if stat.st_ino == inode and stat.st_size < size:
                return path
        return None


def identity(root: Path, name: str) -> tuple[int, int]:
    """Tells a segment from another that has its name because somebody removed the folder of the index."""
    return _identity(root / "segments" / name / "keys.npy")


def generation_identity(root: Path, number: int) -> tuple[int, int]:
    """Tells a generation from another that has its number, likewise."""
    return _identity(root / "generations" / str(number) / "manifest.json")


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


def write_segment(parts: Sequence[tuple[Segment, Integers]], folder: Path) -> None:
    """Write the documents at `rows` of several segments as one, with all that it is searched by.

    :param folder: must not exist.
    """
    write_merged(parts, folder)
    segment = Segment.load(folder)
    postings.write(segment, folder)
    tried = _like_questions(segment.title)
    nearest.write(segment.title, tried, folder, "title")
    nearest.write(segment.body, tried, folder, "body")


def _like_questions(titles: Floats) -> Floats:
    """Vectors that lie between documents, as needs do: halfway between two titles each.

    Titles themselves would be found too easily (measured on a million documents made from real ones, with as
    many lists scanned: real needs .967, these .973, titles .994 of the true hundred nearest titles).
    """
    rows = np.random.default_rng(len(titles)).integers(0, max(1, len(titles)), (2, nearest.TRIED_QUESTIONS))
    blends = titles[rows[0]] + titles[rows[1]] if len(titles) else titles
    unit: Floats = blends / np.maximum(np.linalg.norm(blends, axis=1, keepdims=True), 1e-6)
    return unit


class Snapshot:
    """One generation, loaded."""

    segments: list[LoadedSegment]

    def __init__(self, root: Path, number: int, previous: Snapshot | None = None) -> None:
        """Load a generation.

        :param previous: a generation whose segments, where they are in this one too, need not be loaded again.
        :raises FileNotFoundError, DamagedIndex: if files are missing or damaged.
        """
        folder = root / "generations" / str(number)
        loaded = {(one.name, one.identity): one for one in (previous.segments if previous else [])}
        try:
            self.identity = generation_identity(root, number)
            manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
            names: list[str] = manifest["segments"]
            self.segments = [
                loaded.get((name, identity(root, name))) or LoadedSegment.load(root, name) for name in names
            ]
            self.dead: NDArray[np.bool_] = map_array(folder / "dead.npy")
            self.counts = Counts.load(folder / "counts.npz")
        except FileNotFoundError:
            raise
        except Exception as error:  # a truncated array, JSON cut short, a FAISS file gone: one remedy
            raise DamagedIndex(
                f"索引文件已损坏（{folder}：{type(error).__name__}）。请运行 matcher reindex 从数据库重建索引。"
            ) from error
        self.number = number
        self.revision = int(manifest["revision"])
        self.dimension = int(manifest["dimension"])
        self.starts = np.cumsum([0, *(len(segment) for segment in self.segments)])
        self._allowed: OrderedDict[Filters, tuple[NDArray[np.bool_], int]] = OrderedDict()

    @cached_property
    def statistics(self) -> Statistics:
        """Of the public documents."""
        return self.counts.statistics()

    @cached_property
    def keys(self) -> Integers:
        """The store's number of each row: int64 (n,)."""
        return np.concatenate([np.empty(0, np.int64), *(segment.arrays.keys for segment in self.segments)])

    @cached_property
    def by_key(self) -> tuple[Integers, Integers]:
        """Keys of the living documents, ascending, and their rows."""
        living = np.flatnonzero(~self.dead)
        order = living[np.argsort(self.keys[living], kind="stable")]
        return self.keys[order], order

    def allowed(self, filters: Filters) -> tuple[NDArray[np.bool_], int]:
        """Which rows the filters let through, and how many these are."""
        known = self._allowed.get(filters)
        if known is None:
            parts = [passing(segment.arrays, filters) for segment in self.segments]
            mask = np.concatenate([np.empty(0, np.bool_), *parts]) & ~self.dead
            known = self._allowed[filters] = mask, int(mask.sum())
            while len(self._allowed) > REMEMBERED_FILTERS:
                self._allowed.popitem(last=False)
        return known

    def search(self, queries: Sequence[IndexQuery], filters: Filters, limit: int) -> list[dict[str, Integers]]:
        """See `matcher.index.Index.search_many`."""
        allowed, count = self.allowed(filters)
        limit = min(limit, count)
        if not limit or not queries:
            return [{} for _ in queries]
        titles = self._nearest("title", np.stack([query.title_vector for query in queries]), allowed, limit)
        bodies = self._nearest("body", np.stack([query.body_vector for query in queries]), allowed, limit)
        words = [self._words(query, allowed, limit) for query in queries]
        return [
            {"title": title, "body": body, "words": own} for title, body, own in zip(titles, bodies, words, strict=True)
        ]

    def _nearest(self, field: Field, questions: Floats, allowed: NDArray[np.bool_], limit: int) -> list[Integers]:
        found: list[list[tuple[Integers, Floats]]] = [[] for _ in questions]
        for segment, start in zip(self.segments, self.starts, strict=False):
            own: Nearest = getattr(segment, field)
            of_segment = allowed[start : start + len(segment)]
            near = own.search(questions, of_segment, limit, len(segment) / len(allowed))
            for place, (rows, scores) in zip(found, near, strict=True):
                place.append((rows + start, scores))
        return [self._best(parts, limit) for parts in found]

    def _words(self, query: IndexQuery, allowed: NDArray[np.bool_], limit: int) -> Integers:
        terms, weights = asked_terms(query.terms, self.statistics)
        parts = []
        for segment, start in zip(self.segments, self.starts, strict=False):
            rows, scores = segment.postings.search(terms, weights, allowed[start : start + len(segment)], limit)
            parts.append((rows + start, scores))
        return self._best(parts, limit)

    def _best(self, parts: Sequence[tuple[Integers, Floats]], limit: int) -> Integers:
        """Keys of the highest scores of several segments, best first, ties by key."""
        rows, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(rows) > limit:
            near = np.argpartition(-scores, limit - 1)[:limit]
            near = np.flatnonzero(scores >= scores[near].min())
            rows, scores = rows[near], scores[near]
        keys: Integers = self.keys[rows]
        return keys[np.lexsort((keys, -scores))[:limit]]

    def rows(self, keys: Integers) -> Integers:
        """Rows of living documents; -1 where there is none."""
        ordered, rows = self.by_key
        if not len(ordered):
            return np.full(len(keys), -1)
        place = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
        return np.where(ordered[place] == keys, rows[place], -1)

    def listing(self) -> Listing:
        """See `matcher.index.Index`."""
        return listed([segment_of([], self.dimension), *(one.arrays for one in self.segments)], self.by_key[1])

    def take(self, rows: Integers) -> Segment:
        """The documents at these rows, in this order."""
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        parts, order = [], []
        for i, segment in enumerate(self.segments):
            places = np.flatnonzero(owner == i)
            if len(places):
                parts.append(segment.arrays.select(rows[places] - self.starts[i]))
                order.append(places)
        if not parts:
            return segment_of([], self.dimension)
        joined = concatenate(parts) if len(parts) > 1 else parts[0]
        back = np.argsort(np.concatenate(order))
        return joined if np.array_equal(back, np.arange(len(back))) else joined.select(back)
