"""The generations of an index on a Milvus server: a small collection of its own that readers ask for news.

A generation is published by one row, written after all that belongs to it: whoever finds the row finds the
rest, and a writer killed before it has changed nothing that a reader sees.
"""

from __future__ import annotations

import json
import time
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from matcher.errors import DamagedIndex
from matcher.frequencies import Counts
from matcher.milvus.counts import counts_from_strings, counts_to_strings, plus
from matcher.milvus.rows import VARCHAR_BYTES
from matcher.milvus.server import Server

# After so many changes of the counts, all are written as one.
MAX_CHAIN = 32

# Milvus wants a vector in every collection; this one's says nothing.
_FIELDS: tuple[Mapping[str, Any], ...] = (
    {"field_name": "id", "datatype": "VARCHAR", "max_length": 64, "is_primary": True},
    {"field_name": "generation", "datatype": "INT64"},
    {"field_name": "what", "datatype": "VARCHAR", "max_length": 16},
    {"field_name": "part", "datatype": "INT32"},
    {"field_name": "parts", "datatype": "INT32"},
    {"field_name": "payload", "datatype": "VARCHAR", "max_length": VARCHAR_BYTES},
    {"field_name": "blank", "datatype": "FLOAT_VECTOR", "dim": 2},
)
_INDEXES: Mapping[str, Mapping[str, Any]] = {"blank": {"index_type": "FLAT", "metric_type": "L2"}}


@dataclass(frozen=True)
class State:
    """What there is to know of one generation.

    :param collection: holds its documents.
    :param rows: primary keys from here on are free.
    :param visible: documents by visibility, in the order of `VISIBILITY_ORDER`.
    :param chain: generations whose counts add up to this one's, ascending; the first is whole, the others
        say what changed.
    :param published: seconds since 1970.
    """

    generation: int
    revision: int
    collection: str
    rows: int
    visible: tuple[int, ...]
    chain: tuple[int, ...]
    published: float


class Log:
    """Reads and writes the collection of generations."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self.name = name

    def exists(self) -> bool:
        """Whether anything has ever been written."""
        return self.name in self._server.names(self.name)

    def create(self) -> None:
        """Make the collection, unless it is there."""
        self._server.create(self.name, _FIELDS, _INDEXES)

    def load(self) -> None:
        """Make sure that it can be read."""
        self._server.load(self.name)

    def states(self, after: int = 0) -> list[State]:
        """Published generations with higher numbers, ascending.

        :raises DamagedIndex: if one cannot be read.
        """
        found = self._server.query(self.name, f'what == "state" and generation > {after}', ["payload"])
        try:
            values = [json.loads(row["payload"]) for row in found]
            states = [State(**(v | {name: tuple(v[name]) for name in ("visible", "chain")})) for v in values]
        except (ValueError, TypeError, KeyError) as error:
            raise _damaged() from error
        return sorted(states, key=lambda state: state.generation)

    def numbers(self) -> set[int]:
        """The generations that have left anything here, published or not."""
        return {int(row["generation"]) for row in self._server.query(self.name, "generation > 0", ["generation"])}

    def counts(self, state: State, held: tuple[State, Counts] | None, dimension: int) -> Counts:
        """What a generation counts.

        :param held: counts of an earlier generation, to start from where they are part of the sum.
        :raises DamagedIndex: if a part of the sum is missing or damaged.
        """
        total, wanted = Counts(dimension), state.chain
        if held and held[0].generation in wanted:
            total, wanted = held[1], tuple(number for number in wanted if number > held[0].generation)
        if not wanted:
            return total
        found = self._server.query(
            self.name,
            f'what == "counts" and generation >= {wanted[0]} and generation <= {wanted[-1]}',
            ["generation", "part", "parts", "payload"],
        )
        parts: dict[int, dict[int, str]] = defaultdict(dict)
        sizes = {}
        for row in found:
            parts[row["generation"]][row["part"]] = row["payload"]
            sizes[row["generation"]] = row["parts"]
        for number in wanted:
            try:
                strings = [parts[number][part] for part in range(sizes[number])]
                total = plus(total, counts_from_strings(strings, dimension))
            except (KeyError, ValueError, zlib.error) as error:
                raise _damaged() from error
        return total

    def write_counts(self, generation: int, counts: Counts) -> None:
        """Keep what a generation counts, or what it changes."""
        self._write(generation, "counts", counts_to_strings(counts))

    def publish(self, state: State) -> None:
        """Make a generation the one that readers load."""
        self._write(state.generation, "state", [json.dumps(asdict(state))])

    def forget(self, states_before: int, counts_before: int) -> None:
        """Delete what no reader asks for any more."""
        condition = (
            f'(what == "state" and generation < {states_before}) or (what == "counts" and generation < {counts_before})'
        )
        self._server.delete(self.name, "id", condition)

    def forget_after(self, generation: int) -> None:
        """Delete what a killed writer left."""
        self._server.delete(self.name, "id", f"generation > {generation}")

    def _write(self, generation: int, what: str, payloads: Sequence[str]) -> None:
        rows = [
            {
                "id": f"{generation}-{what}-{part}",
                "generation": generation,
                "what": what,
                "part": part,
                "parts": len(payloads),
                "payload": payload,
                "blank": [0.0, 0.0],
            }
            for part, payload in enumerate(payloads)
        ]
        self._server.put(self.name, rows)


def now() -> float:
    """Seconds since 1970; a name of its own for tests to set the clock by."""
    return time.time()


def _damaged() -> DamagedIndex:
    return DamagedIndex("Milvus 中的索引不完整或已损坏。请运行 matcher reindex 从数据库重建索引。")
