"""A milvus-lite server in a process of its own, as a Milvus server to test against."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60


@contextmanager
def milvus_server(folder: Path) -> Iterator[str]:
    """Start the server on a free port, with its data in `folder`; its address. Killed at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "milvus_lite", "server", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([*command, "--data-dir", str(folder / "data")], stdout=log, stderr=log)
        try:
            _wait_until_it_listens(server, port, folder / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait(30)


def _wait_until_it_listens(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert server.poll() is None, log.read_text("utf-8", "replace")
            assert time.monotonic() < deadline, f"not within {START_SECONDS} s"
            time.sleep(0.1)
        else:
            return
