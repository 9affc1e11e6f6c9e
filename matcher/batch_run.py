"""Runs a batch in as many processes as there are cores, and goes on where a killed run stopped."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from matcher.batch import BatchMatcher, BatchQuery, Matches, NeedVectors
from matcher.embed import Progress
from matcher.errors import BatchFailed, Busy, MatcherError
from matcher.faults import room_for
from matcher.index import open_index
from matcher.rank import Ranker
from matcher.settings import Settings
from matcher.store import Store

# Questions whose matches are written down together: what a kill may cost.
CHECKPOINT = 512
# Seconds between two looks at how far the processes are.
REPORT_EVERY = 0.5
KEYS, STATE = "keys.npy", "revision"


@dataclass(frozen=True)
class Job:
    """What a process needs to take its share of a run; nothing in it is open.

    :param folder: where the run's questions are and its matches go.
    :param needs: where `NeedVectors` are, if they are needed.
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
    needs: Path | None = None

    def work(self, tasks: Sequence[int]) -> None:
        """Match the questions of some tasks, on one thread, and write each task's matches down."""
        parent = multiprocessing.parent_process()
        with threadpool_limits(1):
            index = open_index(self.settings, self.fingerprint, self.dimension)
            index.refresh()
            store = Store(self.settings.store_url)
            try:
                needs = NeedVectors.load(self.needs) if self.needs else None
                matcher = BatchMatcher(index, store, self.ranker, self.recall, self.compared, self.depth, needs)
                keys = np.load(self.folder / KEYS)
                for task in tasks:
                    if parent and not parent.is_alive():
                        return  # killed: the next run will not wait for this process
                    own = keys[task * CHECKPOINT : (task + 1) * CHECKPOINT]
                    matches = matcher.match(own.tolist(), self.query)
                    with _room(self.folder):
                        matches.save(_matches_file(self.folder, task))
            finally:
                store.close()


def run(job: Job, keys: Sequence[int], revision: int, progress: Progress | None) -> Iterator[Matches]:
    """Match all questions, going on with what an earlier run of the same job left, and give the matches in order.

    :param keys: of the records that ask, ascending.
    :param revision: of the index; what was found in another one is thrown away.
    :param progress: is told (questions done, questions).
    :raises Busy: if another process runs the same job.
    :raises BatchFailed: if a process died or failed; what was finished is kept for the next run.
    :raises DiskFull: likewise.
    """
    try:
        with _room(job.folder):
            job.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(job.folder.with_suffix(".lock"), timeout=0):
            with _room(job.folder):
                _prepare(job.folder, keys, revision)
            count = -(-len(keys) // CHECKPOINT)
            missing = [task for task in range(count) if not _matches_file(job.folder, task).exists()]
            _work(job, missing, lambda: _report(progress, job.folder, count, len(keys)))
            for task in range(count):
                yield Matches.load(_matches_file(job.folder, task))
            shutil.rmtree(job.folder)
    except Timeout as error:
        raise Busy("另一个进程正在做同样的批量匹配。请等它结束后再试。") from error


def _room(folder: Path) -> AbstractContextManager[None]:
    return room_for("批量匹配的中间结果", folder, "已完成的部分已经保存。")


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
    told = context.SimpleQueue()
    shares = [missing[i::processes] for i in range(processes)]
    children = [context.Process(target=_work_and_tell, args=(job, share, told)) for share in shares]
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
    if not told.empty():
        raise told.get()
    codes = [child.exitcode for child in children if child.exitcode]
    if codes:
        raise BatchFailed(
            f"批量匹配的一个进程中途退出（代码 {codes[0]}），原因见上方的错误信息；没有错误信息时，多为内存不足。"
            "已完成的部分已经保存，请再运行一次，程序会接着做。"
        )


def _work_and_tell(job: Job, tasks: Sequence[int], told: SimpleQueue[MatcherError]) -> None:
    """In a process of its own: what the user must know goes to the one that waits."""
    try:
        job.work(tasks)
    except MatcherError as error:
        told.put(type(error)(str(error)))
        sys.exit(1)


def _report(progress: Progress | None, folder: Path, tasks: int, questions: int) -> None:
    if progress:
        done = sum(_matches_file(folder, task).exists() for task in range(tasks))
        progress(min(done * CHECKPOINT, questions), questions)


def _matches_file(folder: Path, task: int) -> Path:
    return folder / f"{task}.npz"
