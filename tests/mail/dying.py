"""A process that sends, to be killed: at one of the outbox's steps by itself, or at any moment by others."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from matcher import sending
from matcher.outbox import Outbox
from matcher.store import Store
from tests.mail.sink import Sink
from tests.mail.support import composer, settings

# Of each step of the outbox: dying before its transaction, and after it.
STEPS = tuple(f"{when} {step}" for step in ("claim", "handed", "sent") for when in ("before", "after"))


def start(home: Path, sink: Sink, fatal: str = "", times: int = 2) -> BaseProcess:
    """Start to send what waits.

    :param fatal: one of `STEPS`, at which the process kills itself, the `times`-th time it comes there.
    """
    context = multiprocessing.get_context("forkserver")
    # What takes a second to import is imported once.
    context.set_forkserver_preload(["tests.mail.dying"])
    child = context.Process(target=_run, args=(str(home), sink.port, fatal, times), daemon=True)
    child.start()
    return child


def _run(home: str, port: int, fatal: str, times: int) -> None:
    if fatal:
        _die(fatal, times)
    store = Store(f"sqlite:///{home}/matcher.db")
    own = settings(Sink(port=port), Path(home))
    sending.send_waiting(store.database, own, composer(store.database))
    store.close()


def _die(fatal: str, times: int) -> None:
    when, step = fatal.split()
    kept = getattr(Outbox, step)
    count = 0

    def fatally(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == times and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = kept(*arguments)
        if count == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(Outbox, step, fatally)
