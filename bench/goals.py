"""What the project set itself, against what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """One goal.

    :param at_least: whether the bound is the least that will do, or else the most.
    """

    name: str
    measured: float
    bound: float
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """Whether it is met."""
        met = self.measured >= self.bound if self.at_least else self.measured <= self.bound
        return "yes" if met else "no"


def goals(results: Mapping[str, Any]) -> Iterator[Goal]:
    """Those goals whose sizes were measured."""
    yield Goal("matcher --help, s", results["help_s"], 0.3)
    sizes = results["sizes"]
    if middle := sizes.get("100000"):
        for threads, sets in middle["match"].items():
            for name in ("needs", "short needs"):
                ratio = sets[name]["ratio"]["p50"]
                yield Goal(f"100k: match to embedding, {name}, threads {threads}", ratio, 1.4)
        yield from _beside_peers(middle)
        yield Goal("100k: batch to one by one", middle["batch"]["ratio"], 20.0, at_least=True)
        yield Goal("100k: ready, s", middle["service"]["ready_s"], 5.0)
        yield Goal("100k: service resident, MB", middle["service"]["memory_mb"]["asked"]["resident"], 1000.0)
    if large := sizes.get("1000000"):
        yield from _large(large)
    if middle and large:
        for threads, sets in large["match"].items():
            for name in ("needs", "short needs"):
                before = middle["match"][threads][name]["rest_ms"]["p50"]
                growth = sets[name]["rest_ms"]["p50"] / before
                yield Goal(f"100k to 1M: all but embedding, {name}, threads {threads}", round(growth, 3), 3.0)


def _beside_peers(middle: Mapping[str, Any]) -> Iterator[Goal]:
    figures = middle.get("peers", {}).get("figures", {})
    for name, own in figures.items():
        if name != "matcher":
            bound = 5.0 if name.startswith("milvus-lite") else 1.0
            yield Goal(f"100k: {name}, time to ours", own["ratio"], bound, at_least=True)
            ahead = round(figures["matcher"]["recall"] - own["recall"], 5)
            yield Goal(f"100k: {name}, our recall@10 ahead by", ahead, 0.0, at_least=True)


def _large(large: Mapping[str, Any]) -> Iterator[Goal]:
    for field, own in large["index"].items():
        yield Goal(f"1M: recall@100, {field}", own["recall@100"], 0.98, at_least=True)
        yield Goal(f"1M: search, {field}, 95 %, ms", own["p95_ms"], 5.0)
    yield Goal("1M: batch to one by one", large["batch"]["ratio"], 20.0, at_least=True)
    memory = large["index_memory_mb"]
    resident = memory["searched"]["resident"] - memory["before"]["resident"]
    yield Goal("1M: index resident, MB", round(resident, 1), 1000.0)
