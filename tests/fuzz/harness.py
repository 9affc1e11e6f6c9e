"""Feeds broken files to the readers, in processes that are watched, and counts what becomes of them.

Each input must be read or refused with a `MatcherError`. The formats that the product reads in a process of
their own may, besides, break their parser: that is counted as contained, unless the fault is in our own code.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from matcher import readers
from matcher.errors import MatcherError
from matcher.parts import Refusal, understand
from matcher.readers import Parts, Refused, Table, read_tables
from matcher.readers.archive import read_archive
from matcher.readers.formats import FORMATS, Limits
from matcher.readers.sniff import format_of
from matcher.readers.worker import set_limits
from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import seeds

#: An input that takes longer hangs.
SECONDS = 20.0
#: What a process may use; chosen below the limits of the product, so that what grows is seen.
LIMITS = Limits(memory_bytes=2 * 1024**3, cpu_seconds=100_000)
MAX_UNPACKED_BYTES = 50_000_000
#: One input in so many also goes the whole way, through processes of its own.
WHOLE_WAY = 500

_OURS = str(Path(readers.__file__).parent.parent)
_SUFFIXES = {"delimited": ".csv", "workbook": ".xlsx", "jsonl": ".jsonl"}


@dataclass
class Tally:
    """What became of the inputs of one format.

    :param contained: faults of parsers, which the product keeps apart, by kind.
    :param failures: inputs that must be mended, with what happened.
    """

    inputs: int = 0
    read: int = 0
    refused: int = 0
    rows: int = 0
    slowest: float = 0.0
    slowest_number: int = -1
    peak_bytes: int = 0
    contained: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def make(name: str, number: int, seed: int, files: dict[str, list[bytes]]) -> bytes:
    """Give the input of this number, the same for the same seed."""
    return mutated(random.Random(f"{seed} {name} {number}"), files[name])


def run(name: str, count: int, seed: int, first: int = 0) -> Tally:
    """Feed inputs to the reader of a format; a process that dies or hangs is replaced."""
    context = multiprocessing.get_context("spawn")
    tally = Tally()
    number, end = first, first + count
    while number < end:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(theirs, name, number, end, seed), daemon=True)
        process.start()
        theirs.close()
        number = _watch(process, ours, tally, name, number, end)
        process.kill()
        process.join()
        ours.close()
    tally.inputs = count
    return tally


def _peak_bytes() -> int:
    """The most memory that this process has ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says begins with the parent's memory at the start
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _watch(
    process: multiprocessing.process.BaseProcess, news: Connection, tally: Tally, name: str, number: int, end: int
) -> int:
    """Take what a process says of its inputs; gives the number of the one to go on with."""
    grace = 60.0  # to start
    while number < end:
        try:
            if not news.poll(grace + SECONDS):
                tally.failures.append(f"{name} {number}: hangs")
                return number + 1
            outcome, rows, seconds, peak = news.recv()
        except EOFError:
            process.join()
            kind = f"process ended ({process.exitcode})"
            if name == "zip" or FORMATS[name].limits is None:
                tally.failures.append(f"{name} {number}: {kind}")
            tally.contained[kind] += 1
            return number + 1
        grace = 0.0
        tally.rows += rows
        if seconds > tally.slowest:
            tally.slowest, tally.slowest_number = seconds, number
        tally.peak_bytes = max(tally.peak_bytes, peak)
        tally.read += outcome == "read"
        tally.refused += outcome == "refused"
        if outcome.startswith("contained "):
            tally.contained[outcome.removeprefix("contained ")] += 1
        elif outcome not in ("read", "refused"):
            tally.failures.append(f"{name} {number}: {outcome}")
        number += 1
    return number


# ---------------------------------------------------------------- within the process


def _work(news: Connection, name: str, first: int, end: int, seed: int) -> None:
    set_limits(LIMITS)
    # Parsers warn of every second input.
    logging.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    files = dict(seeds())
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / f"输入{_SUFFIXES.get(name, '')}"
        for number in range(first, end):
            path.write_bytes(make(name, number, seed, files))
            began = time.perf_counter()
            outcome, rows = _outcome(name, path, number)
            seconds = time.perf_counter() - began
            peak = _peak_bytes()
            news.send((outcome, rows, seconds, peak))


def _outcome(name: str, path: Path, number: int) -> tuple[str, int]:
    rows = 0
    try:
        for rows in _taken(path, _here(path)):  # noqa: B007 — the last one counts them
            pass
        if number % WHOLE_WAY == 0:
            for _ in _taken(path, read_tables(path, MAX_UNPACKED_BYTES)):
                pass
    except MatcherError as error:
        text = str(error)
        text.encode()
        return ("refused" if text.endswith("。") else f"no sentence: {text}"), rows
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
        # A parser in Rust panics, and any parser runs out of memory, in the frame that called it.
        is_theirs = isinstance(error, MemoryError) or type(error).__name__ == "PanicException"
        is_ours = place.filename.startswith(_OURS) and not is_theirs
        is_apart = name != "zip" and FORMATS[name].limits is not None
        return (f"contained {where}" if is_apart and not is_ours else f"{where}: {error}"[:300]), rows
    return "read", rows


def _here(path: Path, is_member: bool = False) -> Parts:
    """Read a file as `read_tables` does, but in this process."""
    name = format_of(path)
    if name == "zip" and not is_member:
        yield from read_archive(path, MAX_UNPACKED_BYTES, lambda member: _here(member, is_member=True))
    elif name in FORMATS:
        yield from FORMATS[name].read(path)


def _taken(path: Path, parts: Parts) -> Iterator[int]:
    """Take the parts as an ingest does, down to the records, and count the rows."""
    count = 0
    for part in parts:
        if isinstance(part, Refused):
            f"{part.name}{part.reason}".encode()
            continue
        assert isinstance(part, Table)
        "".join(part.columns).encode()
        for row in part.rows:
            count += 1
            assert row.line >= 1
            yield count
        try:
            understood = understand(part, path, None, {}, "fuzz")
        except MatcherError:
            continue
        for item in understood.records():
            if not isinstance(item, Refusal):
                item[1].content_hash.encode()
