"""Progress of long work: a bar with rate and remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from matcher.embed import Progress as Report

# Seconds between two lines where there is no terminal: a log stays readable.
LINE_EVERY = 10.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} 条/秒" if task.speed else "")


@contextmanager
def shown(label: str) -> Iterator[Report]:
    """Yield a callback that takes (done, total) and shows it on standard error."""
    if sys.stderr.isatty():
        bar = Progress(
            TextColumn(label),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TextColumn("剩余"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        with bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    start = last = time.monotonic()

    def line(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_EVERY or (done == total and last > start):
            last = now
            rate = done / (now - start)
            left = (total - done) / rate if rate else 0
            print(f"{label} {done}/{total}，{rate:.1f} 条/秒，剩余约 {left:.0f} 秒", file=sys.stderr, flush=True)  # noqa: T201

    yield line
