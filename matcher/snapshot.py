"""One generation of the local index, loaded: FAISS over the vectors, tantivy over the words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.documents import PROVINCE_ORDER, VISIBILITY_ORDER, Filters, programme_bits, segment_of
from matcher.errors import DamagedIndex
from matcher.frequencies import statistics_of
from matcher.lexical import LexicalReader
from matcher.records import KINDS
from matcher.segments import Integers, Segment, concatenate
from matcher.values import PROVINCES


class Snapshot:
    """One generation, loaded."""

    def __init__(self, root: Path, number: int) -> None:
        import faiss

        folder = root / "generations" / str(number)
        try:
            manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
            self.segment_names: list[str] = manifest["segments"]
            self.segments = [Segment.load(root / "segments" / name) for name in self.segment_names]
            self.dead: NDArray[np.bool_] = np.load(folder / "dead.npy")
            self.lexical = LexicalReader(folder / "lexical")
        except FileNotFoundError:
            raise
        except Exception as error:  # a truncated array, JSON cut short, a tantivy file gone: one remedy
            raise DamagedIndex(
                f"索引文件已损坏（{folder}：{type(error).__name__}）。请运行 matcher reindex 从数据库重建索引。"
            ) from error
        self.number = number
        self.revision = int(manifest["revision"])
        self.dimension = int(manifest["dimension"])
        self.alive = ~self.dead
        self.starts = np.cumsum([0, *(len(segment) for segment in self.segments)])
        self.keys = self._column("keys", np.int64)
        self.kind = self._column("kind", np.uint8)
        self.programmes = self._column("programmes", np.uint8)
        self.province = self._column("province", np.int16)
        self.visibility = self._column("visibility", np.uint8)
        living = np.flatnonzero(self.alive)
        self.by_key = living[np.argsort(self.keys[living], kind="stable")]
        self.title, self.body = faiss.IndexFlatIP(self.dimension), faiss.IndexFlatIP(self.dimension)
        for segment in self.segments:
            self.title.add(np.ascontiguousarray(segment.title))
            self.body.add(np.ascontiguousarray(segment.body))
        public = self.alive & (self.visibility == VISIBILITY_ORDER.index("public"))
        self.statistics = statistics_of(
            (
                (segment, public[start : start + len(segment)])
                for segment, start in zip(self.segments, self.starts, strict=False)
            ),
            self.dimension,
        )

    def _column(self, name: str, dtype: type) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *(np.asarray(getattr(segment, name)) for segment in self.segments)])

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """Which rows the filters let through."""
        mask = self.alive & np.isin(self.visibility, [VISIBILITY_ORDER.index(v) for v in filters.visibilities])
        if filters.kinds:
            mask &= np.isin(self.kind, [KINDS.index(kind) for kind in filters.kinds])
        if filters.programmes:
            mask &= (self.programmes & programme_bits(filters.programmes)) != 0
        if filters.provinces:
            mask &= np.isin(
                self.province, [PROVINCE_ORDER.index(p) for p in filters.provinces if p in PROVINCES.values()]
            )
        allowed: NDArray[np.bool_] = mask
        return allowed

    def rows(self, keys: Integers) -> Integers:
        """Rows of living documents; -1 where there is none."""
        if not len(self.by_key):
            return np.full(len(keys), -1)
        ordered = self.keys[self.by_key]
        place = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
        return np.where(ordered[place] == keys, self.by_key[place], -1)

    def take(self, rows: Integers) -> Segment:
        """The documents at these rows, in this order."""
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        parts, order = [], []
        for i, segment in enumerate(self.segments):
            places = np.flatnonzero(owner == i)
            if len(places):
                parts.append(segment.select(rows[places] - self.starts[i]))
                order.append(places)
        if not parts:
            return segment_of([], self.dimension)
        joined = concatenate(parts) if len(parts) > 1 else parts[0]
        back = np.argsort(np.concatenate(order))
        return joined if np.array_equal(back, np.arange(len(back))) else joined.select(back)
