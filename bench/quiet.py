"""How much of the machine others used while something was measured: figures taken beside them mislead."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# Cores that others may use before a measurement counts as disturbed; chosen, above what an idle system takes.
DISTURBED = 0.1


@contextmanager
def watched(found: dict[str, float], name: str) -> Iterator[None]:
    """Book under this name how many cores processes other than this one and its ended children used meanwhile.

    Children that still run count as others, so they should have ended before.
    """
    busy, own, start = _busy(), _own(), time.perf_counter()
    yield
    others = (_busy() - busy) - (_own() - own)
    found[name] = round(max(0.0, others / (time.perf_counter() - start)), 2)


def _busy() -> float:
    """Seconds that all cores together have worked, or were kept from it by another guest of the same host."""
    times = psutil.cpu_times()
    return sum(getattr(times, part, 0.0) for part in ("user", "nice", "system", "irq", "softirq", "steal"))


def _own() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
