"""What processes hold in memory, told apart by what the kernel may take back."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from pathlib import Path

import psutil
from exactness import OFFERS, opened
from figures import Figures

from matcher.documents import IndexQuery
from matcher.segments import Floats, Hashes

# Lines of /proc/PID/smaps_rollup. Anonymous memory is the process's own; the rest of the resident is pages of
# files, which the kernel drops when it needs room. Proportional counts a page shared by n processes as 1/n.
_LINES = {"Rss": "resident", "Anonymous": "anonymous", "Pss": "proportional"}
SEARCHES = 200


def memory(pids: Iterable[int] = ()) -> Figures:
    """Megabytes (10^6 bytes) of some processes together, by default of this one.

    `resident`, and where the kernel tells them `anonymous`, `file` and `proportional`.
    """
    total: Figures = {}
    for pid in pids or (os.getpid(),):
        for name, value in _of_one(pid).items():
            total[name] = total.get(name, 0.0) + value
    return {name: round(value / 1e6, 1) for name, value in total.items()}


def _of_one(pid: int) -> Figures:
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    if not rollup.exists():
        return {"resident": float(psutil.Process(pid).memory_info().rss)}
    found: Figures = {}
    for line in rollup.read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        if known := _LINES.get(name.rstrip(":")):
            found[known] = float(value) * 1024
    return found | {"file": found["resident"] - found["anonymous"]}


def index_memory(home: Path, model: str, titles: Floats, bodies: Floats, terms: list[Hashes]) -> dict[str, Figures]:
    """Of this process, which should be a fresh one, before the index is opened, after it, and after searches."""
    import faiss  # noqa: F401 - the library is no part of the index

    gc.collect()
    stages = {"before": memory()}
    index = opened(home, model, titles.shape[1])
    index.statistics()
    stages["opened"] = memory()
    queries = [IndexQuery(*one) for one in zip(titles, bodies, terms, strict=True)]
    for number in range(SEARCHES):
        found = index.search(queries[number % len(queries)], OFFERS, 100)
        index.documents(found["body"])
    stages["searched"] = memory()
    return stages
