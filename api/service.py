"""The engine as a service holds it: opened once, loaded and refreshed beside the requests."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from api.batching import Collector
from api.metrics import Metrics
from api.rates import Rates
from api.sessions import Sessions, load_secret
from matcher.answering import Answer
from matcher.engine import Matcher
from matcher.queries import MatchQuery
from matcher.settings import Settings

LOADING = "模型和索引正在加载，请稍候再试。"
LOADING_FAILED = "模型或索引加载失败，原因见服务日志；程序会自动重试。"
# Any question will do: answering one loads model, tagger, ranker and index.
WARMING = MatchQuery(text="银耳烘干节能", limit=1)

T = TypeVar("T")
logger = logging.getLogger(__name__)
# An ingesting process begins to index within this time, its model loaded; after it, it was killed.
GRACE_SECONDS = 10.0

# Between two looks for files that nobody reads.
UPLOADS_SECONDS = 5.0


class _Stopped(Exception):
    """The service ends while its thread is in the middle of something long."""


class Service:
    """One engine with the thread that keeps it fresh."""

    def __init__(self, settings: Settings, matcher: Matcher | None = None) -> None:
        """:param matcher: one that the caller has opened and will close."""
        self.settings = settings
        self.metrics = Metrics()
        self.answers = Collector(self._answer, settings.max_wait_seconds, self.metrics)
        self._given = matcher
        self._matcher = matcher
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="matcher-refresh")
        self._reader = threading.Thread(target=self._read_uploads, name="matcher-uploads")
        # Set when this service itself has written to the store: then indexing is its own work.
        self._wrote = threading.Event()
        self._handed_in = threading.Event()
        # Reading a file may take gigabytes of address space and all of a core.
        self.previewing = threading.Lock()
        # More at once would share the same cores and all be late; the others wait their turn.
        self._turns = CapacityLimiter(settings.threads)

    @property
    def matcher(self) -> Matcher:
        """The engine, open from `start` to `stop`; its index may still be loading."""
        if self._matcher is None:
            raise RuntimeError("the service has not been started")
        return self._matcher

    @property
    def ready(self) -> bool:
        """Whether questions can be answered."""
        return self._ready.is_set()

    @property
    def reason(self) -> str:
        """Why it is not ready, for the caller."""
        return LOADING_FAILED if self._failure else LOADING

    def start(self) -> None:
        """Open the store, and load the rest in the background.

        :raises SettingError: if the store cannot be opened.
        """
        if self._matcher is None:
            self._matcher = Matcher(self.settings)
        self.sessions = Sessions(load_secret(self.settings.home / "session.key"))
        self.rates = Rates(self.settings.home / "rates.db")
        self.answers.start()
        self._thread.start()
        self._reader.start()
        # At once, also in the middle of long work; nothing waits for this thread when the service ends.
        threading.Thread(target=_end_with_parent, name="matcher-parent", daemon=True).start()

    def stop(self) -> None:
        """End the thread and close what `start` opened."""
        self._stopping.set()
        self._wrote.set()
        self._handed_in.set()
        self.answers.stop()
        self._thread.join()
        self._reader.join()
        self.rates.close()
        if self._matcher is not self._given:
            self.matcher.close()

    def wrote(self) -> None:
        """Tell that records were written here, so that they can be found soon."""
        self._wrote.set()

    def handed_in(self) -> None:
        """Tell that a file waits to be read."""
        self._handed_in.set()

    async def compute(self, work: Callable[[], T]) -> T:
        """Run CPU work other than answering questions beside the event loop, no more at once than there are threads."""
        return await to_thread.run_sync(work, limiter=self._turns)

    def _answer(self, queries: Sequence[MatchQuery]) -> list[Answer | Exception]:
        results = self.matcher.match_many(queries)
        # All answers of a batch tell the same.
        answered = next((result for result in results if not isinstance(result, Exception)), None)
        self.metrics.steps(answered.steps if answered else {})
        return results

    def _run(self) -> None:
        while not self._stopping.is_set():
            grace = 0.0 if self._wrote.is_set() else GRACE_SECONDS
            self._wrote.clear()
            try:
                if self.ready:
                    self.matcher.refresh(self._stop_early, grace)
                    if not grace and self.matcher.duplicates.run(self._stop_early).merged:
                        self.wrote()  # what was merged is to leave the index
                else:
                    self.matcher.match(WARMING)
                    # What is loaded by now stays: looking through it for garbage again and again takes a
                    # hundredth of all time.
                    gc.collect()
                    gc.freeze()
                    self._ready.set()
                self._failure = None
            except _Stopped:
                return
            except Exception as error:  # whatever it is, the old index can still serve, and the next try may work
                self._failed(error)
            self._wrote.wait(self.settings.refresh_seconds)

    def _read_uploads(self) -> None:
        while not self._stopping.is_set():
            self._handed_in.clear()
            try:
                while not self._stopping.is_set() and self.matcher.uploads.work():
                    self.wrote()
            except Exception:  # the file stays where it is, and the next try may work
                logger.exception("reading an upload failed")
            # Others' files too: of a process that died.
            self._handed_in.wait(UPLOADS_SECONDS)

    def _stop_early(self, _done: int, _total: int) -> None:
        # What was embedded is in the cache, what was written is in the store: the next start goes on from there.
        if self._stopping.is_set():
            raise _Stopped

    def _failed(self, error: Exception) -> None:
        self.metrics.refresh_failures.inc()
        failure = f"{type(error).__name__}: {error}"
        # Tried again every second or so: one line a failure, not one a try.
        if failure != self._failure:
            logger.error("loading or refreshing the index failed", exc_info=error)
        self._failure = failure


def _end_with_parent() -> None:
    """End a worker whose parent was killed: it would hold the port, and nobody could start the service again."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
