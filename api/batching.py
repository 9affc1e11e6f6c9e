"""Questions that come while others are being answered wait, and are then answered together.

One thread answers. Nothing is delayed on purpose: whatever has come while the last batch was computed makes the
next one, up to so much work that nobody waits long for the others. Who would have to wait too long is told so at
once, and who has gone away is forgotten.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import orjson
from fastapi import FastAPI, Request, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import Refused, problem
from matcher.queries import MatchQuery

# Seconds of work that one batch may hold, its first question excepted: as long the last to come may wait for it.
# Chosen: longer ones share more, and make the slowest answers slower.
BATCH_SECONDS = 0.6
# Texts of one batch at most, however short.
BATCH_QUESTIONS = 64
# The work of a question, in characters embedded: its texts as far as the model reads, and the rest of an answer.
READ_CHARACTERS = 1_000
REST_CHARACTERS = 60
# Seconds for such a character before anything was measured; and the weight of a new measurement, which counts more
# when it is better: one batch that was kept waiting by a disk shall not turn people away for long.
FIRST_PACE = 0.0003
PACE_WEIGHT = 0.2
BETTER_PACE_WEIGHT = 0.5
# Those refused at one moment shall not all come back at one moment.
RETRY_SPREAD = 2
# Seconds that a refused client is told to stay away at most. The more are refused for each that is answered, the
# longer each is told to: else a crowd that keeps knocking would take the time that answers need.
RETRY_MOST = 10
OVERLOADED = "当前匹配请求过多。请在 {seconds} 秒后重试。"
ENDING = "服务正在停止。请稍后再试。"
# What nginx calls a request whose client has gone; nobody reads it but the log and the metrics.
CLIENT_GONE = 499


T = TypeVar("T")


class ClientGone(Exception):
    """The client has closed its connection before it had its answer."""


@dataclass(eq=False)
class _Waiting(Generic[T]):
    """One question in the queue."""

    query: MatchQuery
    work: float
    came: float = field(default_factory=time.monotonic)
    answer: Future[T] = field(default_factory=Future)


class Collector(Generic[T]):
    """The queue and the thread that empties it."""

    def __init__(
        self, answer: Callable[[Sequence[MatchQuery]], Sequence[T | Exception]], longest_wait: float, metrics: Metrics
    ) -> None:
        """:param answer: gives for each question its answer or what is wrong with it, in their order.

        :param longest_wait: seconds; whoever would probably have to wait longer is refused.
        """
        self._answer = answer
        self._longest_wait = longest_wait
        self._metrics = metrics
        self._changed = threading.Condition()
        self._queue: deque[_Waiting[T]] = deque()
        self._pace = FIRST_PACE
        self._measured = False
        self._running_work = 0.0
        self._running_since = 0.0
        self._refused = 0
        self._crowding = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="matcher-answers")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch that is being computed, refuse whoever still waits, end the thread."""
        with self._changed:
            self._stopping = True
            left = list(self._queue)
            self._queue.clear()
            self._changed.notify()
        for one in left:
            if one.answer.set_running_or_notify_cancel():
                one.answer.set_exception(Refused(503, ENDING))
        if self._thread.ident is not None:
            self._thread.join()

    def wait(self) -> float:
        """Seconds that a question which came now would probably wait."""
        with self._changed:
            return self._wait()

    def retry_after(self) -> int | None:
        """Seconds after which somebody refused may come back; None while nobody is refused."""
        wait = self.wait()
        if wait <= self._longest_wait:
            return None
        self._metrics.refused.inc()
        with self._changed:
            self._refused += 1
            seconds = math.ceil(wait - self._longest_wait + self._crowding)
        return min(RETRY_MOST, seconds) + random.randrange(RETRY_SPREAD)

    async def ask(self, request: Request, query: MatchQuery) -> T:
        """The answer to a question.

        :raises Refused: at once, if it would have to wait too long.
        :raises ClientGone: as soon as the client has closed the connection.
        """
        seconds = self.retry_after()
        if seconds is not None:
            raise overloaded(seconds)
        waiting: _Waiting[T] = _Waiting(query, _work(query))
        with self._changed:
            if self._stopping:
                raise Refused(503, ENDING)
            self._queue.append(waiting)
            self._changed.notify()
        answer = asyncio.wrap_future(waiting.answer)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._metrics.abandoned.inc()
                raise ClientGone
            return answer.result()
        finally:
            gone.cancel()
            if not answer.done():
                answer.cancel()
                self._forget(waiting)

    def _forget(self, waiting: _Waiting[T]) -> None:
        with self._changed:
            if waiting in self._queue:
                self._queue.remove(waiting)

    def _wait(self) -> float:
        work = sum(one.work for one in self._queue)
        seconds = work * self._pace
        if self._running_work:
            # A batch that is overdue will probably take as long again as it is late.
            seconds += abs(self._running_work * self._pace - (time.monotonic() - self._running_since))
        return seconds

    def _run(self) -> None:
        while batch := self._next():
            began = time.monotonic()
            for one in batch:
                self._metrics.waited.observe(began - one.came)
            self._metrics.batch.observe(len(batch))
            try:
                results: Sequence[T | Exception] = self._answer([one.query for one in batch])
            except Exception as error:  # the thread must outlive whatever it is
                results = [error] * len(batch)
            self._measure(batch, time.monotonic() - began)
            for one, result in zip(batch, results, strict=True):
                if isinstance(result, Exception):
                    one.answer.set_exception(result)
                else:
                    one.answer.set_result(result)

    def _next(self) -> list[_Waiting[T]]:
        """What is answered next; empty when the service ends."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._queue or self._stopping)
                if self._stopping:
                    return []
                batch = self._taken()
                if batch:
                    return batch

    def _taken(self) -> list[_Waiting[T]]:
        batch: list[_Waiting[T]] = []
        work = 0.0
        most = BATCH_SECONDS / self._pace
        while self._queue and len(batch) < BATCH_QUESTIONS and (not batch or work + self._queue[0].work <= most):
            one = self._queue.popleft()
            if one.answer.set_running_or_notify_cancel():
                batch.append(one)
                work += one.work
        self._running_work, self._running_since = work, time.monotonic()
        return batch

    def _measure(self, batch: Sequence[_Waiting[T]], seconds: float) -> None:
        with self._changed:
            pace = seconds / self._running_work
            # The first batch tells more than a guess, whatever it is.
            weight = BETTER_PACE_WEIGHT if pace < self._pace else PACE_WEIGHT
            self._pace += (weight if self._measured else 1.0) * (pace - self._pace)
            self._measured = True
            self._running_work = 0.0
            self._crowding += PACE_WEIGHT * (self._refused / len(batch) - self._crowding)
            self._refused = 0

    def observe(self) -> None:
        """Put the state of the queue into the metrics."""
        with self._changed:
            self._metrics.queue(len(self._queue), self._wait())


def install(app: FastAPI, collector: Collector[Any], routes: Iterable[BaseRoute]) -> None:
    """Let questions be refused before they are read, and clients that have gone not be taken for a fault.

    :param routes: where questions are posted, by a path without parameters.
    """
    by_path = {route.path: route for route in routes if isinstance(route, Route)}
    app.add_middleware(EarlyRefusal, routes=by_path, retry_after=collector.retry_after)
    app.add_exception_handler(ClientGone, _nobody_there)


async def _nobody_there(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


class EarlyRefusal:
    """Refuses questions before anything of them is read, when so many wait already that each is refused anyway."""

    def __init__(self, app: ASGIApp, routes: Mapping[str, Route], retry_after: Callable[[], int | None]) -> None:
        """:param routes: those that answer questions, by path.

        :param retry_after: gives None while questions are taken.
        """
        self.app = app
        self.routes = routes
        self.retry_after = retry_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self.routes:
            seconds = self.retry_after()
            if seconds is not None:
                scope["route"] = self.routes[scope["path"]]  # for the log and the metrics
                refusal = overloaded(seconds)
                await problem(429, scope["path"], refusal.detail, headers=refusal.headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def answered(content: Mapping[str, Any]) -> Response:
    """An answer to a question as JSON.

    It is not checked against its model, which would take a millisecond of each; tests hold it to that.
    """
    return Response(orjson.dumps(content), media_type="application/json")


def overloaded(seconds: int) -> Refused:
    """Too many questions wait already."""
    # Another worker may have time: whoever comes back on a new connection may meet it.
    headers = {"Retry-After": str(seconds), "Connection": "close"}
    return Refused(429, OVERLOADED.format(seconds=seconds), headers)


def _work(query: MatchQuery) -> float:
    apart = query.title if query.title and query.text else ""
    return REST_CHARACTERS + min(READ_CHARACTERS, len(query.title) + len(query.text)) + len(apart)


async def _disconnected(request: Request) -> None:
    """Return when the client has gone; its whole body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
