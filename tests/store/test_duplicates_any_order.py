"""Whatever happens in whatever order: no record in two groups, an undone merge leaves no trace, nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from matcher import tables
from matcher.errors import Conflict, NotFound
from matcher.groups import Components
from matcher.proposals import Proposals
from matcher.records import Achievement, Visibility
from matcher.rows import StoredRecord
from matcher.store import Store
from matcher.visibility import ANONYMOUS, OPERATOR, Viewer
from tests.store.conftest import Databases
from tests.store.test_duplicates import BODY, found

# Which account hands in each record.
OWNERS = (0, 0, 1, 1, 2)
VISIBILITIES: tuple[Visibility, ...] = ("public", "intermediaries", "private")
VIEWERS = (
    *(ANONYMOUS, OPERATOR, Viewer("intermediary", 9), Viewer("admin", 8)),
    *(Viewer("enterprise", owner) for owner in (1, 2)),
)
EXAMPLES = 15
PLACES = st.integers(0, len(OWNERS) - 1)
PAIRS = st.tuples(PLACES, PLACES).filter(lambda pair: pair[0] != pair[1])
STEPS = st.one_of(
    # Texts 0 and 1 are surely the same for all who hand them in; the others differ from everything.
    st.tuples(st.just("write"), PLACES, st.integers(0, 3), st.sampled_from(VISIBILITIES), st.sampled_from("ab")),
    st.tuples(st.just("withdraw"), PLACES),
    st.tuples(st.just("compare"), PAIRS, st.sampled_from([0.99, 0.6, 0.1])),
    st.tuples(st.just("merge"), st.integers(0, 9)),
    st.tuples(st.just("reject"), st.integers(0, 9)),
    st.tuples(st.just("undo"), st.integers(0, 9)),
)


def record(place: int, text: int = 0, visibility: Visibility = "public", signed: str = "a") -> Achievement:
    body = BODY if text < 2 else f"{BODY}{text}{place}"
    status = "已签约" if signed == "b" else None
    title = "核桃壳活性炭果酒脱色技术" if text < 3 else f"另一种技术{place}"
    return Achievement(
        source=f"来源{place}", source_id=f"N{place}", title=title, abstract=body, visibility=visibility, status=status
    )


class World:
    """The store, and what must be in it."""

    def __init__(self, address: str) -> None:
        self.store = Store(address)
        self.proposals = Proposals(self.store)
        self.written: dict[int, Achievement] = {}
        self.withdrawn: set[int] = set()

    def do(self, step: tuple[Any, ...]) -> None:
        name, *values = step
        if name == "write":
            place, text, visibility, signed = values
            self.written[place] = record(place, text, visibility, signed)
            self.withdrawn.discard(place)
            self.store.upsert([(self.written[place], None)], OWNERS[place])
        elif name == "withdraw":
            if values[0] in self.written.keys() - self.withdrawn:
                self.store.withdraw(self.written[values[0]].id)
                self.withdrawn.add(values[0])
        elif name == "compare":
            pair, score = values
            if set(pair) <= self.written.keys():
                first, second = (self.written[place] for place in pair)
                finding = found(self.store, first, second, score, automatic=score > 0.9)
                self.proposals.note([finding], self.store.revision())
        else:
            self.decide(name, values[0])

    def decide(self, name: str, number: int) -> None:
        before = self.records()
        try:
            getattr(self.proposals, name)(number)
        except (Conflict, NotFound):
            assert self.records() == before
            return
        if name == "merge":
            # There and back again, as if nothing had been: but for the numbers of the changes.
            after = self.records()
            self.proposals.undo(number)
            assert _unnumbered(self.records()) == _unnumbered(before)
            self.proposals.merge(number)
            assert _unnumbered(self.records()) == _unnumbered(after)

    def records(self) -> dict[str, StoredRecord]:
        return self.store.by_id([one.id for one in self.written.values()])

    def check(self) -> None:
        records = self.records()
        for place, own in self.written.items():
            assert records[own.id].record == own
            assert records[own.id].withdrawn == (place in self.withdrawn)
        for one in records.values():
            if one.merged_into:
                head = records[one.merged_into]
                assert head.indexed
                assert not one.withdrawn
        for viewer in VIEWERS:
            for one in records.values():
                if self.sees(viewer, one) and one.ends >= 20900101:
                    head = records[one.merged_into] if one.merged_into else one
                    assert self.sees(viewer, head)
                    assert head.live
        d = tables.duplicates.c
        with self.store.database.reading.connect() as connection:
            merged = connection.execute(select(d.first, d.second).where(d.state == "merged")).all()
        joined = Components()
        assert all(joined.join(first, second) for first, second in merged)
        for group in joined.all():
            heads = {one.merged_into or one.id for one in records.values() if one.key in group and not one.withdrawn}
            assert all(records[head].key in group for head in heads)
        grouped = {key for group in joined.all() for key in group}
        assert all(one.merged_into is None for one in records.values() if one.key not in grouped)

    @staticmethod
    def sees(viewer: Viewer, one: StoredRecord) -> bool:
        return not one.withdrawn and viewer.sight.shows(one.record.kind, one.record.visibility, one.owner)


@given(st.lists(STEPS, max_size=14))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_sequence_keeps_every_record_in_one_group_and_in_sight(
    databases: Databases, steps: list[tuple[Any, ...]]
) -> None:
    with databases.new() as address:
        world = World(address)
        for step in [("write", place, 0, "public", "a") for place in range(3)] + steps:
            world.do(step)
            world.check()
        world.store.close()


def _unnumbered(records: dict[str, StoredRecord]) -> dict[str, StoredRecord]:
    return {id_: replace(one, revision=0) for id_, one in records.items()}
