from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.records import Achievement, Record
from matcher.rows import StoredRecord
from matcher.store import Store
from tests.store.conftest import Databases
from tests.store.examples import achievement, every_change, institution, put, stored

OWNERS = st.sampled_from([None, "四川大学", "川大", "西南大学", "西大"])
OFFERS = st.builds(
    lambda number, title, owner: Achievement(source="平台甲", source_id=number, title=title, institution=owner),
    st.sampled_from("123456"),
    st.sampled_from(["旧题", "新题", "又题"]),
    OWNERS,
)
INSTITUTIONS = st.sampled_from(
    [institution("四川大学", "川大"), institution("四川大学"), institution("西南大学", "西大"), institution("西大")]
)
STEPS = st.lists(
    st.one_of(
        st.lists(st.one_of(OFFERS, INSTITUTIONS), min_size=1, max_size=5),
        st.sampled_from("123456"),
    ),
    max_size=10,
)


@given(STEPS, st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_reading_the_changes_in_pages_gives_every_record_s_last_version(
    databases: Databases, steps: list[list[Record] | str], page: int
) -> None:
    with databases.new() as address:
        store = Store(address)
        followed: dict[str, StoredRecord] = {}
        known: set[str] = set()
        last = 0
        for step in steps:
            if isinstance(step, list):
                put(store, *step)
                known.update(record.id for record in step)
            elif achievement(step).id in known and not stored(store, achievement(step)).withdrawn:
                store.withdraw(achievement(step).id)
            # One who follows from where they were ...
            revision = store.revision()
            for each in store.changes(last, 10_000):
                assert last < each.revision <= revision
                followed[each.id], last = each, each.revision
            assert last == revision
        # ... and one who reads everything in pages know the same.
        paged = every_change(store, page)
        revisions = [each.revision for each in paged]
        assert revisions == sorted(set(revisions))
        assert {each.id: each for each in paged} == followed == store.by_id(list(followed))
        assert known <= followed.keys()
        assert {each.id for each in store.records()} == {id_ for id_, each in followed.items() if not each.withdrawn}
        store.close()
