"""What the tests of the index share: backends, questions, and folders looked into."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from matcher.documents import VISIBILITY_ORDER, Filters, IndexDocument, IndexQuery
from matcher.index import KEPT_GENERATIONS, Index, LocalIndex
from matcher.milvus import MilvusIndex
from matcher.milvus.rows import ALIVE
from matcher.milvus.server import Server
from matcher.segments import hash_terms
from tests.fakes import DIMENSION, FakeEncoder, index_document

ROOT = Path(__file__).parents[2]
FINGERPRINT = "fake:64"
ALL = Filters(visibilities=VISIBILITY_ORDER)
PUBLIC = Filters(visibilities=("public",))

# Flushes after which an index must have rewritten what it holds, and its readers' generation is long gone.
MANY = 8
Opener = Callable[[], Index]
LocalOpener = Callable[[], LocalIndex]
MilvusOpener = Callable[[], MilvusIndex]


def local(folder: Path) -> LocalIndex:
    return LocalIndex(folder, FINGERPRINT, DIMENSION)


def milvus(folder: Path, uri: str) -> MilvusIndex:
    """An index whose collections no other folder's index has."""
    return MilvusIndex(folder, Server(uri), f"{FINGERPRINT}:{folder}", DIMENSION)


def drop(index: Index) -> None:
    """Remove from the server what a test has left there."""
    if isinstance(index, MilvusIndex):
        for name in index.server.names(index.prefix):
            index.server.drop(name)


def write(
    index: Index, documents: Sequence[IndexDocument] = (), deleted: Sequence[int] = (), revision: int = 1
) -> None:
    with index.writer(10) as writer:
        writer.delete(deleted)
        writer.upsert(documents)
        writer.flush(revision)


def ask(title: str, text: str = "") -> IndexQuery:
    vectors = FakeEncoder().encode([title, text or title], "query")
    return IndexQuery(vectors[0], vectors[1], np.unique(hash_terms(f"{title} {text}".split())))


def rankings(index: Index, query: IndexQuery, filters: Filters = PUBLIC, limit: int = 100) -> list[list[int]]:
    return [keys.tolist() for keys in index.search(query, filters, limit).values()]


def keys_of(index: Index) -> set[int]:
    """The keys that a search without limits finds; every engine must find the same."""
    found = rankings(index, ask("银耳"), ALL, 10_000)
    assert all(len(set(keys)) == len(keys) for keys in found)
    sets = {frozenset(keys) for keys in found} or {frozenset()}
    assert len(sets) == 1
    return set(sets.pop())


def mushroom(key: int, **values: Any) -> IndexDocument:
    return index_document(key, f"银耳 第{key}种", "银耳 正文", **values)


def home(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "index").iterdir()
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def check_tidy(folder: Path) -> None:
    """Only whole generations are left, few of them, and only the segments that they use."""
    generations = names(folder / "generations")
    assert (folder / "CURRENT").read_text() in generations
    assert len(generations) <= KEPT_GENERATIONS
    used = {
        name
        for number in generations
        for name in json.loads((folder / "generations" / number / "manifest.json").read_text("utf-8"))["segments"]
    }
    assert names(folder / "segments") == used


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def check_milvus_tidy(index: MilvusIndex) -> None:
    """Only published generations are left, with their documents, and no marks of others."""
    states = index.log.states()
    last = states[-1]
    assert index.server.names(f"{index.prefix}_") == {index.log.name, *(state.collection for state in states)}
    published = {state.generation for state in states} | {number for state in states for number in state.chain}
    assert index.log.numbers() <= published | set(range(last.chain[0], last.generation + 1))
    assert index.server.query(last.collection, f"row >= {last.rows}", ["row"]) == []
    assert index.server.query(last.collection, f"died > {last.generation} and died < {ALIVE}", ["row"]) == []
    alive = index.server.query(last.collection, f"died == {ALIVE}", ["key"])
    assert len(alive) == sum(last.visible)
