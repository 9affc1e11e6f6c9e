"""Figures for Prometheus, in a registry of their own for each app."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from matcher.engine import Matcher
from matcher.errors import MatcherError
from matcher.visibility import ANONYMOUS

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Seconds. One query is 20 to 50 ms of CPU, the steps around it some ms, 256 texts to tag some 10 s.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
STEP_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class Metrics:
    """What one app counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "matcher_requests", "Requests answered", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "matcher_request_seconds",
            "Time from request to answer",
            ("route", "method"),
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._steps = Histogram(
            "matcher_match_step_seconds",
            "Time of each step of matching a batch of questions",
            ("step",),
            buckets=STEP_BUCKETS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "matcher_batch_questions", "Questions answered together", buckets=BATCH_BUCKETS, registry=self.registry
        )
        self.waited = Histogram(
            "matcher_queue_wait_seconds",
            "Time that questions waited before they were answered",
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._queue_length = Gauge("matcher_queue_length", "Questions that wait", registry=self.registry)
        self._queue_seconds = Gauge(
            "matcher_queue_seconds", "Time that a question which came now would wait", registry=self.registry
        )
        self.refused = Counter(
            "matcher_questions_refused", "Questions refused because too many waited", registry=self.registry
        )
        self.abandoned = Counter(
            "matcher_questions_abandoned", "Questions whose client did not wait for the answer", registry=self.registry
        )
        self.refresh_failures = Counter(
            "matcher_refresh_failures", "Failed attempts to load or refresh the index", registry=self.registry
        )
        self._ready = Gauge("matcher_ready", "1 once model and index are loaded", registry=self.registry)
        self._generation = Gauge("matcher_index_generation", "Generation of the index", registry=self.registry)
        self._records = Gauge("matcher_index_records", "Records that can be found", registry=self.registry)
        self._behind = Gauge(
            "matcher_index_behind", "Changes in the store that the index lacks", registry=self.registry
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)

    def steps(self, steps: Mapping[str, float]) -> None:
        """Count the steps of one batch of matches, given in milliseconds."""
        for step, milliseconds in steps.items():
            self._steps.labels(step).observe(milliseconds / 1000)

    def queue(self, questions: int, seconds: float) -> None:
        """Tell how many questions wait, and how long one that came now would."""
        self._queue_length.set(questions)
        self._queue_seconds.set(seconds)

    def render(self, matcher: Matcher | None) -> bytes:
        """The figures as text.

        :param matcher: once it is ready; asked for the state of its index.
        """
        self._ready.set(matcher is not None)
        if matcher:
            index = matcher.index
            self._generation.set(index.generation)
            # The figures of a service in trouble are wanted most.
            with suppress(MatcherError):
                self._records.set(index.count(ANONYMOUS.sight.visibilities))
                self._behind.set(max(0, matcher.store.revision() - index.revision))
        return generate_latest(self.registry)
