"""Measures in processes of their own: nothing that ran before is in their memory, caches or thread pools."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# The libraries below numpy, FAISS, torch and ONNX Runtime read these when they are loaded.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_variables(threads: int) -> dict[str, str]:
    """The environment in which a process uses so many threads."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


class Apart:
    """A fresh process that keeps what its calls leave in their modules."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def call(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What a function of a module returns there."""
        return self._pool.submit(function, *arguments, **named).result()


@contextmanager
def process(threads: int) -> Iterator[Apart]:
    """Start a process with so many threads to use; it ends with the context."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with _environment(thread_variables(threads)):
            pool.submit(cores).result()  # it starts with the first call
        yield Apart(pool)


def apart(threads: int, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What a function of a module returns when a fresh process calls it, with so many threads to use."""
    with process(threads) as fresh:
        return fresh.call(function, *arguments, **named)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
