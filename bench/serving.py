"""The real service in processes of its own: how soon it is ready, what it holds, how much it answers."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from apart import apart, cores, thread_variables
from figures import Figures, percentiles
from memory import memory
from multiply import Question

COMMAND = [sys.executable, "-c", "from matcher.cli import main; main()"]
START_SECONDS = 300
# A connection stays with one worker; clients that keep theirs for ever could all meet the same one.
REQUESTS_A_CONNECTION = 20
WARM_SECONDS = 2.0
HELP_RUNS = 5
# One address asks for everybody here: that is not what is measured.
UNLIMITED = {"MATCHER_RATE_LIMIT": 10**9, "MATCHER_RATE_LIMIT_ANONYMOUS": 10**9}
# Where all are to be answered, however long it takes.
PATIENT = UNLIMITED | {"MATCHER_MAX_WAIT_SECONDS": 60}
# Each worker gets ready by itself, and none says for another: so many connections, whoever takes them.
READY_IN_A_ROW = 100


@dataclass(frozen=True)
class Served:
    """A running service.

    :param ready_s: seconds from the start of its process until it says that it is ready.
    """

    process: subprocess.Popen[bytes]
    port: int
    ready_s: float

    def pids(self) -> list[int]:
        """Of all its processes."""
        own = psutil.Process(self.process.pid)
        return [own.pid, *(child.pid for child in own.children(recursive=True))]


def environment(home: Path, threads: int, **settings: object) -> dict[str, str]:
    """For a command that works in `home` and sees no other setting."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MATCHER_")}
    own = {"MATCHER_HOME": str(home), "MATCHER_THREADS": str(threads)}
    return clean | thread_variables(threads) | own | {name: str(value) for name, value in settings.items()}


@contextmanager
def serving(home: Path, workers: int = 1, **more: object) -> Iterator[Served]:
    """Start `matcher serve`, the cores divided among its workers, and wait until it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = environment(home, max(1, cores() // workers), MATCHER_PORT=port, MATCHER_WORKERS=workers, **more)
    start = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, "serve"], env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while not _is_ready(port):
            if process.poll() is not None or time.perf_counter() - start > START_SECONDS:
                raise RuntimeError(f"matcher serve is not ready after {time.perf_counter() - start:.0f} s")
            time.sleep(0.02)
        served = Served(process, port, round(time.perf_counter() - start, 2))
        in_a_row = 0
        while workers > 1 and in_a_row < READY_IN_A_ROW:
            in_a_row = in_a_row + 1 if _is_ready(port) else 0
            time.sleep(0.02)
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def start_and_memory(home: Path, questions: Sequence[Question], starts: int = 3) -> dict[str, object]:
    """Seconds until ready, the least of some starts, and memory when ready and after all questions."""
    seconds, stages = [], {}
    for _ in range(starts):
        with serving(home, **PATIENT) as served:
            seconds.append(served.ready_s)
            stages["ready"] = memory(served.pids())
            if len(seconds) == starts:
                client = Client(served.port)
                for question in questions:
                    client.ask(body(question))
                client.close()
                stages["asked"] = memory(served.pids())
    return {"ready_s": min(seconds), "memory_mb": stages}


def help_seconds() -> float:
    """Seconds that `matcher --help` takes, the least of some runs."""
    times = []
    for _ in range(HELP_RUNS):
        start = time.perf_counter()
        subprocess.run([*COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return round(min(times), 3)


def body(question: Question) -> bytes:
    """What is posted to /v1/match."""
    asked = {"text": question.text} | ({"title": question.title} if question.title else {})
    return json.dumps(asked).encode()


class Client:
    """One that keeps its connection for a while."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._requests = 0

    def ask(self, content: bytes) -> int:
        """The status of an answer that was read to its end."""
        self._requests += 1
        if self._requests % REQUESTS_A_CONNECTION == 0:
            self._connection.close()
        self._connection.request("POST", "/v1/match", content, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def press(port: int, clients: int, seconds: float, contents: Sequence[bytes]) -> Figures:
    """Ask with several clients at once, each the next question as soon as it has its answer.

    :returns: answers a second, and milliseconds of one.
    :raises RuntimeError: if an answer fails once the first `WARM_SECONDS` are over.
    """
    asked = itertools.cycle(contents)
    times: list[float] = []
    failed: list[int] = []
    warm = time.perf_counter() + WARM_SECONDS
    end = warm + seconds

    def run() -> None:
        client = Client(port)
        while (start := time.perf_counter()) < end or not times:
            status = client.ask(next(asked))
            done = time.perf_counter()
            if start >= warm:
                times.append((done - start) * 1000)
                if status != 200:
                    failed.append(status)
        client.close()

    with ThreadPoolExecutor(clients) as pool:
        for running in [pool.submit(run) for _ in range(clients)]:
            running.result()
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(times)} answers failed: {sorted(set(failed))}")
    # Those that began before the end are waited for, so the time is taken to the last answer.
    return {"per_second": round(len(times) / (time.perf_counter() - warm), 2), **percentiles(times)}


def load(
    home: Path, questions: Sequence[Question], workers: Sequence[int], clients: Sequence[int], seconds: float
) -> dict[str, object]:
    """Answers a second by workers and clients, and the memory of all workers together."""
    found: dict[str, object] = {}
    contents = [body(question) for question in questions]
    for count in workers:
        with serving(home, count, **PATIENT) as served:
            by_clients = {str(many): apart(1, press, served.port, many, seconds, contents) for many in clients}
            found[str(count)] = {"clients": by_clients, "memory_mb": memory(served.pids())}
    return found
