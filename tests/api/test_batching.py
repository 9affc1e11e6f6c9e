"""Questions wait together, are refused when too many wait, and leave nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from api import batching
from api.app import create_app
from api.batching import ClientGone, Collector
from api.metrics import Metrics
from api.problems import Refused
from matcher.engine import Matcher
from matcher.queries import MatchQuery
from tests.api.conftest import Key
from tests.api.support import DRYING, assert_problem, ready
from tests.api.test_running import figure

PATIENT = 60.0


class Backend:
    """Answers a question with its text, when it may; remembers what came together."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may = threading.Event()
        self.begun = threading.Event()

    def answer(self, queries: Sequence[MatchQuery]) -> list[str | Exception]:
        self.batches.append([query.text for query in queries])
        self.begun.set()
        assert self.may.wait(20)
        return [ValueError(query.text) if query.text == "bad" else query.text for query in queries]


@contextmanager
def collecting(backend: Backend, longest_wait: float = PATIENT, metrics: Metrics | None = None) -> Iterator[Any]:
    before = set(threading.enumerate())
    collector: Collector[str] = Collector(backend.answer, longest_wait, metrics or Metrics())
    collector.start()
    try:
        yield collector
    finally:
        backend.may.set()
        collector.stop()
        left = set(threading.enumerate()) - before
        assert not [thread for thread in left if thread.name == "matcher-answers"]


def request(gone: asyncio.Event | None = None) -> Request:
    """A request whose client goes away when the event says so."""

    async def receive() -> dict[str, Any]:
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario; it must not leave a task behind."""

    async def whole() -> None:
        await scenario()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


def asking(collector: Collector[str], *texts: str, gone: asyncio.Event | None = None) -> list[asyncio.Task[str]]:
    return [asyncio.ensure_future(collector.ask(request(gone), MatchQuery(text=text))) for text in texts]


async def begun(backend: Backend) -> None:
    assert await asyncio.to_thread(backend.begun.wait, 10)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch may take its time, as on a machine that others keep busy."""
    monkeypatch.setattr(batching, "BATCH_SECONDS", 1e6)


@pytest.mark.usefixtures("unhurried")
def test_what_comes_while_a_batch_is_computed_makes_the_next_one() -> None:
    backend = Backend()
    with collecting(backend) as collector:

        async def scenario() -> None:
            first = asking(collector, "first")
            await begun(backend)
            rest = asking(collector, *"abcde")
            await asyncio.sleep(0.05)
            backend.may.set()
            assert await asyncio.gather(*first, *rest) == ["first", *"abcde"]

        run(scenario)
    assert backend.batches == [["first"], [*"abcde"]]


def test_long_questions_do_not_all_go_into_one_batch() -> None:
    backend = Backend()
    long = "长" * 2000
    with collecting(backend) as collector:

        async def scenario() -> None:
            first = asking(collector, "first")
            await begun(backend)
            rest = asking(collector, *[long] * 6)
            await asyncio.sleep(0.05)
            backend.may.set()
            await asyncio.gather(*first, *rest)

        run(scenario)
    sizes = [len(own) for own in backend.batches]
    assert sum(sizes) == 7
    assert max(sizes) < 6


@pytest.mark.usefixtures("unhurried")
def test_a_batch_has_no_more_questions_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "BATCH_QUESTIONS", 2)
    backend = Backend()
    with collecting(backend) as collector:

        async def scenario() -> None:
            first = asking(collector, "first")
            await begun(backend)
            rest = asking(collector, *"abcde")
            await asyncio.sleep(0.05)
            backend.may.set()
            await asyncio.gather(*first, *rest)

        run(scenario)
    assert [len(own) for own in backend.batches] == [1, 2, 2, 1]


def test_what_goes_wrong_with_one_question_stays_with_it() -> None:
    backend = Backend()
    backend.may.set()
    with collecting(backend) as collector:

        async def scenario() -> None:
            results = await asyncio.gather(*asking(collector, "a", "bad", "b"), return_exceptions=True)
            assert results[::2] == ["a", "b"]
            assert isinstance(results[1], ValueError)

        run(scenario)


def test_the_thread_outlives_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend()
    backend.may.set()
    broken = True
    answer = backend.answer

    def once(queries: Sequence[MatchQuery]) -> list[str | Exception]:
        if broken:
            raise MemoryError
        return answer(queries)

    monkeypatch.setattr(backend, "answer", once)
    with collecting(backend) as collector:

        async def scenario() -> None:
            nonlocal broken
            results = await asyncio.gather(*asking(collector, "a", "b"), return_exceptions=True)
            assert [type(result) for result in results] == [MemoryError, MemoryError]
            broken = False
            assert await asking(collector, "c")[0] == "c"

        run(scenario)


def test_who_would_wait_too_long_is_refused_at_once_and_taken_again_later() -> None:
    backend, metrics = Backend(), Metrics()
    with collecting(backend, 5.0, metrics) as collector:

        async def scenario() -> None:
            first = asking(collector, "first")
            await begun(backend)
            tasks = asking(collector, *["问" * 500] * 100)
            done, waiting = await asyncio.wait(tasks, timeout=0.2)
            assert 0 < len(waiting) < 50
            for task in done:
                refusal = task.exception()
                assert isinstance(refusal, Refused)
                assert refusal.status_code == 429
                assert refusal.headers
                assert 1 <= int(refusal.headers["Retry-After"]) <= batching.RETRY_MOST + batching.RETRY_SPREAD
                assert refusal.headers["Retry-After"] in refusal.detail
            assert collector.retry_after() is not None
            backend.may.set()
            assert await asyncio.gather(*first, *waiting)
            assert collector.retry_after() is None
            assert await asking(collector, "again")[0] == "again"

        run(scenario)
    assert metrics.registry.get_sample_value("matcher_questions_refused_total") > 50  # type: ignore[operator]


def test_a_client_that_has_gone_is_forgotten() -> None:
    backend, metrics = Backend(), Metrics()
    with collecting(backend, metrics=metrics) as collector:

        async def scenario() -> None:
            gone = asyncio.Event()
            first = asking(collector, "first")
            await begun(backend)
            leaving = asking(collector, "left", "left", gone=gone)
            staying = asking(collector, "stayed")
            await asyncio.sleep(0.05)
            assert length(collector, metrics) == 3
            gone.set()
            results = await asyncio.gather(*leaving, return_exceptions=True)
            assert [type(result) for result in results] == [ClientGone, ClientGone]
            assert length(collector, metrics) == 1
            backend.may.set()
            assert await asyncio.gather(*first, *staying) == ["first", "stayed"]

        run(scenario)
    assert backend.batches == [["first"], ["stayed"]]
    assert metrics.registry.get_sample_value("matcher_questions_abandoned_total") == 2


def length(collector: Collector[str], metrics: Metrics) -> float | None:
    collector.observe()
    return metrics.registry.get_sample_value("matcher_queue_length")


def test_a_client_that_goes_while_it_is_answered_harms_nobody() -> None:
    backend = Backend()
    with collecting(backend) as collector:

        async def scenario() -> None:
            gone = asyncio.Event()
            leaving = asking(collector, "left", gone=gone)
            await begun(backend)
            gone.set()
            with pytest.raises(ClientGone):
                await leaving[0]
            backend.may.set()
            assert await asking(collector, "next")[0] == "next"

        run(scenario)


def test_who_waits_when_the_service_ends_is_told() -> None:
    backend = Backend()
    with collecting(backend) as collector:

        async def scenario() -> None:
            first = asking(collector, "first")
            await begun(backend)
            rest = asking(collector, "a", "b")
            await asyncio.sleep(0.05)
            stopping = asyncio.ensure_future(asyncio.to_thread(collector.stop))
            results = await asyncio.gather(*rest, return_exceptions=True)
            assert [getattr(result, "status_code", 0) for result in results] == [503, 503]
            backend.may.set()
            assert await first[0] == "first"
            await stopping
            with pytest.raises(Refused):
                await asking(collector, "late")[0]

        run(scenario)
    assert backend.batches == [["first"]]


def test_one_that_was_never_started_can_be_stopped() -> None:
    Collector(Backend().answer, PATIENT, Metrics()).stop()


@pytest.fixture
def slow(matcher: Matcher, key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TestClient, threading.Event]]:
    """A service that takes no further question while its first is being answered."""
    may = threading.Event()
    begun = threading.Event()
    hurried = matcher.settings.model_copy(update={"max_wait_seconds": 0.0})
    with TestClient(create_app(hurried, matcher), headers=key("enterprise")) as client:
        ready(client)
        match_many = matcher.match_many

        def slowly(queries: Any) -> Any:
            begun.set()
            may.wait(20)
            return match_many(queries)

        monkeypatch.setattr(matcher, "match_many", slowly)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.post, "/v1/match", json={"text": DRYING})
            assert begun.wait(10)
            yield client, may
            may.set()
            assert first.result().status_code == 200


@pytest.mark.parametrize("path", ["match", "partners"])
def test_a_refusal_is_a_problem_that_says_when_to_come_back(
    slow: tuple[TestClient, threading.Event], path: str
) -> None:
    client, _ = slow
    route = {"route": f"/v1/{path}", "status": "429"}
    # Not even what the body holds is looked at.
    for content in (b'{"text": "x"}', b"{"):
        answer = client.post(f"/v1/{path}", content=content, headers={"Content-Type": "application/json"})
        problem = assert_problem(answer, 429)
        assert answer.headers["retry-after"] in problem["detail"]
        assert answer.headers["connection"] == "close"
    assert figure(client, "matcher_requests_total", **route) == 2
    assert figure(client, "matcher_questions_refused_total") == 2
    assert figure(client, "matcher_queue_seconds") > 0


def test_everything_else_answers_while_questions_are_refused(slow: tuple[TestClient, threading.Event]) -> None:
    client, _ = slow
    for path in ("/healthz", "/readyz", "/metrics", "/v1/programmes"):
        assert client.get(path).status_code == 200
    assert client.get("/v1/match").status_code == 405


def test_answers_say_in_the_metrics_how_many_came_together(client: TestClient) -> None:
    before = figure(client, "matcher_batch_questions_sum"), figure(client, "matcher_queue_wait_seconds_count")
    assert client.post("/v1/match", json={"text": DRYING}).status_code == 200
    assert figure(client, "matcher_batch_questions_sum") == before[0] + 1
    assert figure(client, "matcher_queue_wait_seconds_count") == before[1] + 1
