"""Complete installations of any size, made of synthetic offers and kept between runs.

A home of N holds the store with N offers, some needs and their owners, their tags, and the index, at the same
revision: a service that opens it has nothing to catch up. Vectors come from `bench/multiply.py`, so that
N texts need not be embedded. The needs are there to be matched in a batch, and because a filter
that leaves them out is what a search in a real collection meets. Times are taken by step while a home
is built, and kept in its stamp.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import multiply
import recombine
from multiply import Base, BaseVectors, Batch, embed_base, questions

from matcher import index, nearest, postings, snapshot, store
from matcher.documents import IndexDocument, segment_of
from matcher.embed import Embedder, VectorCache, load_encoder
from matcher.index import LocalIndex
from matcher.progress import shown
from matcher.segments import write_merged
from matcher.settings import load_settings
from matcher.store import Store

# Documents of one generation while building: with their terms and vectors some 200 MB.
FLUSH = 20_000
# Records in one transaction, as `matcher ingest` writes them.
TRANSACTION = 500
STAMP = "stamp.json"
# Needs beside the offers: a fifth, but no more than show the rate of a batch.
NEEDS = 2_000
# More than there are.
EVERY_QUESTION = 1_000_000


def needs_among(size: int) -> int:
    """How many needs a home of so many offers holds."""
    return min(NEEDS, size // 5)


@dataclass(frozen=True)
class Origin:
    """What synthetic offers are made of; homes of the same origin hold the same offers.

    :param needs: what the synthetic needs are made of.
    :param model: the model's fingerprint.
    """

    base: Sequence[Base]
    vectors: BaseVectors
    needs: Sequence[Base]
    needs_vectors: BaseVectors
    model: str
    seed: int

    @property
    def digest(self) -> str:
        """Changes when the base, the model, the seed or the way of making offers does."""
        found = hashlib.sha256(f"{self.model} {self.seed} {FLUSH} {NEEDS}".encode())
        for one in (*self.base, *self.needs):
            found.update(f"{one.kind}\n{one.title}\n{one.abstract}\n".encode())
        for module in (multiply, recombine):
            found.update(Path(str(module.__file__)).read_bytes())
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class Home:
    """A built home.

    :param rates: records a second, by step.
    """

    path: Path
    size: int
    rates: dict[str, float]


def default_folder() -> Path:
    """Where homes are kept unless told otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "matcher-bench"


def origin(folder: Path, data: Path | None, seed: int) -> Origin:
    """Embed the real records, once a folder.

    :param data: see `multiply.load_base`.
    """
    embedder = Embedder(load_encoder(load_settings(home=folder)), VectorCache(folder / "vectors.db"))
    base = multiply.load_base(data)
    needs = [Base("need", one.title, one.text) for one in questions(data, EVERY_QUESTION, seed) if one.title]
    with shown("计算向量") as progress:
        vectors, needs_vectors = (embed_base(some, embedder, progress) for some in (base, needs))
    embedder.close()
    return Origin(base, vectors, needs, needs_vectors, embedder.fingerprint, seed)


def home_of(folder: Path, made_of: Origin, size: int, rebuild: bool = False) -> Home:
    """The home of so many offers: as it is if it is complete and of this origin, or else built anew.

    :param folder: keeps all homes, and the model that they share.
    """
    path = folder / f"{made_of.digest}-{size}"
    expected = {
        "origin": made_of.digest,
        "model": made_of.model,
        "seed": made_of.seed,
        "index": index.FORMAT,
        "store": store.SCHEMA_VERSION,
    }
    stamp = path / STAMP
    if not rebuild and stamp.exists():
        found = json.loads(stamp.read_text("utf-8"))
        if expected.items() <= found.items():
            return Home(path, size, found["rates"])
    # Without a stamp, or with another one, whatever lies there is half built or out of date.
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (path / "model").symlink_to(Path("..") / "model", target_is_directory=True)
    rates = _build(path, made_of, size)
    part = path / f"{STAMP}.part"
    part.write_text(json.dumps(expected | {"rates": rates}), encoding="utf-8")
    part.replace(stamp)  # the last thing done: who has a stamp is complete
    return Home(path, size, rates)


class Steps:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def taking(self, step: str) -> Iterator[None]:
        """Book the time within under this step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time booked under this step."""

        def call(*arguments: Any) -> Any:
            with self.taking(step):
                return function(*arguments)

        return call


def _build(path: Path, made_of: Origin, size: int) -> dict[str, float]:
    steps = Steps()
    total = needs_among(size) + size
    records = Store(f"sqlite:///{path / 'matcher.db'}")
    try:
        target = LocalIndex(path / "index", made_of.model, made_of.vectors.bodies.shape[1])
        with target.writer(wait=0) as writer, _index_steps(steps), shown(f"建立 {size} 条的数据目录") as progress:
            done = 0
            for documents in _stored(records, _batches(made_of, size), total, steps):
                done += len(documents)
                with steps.taking("index"):
                    writer.upsert(documents)
                    # Seen by nobody so far; but only a published flush clears away what earlier ones wrote, which
                    # for a million documents would come to five times their size.
                    writer.flush(records.revision())
                progress(done, total)
    finally:
        records.close()
    # What takes less than a microsecond a record was not done: small segments have no index of vectors.
    return {step: round(total / seconds, 1) for step, seconds in steps.seconds.items() if seconds > total * 1e-6}


def _batches(made_of: Origin, size: int) -> Iterator[Batch]:
    yield from multiply.multiply(made_of.needs, made_of.needs_vectors, needs_among(size), made_of.seed)
    yield from multiply.multiply(made_of.base, made_of.vectors, size, made_of.seed)


def _stored(records: Store, batches: Iterator[Batch], total: int, steps: Steps) -> Iterator[list[IndexDocument]]:
    """Records as documents with the keys that the store gave them, so many at a time as are flushed together."""
    gathered: list[IndexDocument] = []
    made = 0
    while made < total:
        with steps.taking("make"):
            batch = next(batches)
        made += len(batch.offers)
        rows = [offer.record() for offer in batch.offers]
        with steps.taking("store"):
            for start in range(0, len(rows), TRANSACTION):
                records.upsert([(row, None) for row in rows[start : start + TRANSACTION]])
        keys = {id_: one.key for id_, one in records.by_id([row.id for row in rows]).items()}
        documents = [replace(document, key=keys[row.id]) for document, row in zip(batch.documents(), rows, strict=True)]
        with steps.taking("tags"):
            records.save_tags({one.key: dict.fromkeys(one.programmes, 1.0) for one in documents})
        gathered += documents
        if len(gathered) >= FLUSH or made == total:
            yield gathered
            gathered = []


@contextmanager
def _index_steps(steps: Steps) -> Iterator[None]:
    """Time the parts of writing a segment, rewriting of earlier ones included, where the index calls them."""
    with (
        patch.object(snapshot, "write_merged", steps.timed("index: arrays", write_merged)),
        patch.object(postings, "write", steps.timed("index: postings", postings.write)),
        patch.object(nearest, "write", steps.timed("index: vectors", nearest.write)),
        patch.object(index, "segment_of", steps.timed("index: counting", segment_of)),
    ):
        yield
