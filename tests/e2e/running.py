"""Starts commands and servers of this installation."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from matcher.cli import main

START_SECONDS = 60
# Between two looks at what a test waits for.
LOOK_SECONDS = 0.02


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a command that works in `home` and sees no other MATCHER_* setting."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MATCHER_")}
    # A message that tests compare must not depend on the machine's language. Other tests want the other cores.
    return clean | {"MATCHER_HOME": str(home), "MATCHER_THREADS": "1", "PYTHONUTF8": "1"} | settings


def command(*arguments: str | Path) -> list[str]:
    """The command line of `matcher ARGUMENTS`."""
    return [sys.executable, "-c", "from matcher.cli import main; main()", *map(str, arguments)]


def matcher(home: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Do what `matcher ARGUMENTS` does, within this process, where a warning is an error.

    It is seconds quicker than `process`, for where it does not matter whose process it is.
    """
    output, messages = io.StringIO(), io.StringIO()
    code: Any = 0
    with (
        patch.dict(os.environ, environment(home, **settings), clear=True),
        patch.object(sys, "argv", ["matcher", *map(str, arguments)]),
        redirect_stdout(output),
        redirect_stderr(messages),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    return subprocess.CompletedProcess(sys.argv, code, output.getvalue(), messages.getvalue())


def process(home: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `matcher ARGUMENTS` to its end, in a process of its own as its users do."""
    return subprocess.run(
        command(*arguments), env=environment(home, **settings), capture_output=True, text=True, timeout=300, check=False
    )


def start(home: Path, *arguments: str | Path, **settings: str) -> subprocess.Popen[bytes]:
    """Start `matcher ARGUMENTS` and leave it running."""
    return subprocess.Popen(
        command(*arguments), env=environment(home, **settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


class Service:
    """A running `matcher serve`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of a GET."""
        return self._send(urllib.request.Request(self.url + path, headers=dict(headers or {})))

    def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Status and JSON of a POST."""
        data = json.dumps(body).encode()
        return self._send(urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}))

    def titles(self, text: str) -> list[str]:
        """Titles of the matches of a text."""
        status, answer = self.post("/v1/match", {"text": text})
        assert status == 200, answer
        return [match["record"]["title"] for match in answer["matches"]]

    def kill(self) -> None:
        """Kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    @staticmethod
    def _send(request: urllib.request.Request) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                raw, status = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            with error:
                raw, status = error.read(), error.code
        return status, json.loads(raw) if raw[:1] in (b"{", b"[") else raw.decode()


@contextmanager
def service(home: Path, **settings: str) -> Iterator[Service]:
    """Start `matcher serve` on a free port and wait until it is ready; kill it at the end."""
    port = free_port()
    running = Service(start(home, "serve", MATCHER_PORT=str(port), **settings), port)
    try:
        wait_for(lambda: running.get("/readyz")[0] == 200, START_SECONDS)
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Any, seconds: float) -> None:
    """Wait until a condition holds; connection errors count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(LOOK_SECONDS)
