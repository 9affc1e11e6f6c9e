"""Kills processes of a working installation at random, and looks after each kill whether anything was lost.

    python -m tests.e2e.torture --kills 200 [--seed 1] [--home DIR]

Clients with keys of their own write, change, withdraw and match over HTTP, two workers serve them, and files are
ingested beside them. What was acknowledged before a kill must be there after it, exactly as it was acknowledged;
a request that was cut off may have happened or not, but not in part.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from matcher.console import say
from matcher.engine import Matcher
from matcher.integrity import check
from matcher.settings import Settings
from tests.e2e.running import free_port, start, wait_for
from tests.e2e.test_service import invented, write

CLIENTS = 4
WORKERS = "2"
# Records of one client; then it changes those it has.
RECORDS = 40
START_SECONDS = 60
VISIBILITIES = ("public", "intermediaries", "private")


@dataclass
class Book:
    """What one client has been told, and the one request whose end it does not know.

    :ivar known: id to the body last acknowledged, None for a record that was withdrawn.
    :ivar doubtful: the id and body of a request that was cut off.
    """

    known: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    doubtful: tuple[str, Mapping[str, Any] | None] | None = None
    done: Counter[str] = field(default_factory=Counter)


class Client(threading.Thread):
    """One account at work, until it is told to end."""

    def __init__(self, url: str, key: str, seed: int, working: threading.Event, ending: threading.Event) -> None:
        super().__init__(daemon=True)
        self.book = Book()
        self.paused = threading.Event()
        self.failure: str | None = None
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._draw = random.Random(seed)
        self._working, self._ending = working, ending

    def run(self) -> None:
        """Send one request after the other."""
        while not self._ending.is_set():
            if not self._working.is_set():
                self.paused.set()
                self._working.wait(0.05)
                continue
            self.paused.clear()
            with (
                contextlib.suppress(httpx.TransportError),
                httpx.Client(base_url=self._url, headers=self._headers, timeout=20) as http,
            ):
                while self._working.is_set() and not self._ending.is_set() and not self.failure:
                    self._step(http)
            if self.failure:
                break
            time.sleep(0.05)
        self.paused.set()

    def _step(self, http: httpx.Client) -> None:
        book, draw = self.book, self._draw
        if book.doubtful:
            self._settle(http)
            return
        choice = draw.random()
        if choice < 0.35 and len(book.known) < RECORDS:
            self._create(http)
        elif choice < 0.6 and book.known:
            self._change(http, draw.choice(list(book.known)))
        elif choice < 0.7 and book.known:
            self._withdraw(http, draw.choice(list(book.known)))
        else:
            text = invented(1, draw.randrange(1000))[0][1]
            self._expect(http.post("/v1/match", json={"text": text, "limit": 3}), 200, 429, 503)
            book.done["match"] += 1

    def _body(self) -> dict[str, Any]:
        title, abstract, _ = invented(1, self._draw.randrange(1_000_000))[0]
        visibility = self._draw.choice(VISIBILITIES)
        return {"kind": "need", "title": title, "abstract": abstract, "visibility": visibility}

    def _create(self, http: httpx.Client) -> None:
        body = self._body() | {"source_id": f"N{len(self.book.bodies)}"}
        # Sent again under the same key until it is answered: it must be written once.
        name = f"create-{body['source_id']}"
        while not self._ending.is_set():
            with contextlib.suppress(httpx.TransportError):
                answer = http.post("/v1/records", json=body, headers={"Idempotency-Key": name})
                if answer.status_code in (409, 503):
                    time.sleep(0.5)
                    continue
                self._expect(answer, 201)
                if answer.status_code == 201:
                    self.book.known[answer.json()["id"]] = self.book.bodies[answer.json()["id"]] = body
                    self.book.done["create"] += 1
                return
            time.sleep(0.2)

    def _change(self, http: httpx.Client, id_: str) -> None:
        body = self._body()
        self.book.doubtful = id_, body
        answer = http.put(f"/v1/records/{id_}", json=body)
        self._expect(answer, 200, 503)
        if answer.status_code == 200:
            self.book.known[id_] = body
            self.book.done["change"] += 1
        self.book.doubtful = None

    def _withdraw(self, http: httpx.Client, id_: str) -> None:
        self.book.doubtful = id_, None
        answer = http.delete(f"/v1/records/{id_}")
        gone = self.book.known[id_] is None
        self._expect(answer, *((404, 503) if gone else (204, 503)))
        if answer.status_code == 204:
            self.book.known[id_] = None
            self.book.done["withdraw"] += 1
        self.book.doubtful = None

    def _settle(self, http: httpx.Client) -> None:
        """Ask what became of the request that was cut off."""
        assert self.book.doubtful
        id_, body = self.book.doubtful
        answer = http.get(f"/v1/records/{id_}")
        if answer.status_code == 503:
            return
        shown = answer.json()
        self._expect(answer, 200)
        now = None if shown.get("state") == "withdrawn" else shown
        if _same(now, body):
            self.book.known[id_] = body
        elif not _same(now, self.book.known[id_]):
            self.failure = f"{id_} is neither what it was nor what was asked for: {shown}"
        self.book.doubtful = None

    def _expect(self, answer: httpx.Response, *statuses: int) -> None:
        if answer.status_code not in statuses:
            self.failure = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}"


def _same(shown: Mapping[str, Any] | None, body: Mapping[str, Any] | None) -> bool:
    if shown is None or body is None:
        return shown is body
    return all(shown[name] == body[name] for name in ("title", "abstract")) and (
        shown["own"]["visibility"] == body["visibility"]
    )


class Torture:
    """An installation, the load on it, and who kills it."""

    def __init__(self, home: Path, seed: int) -> None:
        self._home = home
        self._draw = random.Random(seed)
        self._port = free_port()
        self._working, self._ending = threading.Event(), threading.Event()
        self._settings = Settings(home=home)
        self._service: subprocess.Popen[bytes] | None = None
        self._ingest: subprocess.Popen[bytes] | None = None
        self._files = 0
        self.kills: Counter[str] = Counter()
        with contextlib.closing(Matcher(self._settings)) as matcher:
            secrets = [
                matcher.accounts.add_key(matcher.accounts.add(f"企业 {i}", "enterprise"), "密钥")[1]
                for i in range(CLIENTS)
            ]
        url = f"http://127.0.0.1:{self._port}"
        self.clients = [Client(url, key, seed + i, self._working, self._ending) for i, key in enumerate(secrets)]

    def run(self, kills: int) -> None:
        """Kill so many times; raises AssertionError at the first loss."""
        try:
            self._start_service()
            for client in self.clients:
                client.start()
            for _ in range(kills):
                self._working.set()
                self._keep_ingesting()
                time.sleep(self._draw.uniform(0.2, 1.5))
                self._kill()
                self._pause()
                self._check()
            self._working.set()
            time.sleep(2)
            self._pause()
            self._check()
        finally:
            self._ending.set()
            for process in (self._service, self._ingest):
                if process and process.poll() is None:
                    process.kill()
                    process.wait(30)

    def _start_service(self) -> None:
        self._launch()
        wait_for(self._answers, START_SECONDS)

    def _launch(self) -> None:
        self._service = start(
            self._home, "serve", MATCHER_PORT=str(self._port), MATCHER_WORKERS=WORKERS, MATCHER_THREADS="1"
        )

    def _answers(self) -> bool:
        assert self._service
        if self._service.poll() is not None:
            self._launch()  # as whoever supervises it would: workers of before may have held the port for a moment
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def _keep_ingesting(self) -> None:
        if self._ingest is None or self._ingest.poll() is not None:
            self._files += 1
            rows = invented(60, self._files)
            file = write(self._home.parent / f"批{self._files}.csv", rows)
            self._ingest = start(self._home, "ingest", file)

    def _kill(self) -> None:
        assert self._service
        victims = {"service": [self._service.pid], "worker": _children(self._service.pid)}
        if self._ingest and self._ingest.poll() is None:
            victims["ingest"] = [self._ingest.pid]
        what = self._draw.choice([name for name, pids in victims.items() if pids])
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._draw.choice(victims[what]), signal.SIGKILL)
        self.kills[what] += 1
        if what == "service":
            self._service.wait(30)
            self._start_service()
        elif what == "ingest":
            assert self._ingest
            self._ingest.wait(30)

    def _pause(self) -> None:
        self._working.clear()
        for client in self.clients:
            assert client.paused.wait(60), "a client hangs"
            assert client.failure is None, client.failure

    def _check(self) -> None:
        report = check(self._settings)
        assert not report.findings, report.findings
        with contextlib.closing(Matcher(self._settings)) as matcher:
            for client in self.clients:
                stored = matcher.store.by_id(list(client.book.known))
                for id_, body in client.book.known.items():
                    wanted = [body]
                    if client.book.doubtful and client.book.doubtful[0] == id_:
                        wanted.append(client.book.doubtful[1])
                    assert id_ in stored, f"{id_} was acknowledged and is lost"
                    one = stored[id_]
                    found = None if one.withdrawn else one.record
                    assert any(
                        (found is None) == (body is None)
                        and (
                            found is None
                            or body is None
                            or (found.title, found.abstract, found.visibility)
                            == (body["title"], body["abstract"], body["visibility"])
                        )
                        for body in wanted
                    ), f"{id_} is not what was acknowledged"


def _children(parent: int) -> list[int]:
    """The workers of the service, and not the helper that Python starts for spawned processes."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent and b"spawn_main" in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
    return found


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given:
        given.mkdir(parents=True, exist_ok=True)
        yield given
    else:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made) / "home"


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="an empty folder; a temporary one by default")
    options = parser.parse_args()
    with _folder(options.home) as home:
        home.mkdir(exist_ok=True)
        torture = Torture(home, options.seed)
        began = time.monotonic()
        torture.run(options.kills)
        done: Counter[str] = sum((client.book.done for client in torture.clients), Counter())
        seconds = time.monotonic() - began
        say(f"{options.kills} kills in {seconds:.0f} s ({dict(torture.kills)}): nothing acknowledged was lost.")
        say(f"acknowledged: {dict(done)}")


if __name__ == "__main__":
    main()
