"""Many clients at once: what the service answers, how soon, and how much of it is embedding.

    python bench/load.py [--size 100000] [--clients 64] [--workers 2] [--seconds 120] [--data DIR] [--sets needs,...]

`matcher serve` runs with its workers over a synthetic home (see `bench/homes.py`); clients in a process of their
own, on the same machine, keep asking by HTTP, each the next question as soon as it has its answer, or after the
time that a refusal names. Before and after, the same texts are embedded by the bare model, a process a core,
sorted by length and batched as ingest does: the share of that rate which the service reaches is its ratio. It is
taken twice, by the clock and by the processor time of all processes of the service: the second one tells more
where others use the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from apart import apart, cores, process
from figures import percentiles
from homes import default_folder, home_of, origin
from multiply import Question, questions
from quiet import watched
from serving import UNLIMITED, body, serving

from matcher.embed import Encoder, load_encoder
from matcher.records import embedded_text
from matcher.settings import load_settings

# Questions of one call of the bare model: enough to sort by length and pad little.
EMBEDDED_TOGETHER = 32
WARM_SECONDS = 8.0
# Of each turn of the bare model; one before and one after the load.
EMBEDDING_SECONDS = 15.0
# A connection stays with one worker; clients that keep theirs for ever could all meet the same one.
REQUESTS_A_CONNECTION = 20
# The longest share of the needs is the set of long ones.
LONG_SHARE = 0.25
# All the needs that there are.
EVERY_QUESTION = 1_000_000


@dataclass
class Seen:
    """What clients saw after warming up.

    :param answered: milliseconds of answers, `refused` of refusals.
    :param unexplained: refusals without Retry-After.
    :param clients_s: processor time of the clients meanwhile, `service_s` of each process of the service.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    unexplained: int = 0
    seconds: float = 0.0
    clients_s: float = 0.0
    service_s: list[float] = field(default_factory=list)


class Client:
    """One that asks over a connection that it keeps for a while."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._requests = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, content: bytes) -> tuple[int, float | None]:
        """Status, and the seconds of Retry-After, of an answer that was read to its end."""
        if self._streams is None or self._requests % REQUESTS_A_CONNECTION == 0:
            self.close()
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        self._requests += 1
        reader, writer = self._streams
        writer.write(
            b"POST /v1/match HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(content), content)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        await reader.readexactly(int(headers[b"content-length"]))
        if headers.get(b"connection") == b"close":
            self.close()
        retry = headers.get(b"retry-after")
        return int(head.split(b" ", 2)[1]), float(retry) if retry else None

    def close(self) -> None:
        """Close the connection."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


def press(
    port: int, pids: Sequence[int], clients: int, seconds: float, contents: Sequence[bytes], retry: float | None
) -> Seen:
    """Ask with several clients at once.

    :param pids: of the service's processes.
    :param retry: seconds after which a refused client comes back, instead of what it was told.
    """
    return asyncio.run(_press(port, pids, clients, seconds, itertools.cycle(contents), retry))


async def _press(
    port: int, pids: Sequence[int], clients: int, seconds: float, contents: Iterator[bytes], retry: float | None
) -> Seen:
    seen = Seen()
    service = [psutil.Process(pid) for pid in pids]
    warm = time.perf_counter() + WARM_SECONDS
    end = warm + seconds

    async def run() -> None:
        client = Client(port)
        while (start := time.perf_counter()) < end:
            status, told = await client.ask(next(contents))
            done = time.perf_counter()
            if warm <= done < end:
                seen.statuses[status] += 1
                (seen.refused if status == 429 else seen.answered).append((done - start) * 1000)
                seen.unexplained += status == 429 and told is None
            if status == 429:
                await asyncio.sleep(told or 1.0 if retry is None else retry)
        client.close()

    async def measure() -> None:
        await asyncio.sleep(WARM_SECONDS)
        before, began = _processor_seconds(service), time.process_time()
        await asyncio.sleep(seconds)
        seen.clients_s = time.process_time() - began
        seen.service_s = [after - own for after, own in zip(_processor_seconds(service), before, strict=True)]

    await asyncio.gather(measure(), *(run() for _ in range(clients)))
    seen.seconds = seconds
    return seen


_encoder: Encoder | None = None


def open_encoder(home: Path) -> None:
    """Load the model in this process, and warm it."""
    global _encoder  # what a process of `apart` keeps between two calls
    _encoder = load_encoder(load_settings(home=home, threads=1))
    _encoder.encode(["银耳烘干节能"], "query")


def embed_for(seconds: float, asked: Sequence[Question], first: int) -> tuple[float, float]:
    """Embed what questions are made of for a while: questions a second, by the clock and by the processor."""
    assert _encoder
    done, place = 0, first
    clock, processor = time.perf_counter(), time.process_time()
    while time.perf_counter() - clock < seconds:
        some = [asked[(place + i) % len(asked)] for i in range(EMBEDDED_TOGETHER)]
        place += EMBEDDED_TOGETHER
        apart_titles = [one.title for one in some if one.title and one.text]
        wholes = [embedded_text(one.title, one.text) if one.title else one.text for one in some]
        _encoder.encode([*wholes, *apart_titles], "query")
        done += len(some)
    return done / (time.perf_counter() - clock), done / (time.process_time() - processor)


class Bare:
    """The bare model in a process a core."""

    def __init__(self, stack: ExitStack, home: Path) -> None:
        self._processes = [stack.enter_context(process(1)) for _ in range(cores())]
        self._pool = stack.enter_context(ThreadPoolExecutor(len(self._processes)))
        list(self._pool.map(lambda one: one.call(open_encoder, home), self._processes))

    def rate(self, asked: Sequence[Question]) -> tuple[float, float]:
        """Questions a second of all processes; and of one second of processor time."""
        spread = len(asked) // len(self._processes)
        rates = list(
            self._pool.map(
                lambda place: self._processes[place].call(embed_for, EMBEDDING_SECONDS, asked, place * spread),
                range(len(self._processes)),
            )
        )
        return sum(clock for clock, _ in rates), sum(processor for _, processor in rates) / len(rates)


def measure(home: Path, bare: Bare, asked: Sequence[Question], options: argparse.Namespace) -> dict[str, Any]:
    """Figures of one set of questions."""
    before = bare.rate(asked)
    contents = [body(question) for question in asked]
    with serving(home, options.workers, **UNLIMITED) as served:
        seen = apart(1, press, served.port, served.pids(), options.clients, options.seconds, contents, options.retry)
    after = bare.rate(asked)
    clock, processor = ((first + second) / 2 for first, second in zip(before, after, strict=True))
    good = seen.statuses[200]
    an_answer = sum(seen.service_s) / max(1, good)
    return {
        "questions": len(asked),
        "characters": percentiles([len(one.whole) for one in asked], (50, 95)),
        "bare_per_second": round(clock, 2),
        "bare_before_after": [round(before[0], 2), round(after[0], 2)],
        "answers_per_second": round(good / seen.seconds, 2),
        "ratio": round(good / seen.seconds / clock, 3),
        "bare_processor_ms": round(1000 / processor, 2),
        "service_processor_ms": round(an_answer * 1000, 2),
        "service_cores": [round(own / seen.seconds, 2) for own in seen.service_s],
        "clients_processor_ms": round(seen.clients_s / max(1, good) * 1000, 2),
        "processor_ratio": round(1 / processor / an_answer, 3),
        "statuses": dict(sorted(seen.statuses.items())),
        "refusals_without_retry_after": seen.unexplained,
        "answer_ms": percentiles(seen.answered),
        "refusal_ms": percentiles(seen.refused) if seen.refused else None,
    }


def _processor_seconds(processes: Sequence[psutil.Process]) -> list[float]:
    return [times.user + times.system for times in (one.cpu_times() for one in processes)]


def question_sets(data: Path, seed: int) -> dict[str, list[Question]]:
    """Questions like titles, needs as enterprises write them, and the longest of these."""
    needs = questions(data, EVERY_QUESTION, seed)
    longest = sorted(needs, key=lambda one: len(one.whole), reverse=True)[: round(LONG_SHARE * len(needs))]
    chosen = {id(one) for one in longest}
    return {
        "titles": [Question("", one.title or one.text[:30]) for one in needs],
        "needs": needs,
        "long": [one for one in needs if id(one) in chosen],
    }


def table(results: dict[str, Any]) -> str:
    """The figures as text."""
    names = list(results["sets"])
    rows = [
        ("bare model, questions/s", "bare_per_second"),
        ("  before, after", "bare_before_after"),
        ("service, answers/s", "answers_per_second"),
        ("ratio by the clock", "ratio"),
        ("bare model, processor ms a question", "bare_processor_ms"),
        ("service, processor ms an answer", "service_processor_ms"),
        ("service, cores used by each process", "service_cores"),
        ("clients, processor ms an answer", "clients_processor_ms"),
        ("ratio by processor time", "processor_ratio"),
        ("statuses", "statuses"),
        ("refusals without Retry-After", "refusals_without_retry_after"),
        ("answers, ms", "answer_ms"),
        ("refusals, ms", "refusal_ms"),
        ("cores that others used", "others_cores"),
    ]
    lines = [f"{results['clients']} clients, {results['seconds']:.0f} s, {results['workers']} workers"]
    for label, key in rows:
        lines += [label, *(f"    {name:8} {_plain(results['sets'][name][key])}" for name in names)]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {own}" for name, own in value.items())
    return str(value)


def main() -> None:
    """Measure what the options ask for."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in [name for name in os.environ if name.startswith("MATCHER_")]:
        del os.environ[name]  # what is measured is the default installation
    made_of = origin(options.home, options.data, options.seed)
    home = home_of(options.home, made_of, options.size)
    sets = question_sets(options.data, options.seed)
    results: dict[str, Any] = {"clients": options.clients, "seconds": options.seconds, "workers": options.workers}
    results |= {"size": options.size, "cores": cores(), "sets": {}}
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        others: dict[str, float] = {}
        with watched(others, "load"), ExitStack() as stack:
            found = measure(home.path, Bare(stack, options.home), sets[name], options)
        results["sets"][name] = found | {"others_cores": others["load"]}
        (options.out / "load.json").write_text(json.dumps(results, ensure_ascii=False, indent=1), "utf-8")
    print(table(results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100_000, help="offers")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120.0, help="of load for each set of questions")
    parser.add_argument("--sets", type=lambda text: text.split(","), default=["titles", "needs", "long"])
    parser.add_argument("--retry", type=float, help="seconds after which refused clients come back, whatever they hear")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="real texts; the sample without them")
    parser.add_argument("--home", type=Path, default=default_folder(), help="keeps what was built between runs")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
