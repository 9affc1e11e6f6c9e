"""More clients than the service can answer: some are answered, the others told when to come back, none is failed."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.e2e.running import Service, matcher, service, wait_for

CLIENTS = 64
REQUESTS = 3
OFFER = "成果名称,成果简介,完成单位\n低温真空油炸香菇脆片工艺,变频离心脱油使含油率低于百分之十八,秦巴食用菌工程中心\n"
QUESTION = json.dumps({"text": "香菇脆片含油率太高，求真空油炸脱油工艺。" * 20}).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def home(model_home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "model").symlink_to(model_home / "model")
    (tmp_path / "成果.csv").write_text(OFFER, encoding="utf-8")
    assert matcher(folder, "ingest", tmp_path / "成果.csv").returncode == 0
    return folder


def crowd(running: Service) -> Counter[int]:
    """Statuses that many clients at once get; each refusal says when to come back."""
    address = urlsplit(running.url).netloc
    statuses: Counter[int] = Counter()
    together = threading.Barrier(CLIENTS)

    def client() -> None:
        together.wait(30)
        for _ in range(REQUESTS):
            connection = http.client.HTTPConnection(address, timeout=60)
            connection.request("POST", "/v1/match", QUESTION, JSON)
            answer = connection.getresponse()
            content = json.loads(answer.read())
            statuses[answer.status] += 1
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
                assert content["type"] == "urn:matcher:problem:too-many-requests"
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(client) for _ in range(CLIENTS)]:
            done.result()
    return statuses


def leave(running: Service, clients: int) -> None:
    """Ask from several connections and close them before any answer can have come."""
    address = urlsplit(running.url)
    head = f"POST /v1/match HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(QUESTION)}"
    for _ in range(clients):
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + QUESTION)


def test_overload_fails_nobody_and_ends_cleanly(home: Path) -> None:
    limits = {"MATCHER_MAX_WAIT_SECONDS": "0.3", "MATCHER_RATE_LIMIT_ANONYMOUS": "1000000", "MATCHER_WORKERS": "2"}
    with service(home, **limits) as running:
        wait_for(lambda: all(running.get("/readyz")[0] == 200 for _ in range(40)), 60)
        statuses = crowd(running)
        assert set(statuses) == {200, 429}
        assert sum(statuses.values()) == CLIENTS * REQUESTS
        assert running.get("/healthz")[0] == 200
        leave(running, 20)

        def answers() -> bool:
            return running.post("/v1/match", {"text": "香菇脆片含油率"})[0] == 200

        # As soon as there is time again: those that have left are not waited for.
        wait_for(answers, 10)
        workers = psutil.Process(running.process.pid).children(recursive=True)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) in (0, -signal.SIGTERM)
        assert psutil.wait_procs(workers, 10)[1] == []
