"""All questions at once: every need against the offers, or every offer against the needs.

Records are their own questions: their vectors, words and n-grams are in the index, so nothing is embedded
or tokenised. Blocks of questions go through recall and ranking as a few large array operations each, in as
many processes as there are cores. What a process finishes is written down at once; a run that was killed
goes on from there.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from multiprocessing.connection import wait
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matcher.documents import Filters, IndexQuery, passing
from matcher.embed import Progress
from matcher.errors import BatchFailed, Busy
from matcher.features import Pairs, Question
from matcher.index import Index, open_index
from matcher.rank import Ranker, Scored, fold, fuse, predicted_levels
from matcher.records import OFFER_KINDS, Kind, Visibility
from matcher.segments import Integers, Segment
from matcher.settings import Settings
from matcher.store import Store
from matcher.text import normalize

# Questions that go through recall and ranking together; with some hundred candidates each, their arrays
# take some 100 MB.
BLOCK = 64
# Questions whose matches are written down together: what a kill may cost.
CHECKPOINT = 512
# Seconds between two looks at how far the processes are.
REPORT_EVERY = 0.5
KEYS, STATE = "keys.npy", "revision"

Side = Literal["needs", "offers"]
# How a command names the sides.
SIDES: Mapping[str, Side] = {"need": "needs", "offer": "offers"}


@dataclass(frozen=True, kw_only=True)
class BatchQuery:
    """Which records ask, and what may be found.

    :param asking: the side whose records ask; those of the other side are found.
    :param visibilities: of records on either side; there is no default on purpose.
    :param programmes: of the records that ask; empty does not restrict. `provinces` likewise.
    :param limit: matches of one question at most.
    """

    asking: Side
    visibilities: tuple[Visibility, ...]
    programmes: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    limit: int
    min_level: int

    @property
    def asking_kinds(self) -> tuple[Kind, ...]:
        """Kinds of the records that ask."""
        return ("need",) if self.asking == "needs" else OFFER_KINDS

    def filters(self) -> tuple[Filters, Filters]:
        """Who may ask, and who may be found."""
        found: tuple[Kind, ...] = OFFER_KINDS if self.asking == "needs" else ("need",)
        of_asking = Filters(
            visibilities=self.visibilities,
            kinds=self.asking_kinds,
            programmes=self.programmes,
            provinces=self.provinces,
        )
        return of_asking, Filters(visibilities=self.visibilities, kinds=found)


@dataclass(frozen=True)
class Matches:
    """Matches of some questions, one row a pair, questions in the order of their keys, best match first.

    :param questions: int64 (p,), the store's number of the record that asks; `found` int64 (p,) of the match.
    :param scores: float32 (p,), as in `matcher.rank.Scored`; `levels` uint8 (p,).
    """

    questions: Integers
    found: Integers
    scores: NDArray[np.float32]
    levels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.questions)

    def save(self, path: Path) -> None:
        """Write the arrays, complete or not at all."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **vars(self))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Matches:
        """Read what `save` wrote."""
        with path.open("rb") as file, np.load(file) as arrays:
            return cls(*(arrays[field.name] for field in fields(cls)))


@dataclass(frozen=True)
class BatchMatcher:
    """Matches records that ask, a block at a time.

    :param recall: candidates each engine brings; `compared` how many of them are compared closely; `depth`
        how many of the best are looked through for families.
    """

    index: Index
    store: Store
    ranker: Ranker
    recall: int
    compared: int
    depth: int

    def match(self, keys: Sequence[int], query: BatchQuery) -> Matches:
        """Match the records with these keys; those that the query does not let ask are passed over."""
        return joined([self._block(keys[start : start + BLOCK], query) for start in range(0, len(keys), BLOCK)])

    def _block(self, keys: Sequence[int], query: BatchQuery) -> Matches:
        asking, wanted = query.filters()
        askers, _ = self._standing(self.index.documents(np.array(keys, np.int64)), asking)
        if not len(askers):
            return joined([])
        asked = self._questions(askers)
        found = self.index.search_many(
            [IndexQuery(one.title_vector, one.body_vector, one.hashes) for one in asked], wanted, self.recall
        )
        candidates = [fuse(rankings, self.compared) for rankings in found]
        all_keys = np.unique(np.concatenate(candidates))
        documents, owners = self._standing(self.index.documents(all_keys), wanted)
        questions, keys_found = (
            np.repeat(np.arange(len(asked)), [len(own) for own in candidates]),
            np.concatenate(candidates),
        )
        places = np.searchsorted(documents.keys, keys_found)
        there = np.isin(keys_found, documents.keys)  # what was withdrawn a moment ago is not
        return self._ranked(query, askers, asked, documents, owners, Pairs(questions[there], places[there]))

    def _ranked(
        self,
        query: BatchQuery,
        askers: Segment,
        asked: Sequence[Question],
        documents: Segment,
        owners: Mapping[int, str | None],
        pairs: Pairs,
    ) -> Matches:
        statistics = self.index.statistics()
        if query.asking == "needs":
            compared = self.ranker.compare_pairs(asked, documents, pairs, statistics)
        else:  # whoever begins, the need is what an offer is compared with
            turned = Pairs(pairs.documents, pairs.questions)
            compared = self.ranker.compare_pairs(self._questions(documents), askers, turned, statistics)
        levels, scores = predicted_levels(compared.probabilities), compared.probabilities.mean(axis=1)
        parts = []
        for place, key in enumerate(askers.keys.tolist()):
            own = np.flatnonzero((pairs.questions == place) & (levels >= query.min_level))
            found = documents.keys[pairs.documents[own]]
            best = np.lexsort((found, -scores[own]))[: max(self.depth, 2 * query.limit)]
            scored = [Scored(int(found[i]), float(scores[own[i]]), int(levels[own[i]]), {}) for i in best]
            near = documents.select(pairs.documents[own[best]]) if len(scored) > 1 else documents
            parts.append(_matches(key, fold(scored, near, owners)[: query.limit]))
        return joined(parts)

    def _standing(self, documents: Segment, filters: Filters) -> tuple[Segment, dict[int, str | None]]:
        """Those of the documents that the filters let through, by the store's latest word, and whose they are."""
        owners = self.store.standing(documents.keys.tolist(), filters.visibilities)
        kept = passing(documents, filters) & np.isin(documents.keys, np.array(list(owners), np.int64))
        return documents if kept.all() else documents.select(np.flatnonzero(kept)), owners

    def _questions(self, documents: Segment) -> list[Question]:
        """Documents as questions. Their words are known by hash only, and their texts where a memory needs them."""
        texts = self.store.texts(documents.keys.tolist()) if self.ranker.remembers else {}
        questions = []
        for i, key in enumerate(documents.keys.tolist()):
            terms = slice(documents.term_offsets[i], documents.term_offsets[i + 1])
            hashes, in_title = documents.terms[terms], documents.title_counts[terms] > 0
            title, text = (normalize(part) for part in texts.get(key, ("", "")))
            questions.append(
                Question(
                    title,
                    text,
                    documents.title[i],
                    documents.body[i],
                    [],
                    hashes,
                    hashes[in_title] if in_title.any() else hashes,
                    documents.grams[documents.gram_offsets[i] : documents.gram_offsets[i + 1]],
                    int(documents.programmes[i]),
                )
            )
        return questions


def _matches(key: int, entries: Sequence[Scored]) -> Matches:
    return Matches(
        np.full(len(entries), key, np.int64),
        np.array([entry.key for entry in entries], np.int64),
        np.array([entry.score for entry in entries], np.float32),
        np.array([entry.level for entry in entries], np.uint8),
    )


def joined(parts: Sequence[Matches]) -> Matches:
    """Several as one, in order."""
    empty = _matches(0, [])
    return Matches(
        *(np.concatenate([getattr(one, field.name) for one in (empty, *parts)]) for field in fields(Matches))
    )


@dataclass(frozen=True)
class Job:
    """What a process needs to take its share of a run; nothing in it is open.

    :param folder: where the run's questions are and its matches go.
    """

    settings: Settings
    fingerprint: str
    dimension: int
    ranker: Ranker
    query: BatchQuery
    recall: int
    compared: int
    depth: int
    folder: Path

    def work(self, tasks: Sequence[int]) -> None:
        """Match the questions of some tasks, on one thread, and write each task's matches down."""
        with threadpool_limits(1):
            index = open_index(self.settings, self.fingerprint, self.dimension)
            index.refresh()
            store = Store(self.settings.store_url)
            try:
                matcher = BatchMatcher(index, store, self.ranker, self.recall, self.compared, self.depth)
                keys = np.load(self.folder / KEYS)
                for task in tasks:
                    own = keys[task * CHECKPOINT : (task + 1) * CHECKPOINT]
                    matcher.match(own.tolist(), self.query).save(_matches_file(self.folder, task))
            finally:
                store.close()


def run(job: Job, keys: Sequence[int], revision: int, progress: Progress | None) -> Iterator[Matches]:
    """Match all questions, going on with what an earlier run of the same job left, and give the matches in order.

    :param keys: of the records that ask, ascending.
    :param revision: of the index; what was found in another one is thrown away.
    :param progress: is told (questions done, questions).
    :raises Busy: if another process runs the same job.
    :raises BatchFailed: if a process died or failed; what was finished is kept for the next run.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.folder.with_suffix(".lock"), timeout=0):
            _prepare(job.folder, keys, revision)
            count = -(-len(keys) // CHECKPOINT)
            missing = [task for task in range(count) if not _matches_file(job.folder, task).exists()]
            _work(job, missing, lambda: _report(progress, job.folder, count, len(keys)))
            for task in range(count):
                yield Matches.load(_matches_file(job.folder, task))
            shutil.rmtree(job.folder)
    except Timeout as error:
        raise Busy("另一个进程正在做同样的批量匹配。请等它结束后再试。") from error


def _prepare(folder: Path, keys: Sequence[int], revision: int) -> None:
    wanted = np.array(keys, np.int64)
    state = folder / STATE
    if state.exists() and state.read_text() == str(revision) and np.array_equal(np.load(folder / KEYS), wanted):
        return
    for path in folder.iterdir():
        path.unlink()
    np.save(folder / KEYS, wanted)
    state.write_text(str(revision))  # last: without it the rest counts for nothing


def _work(job: Job, missing: Sequence[int], report: Callable[[], None]) -> None:
    processes = min(job.settings.threads, len(missing))
    if processes <= 1:
        for task in missing:
            job.work([task])
            report()
        return
    # Forked children would hang in FAISS, whose threads do not come along.
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=job.work, args=(missing[i::processes],)) for i in range(processes)]
    try:
        for child in children:
            child.start()
        while any(child.is_alive() for child in children):
            wait([child.sentinel for child in children if child.is_alive()], REPORT_EVERY)
            report()
            if any(child.exitcode for child in children):
                break
    finally:
        for child in children:
            child.terminate()
            child.join()
    codes = [child.exitcode for child in children if child.exitcode]
    if codes:
        raise BatchFailed(
            f"批量匹配的一个进程中途退出（代码 {codes[0]}），原因见上方的错误信息；没有错误信息时，多为内存不足。"
            "已完成的部分已经保存，请再运行一次，程序会接着做。"
        )


def _report(progress: Progress | None, folder: Path, tasks: int, questions: int) -> None:
    if progress:
        done = sum(_matches_file(folder, task).exists() for task in range(tasks))
        progress(min(done * CHECKPOINT, questions), questions)


def _matches_file(folder: Path, task: int) -> Path:
    return folder / f"{task}.npz"
