"""Several threads and processes at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from matcher.database import ID_BATCH, Database
from matcher.records import Achievement
from matcher.store import Store
from tests.store.conftest import Writer
from tests.store.examples import achievement, every_change, put
from tests.store.writing import BATCH


def test_threads_that_write_at_once_lose_nothing(store: Store) -> None:
    def write(name: int) -> None:
        for batch in range(10):
            records = [achievement(f"{name}-{batch}-{n}", institution=f"机构{n}") for n in range(5)]
            assert put(store, *records) == ["added"] * 5
            put(store, achievement("shared", f"题{name}-{batch}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = list(store.records())
    assert store.counts() == {"achievement": 4 * 10 * 5 + 1, "institution": 5}
    assert len({each.revision for each in found}) == len(found)
    # Forty versions of the shared record, each a change of its own.
    assert store.revision() == len(found) + 4 * 10 - 1


def test_readers_never_see_half_of_a_batch(store: Store) -> None:
    stop = threading.Event()

    def read() -> set[int]:
        seen = set()
        while not stop.is_set():
            seen.add(store.counts()["achievement"] % BATCH)
        return seen

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for batch in range(20):
            put(store, *[achievement(f"{batch}-{n}") for n in range(BATCH)])
        stop.set()
        assert reading.result() == {0}


def test_processes_that_write_at_once_lose_nothing(new_address: str, writer: Writer) -> None:
    # They also create the database at once.
    said = [child.communicate(timeout=60)[0] for child in [writer("甲", 15), writer("乙", 15)]]
    assert [output.count("added") for output in said] == [15 * BATCH, 15 * BATCH]
    store = Store(new_address)
    assert store.counts() == {"achievement": 2 * 15 * BATCH, "institution": 1}
    revisions = [each.revision for each in every_change(store, 100)]
    assert revisions == list(range(1, 2 * 15 * BATCH + 2))
    store.close()


def test_processes_that_bring_the_same_records_at_once_add_each_once(new_address: str, writer: Writer) -> None:
    said = [child.communicate(timeout=60)[0] for child in [writer("甲", 15), writer("甲", 15), writer("甲", 15)]]
    assert sum(output.count("added") for output in said) == 15 * BATCH
    assert sum(output.count("unchanged") for output in said) == 2 * 15 * BATCH
    store = Store(new_address)
    assert store.counts() == {"achievement": 15 * BATCH, "institution": 1}
    assert [each.revision for each in every_change(store, 100)] == list(range(1, 15 * BATCH + 2))
    store.close()


def test_one_who_follows_the_changes_while_others_write_misses_none(store: Store) -> None:
    stop = threading.Event()

    def follow() -> list[int]:
        seen: list[int] = []
        while True:
            finished = stop.is_set()
            part = store.changes(seen[-1] if seen else 0, 50)
            seen += [each.revision for each in part]
            if finished and not part:
                return seen

    def write(name: int) -> None:
        for batch in range(30):
            put(store, *[achievement(f"{name}-{batch}-{n}") for n in range(3)])

    with ThreadPoolExecutor(5) as pool:
        following = pool.submit(follow)
        list(pool.map(write, range(4)))
        stop.set()
        assert following.result() == list(range(1, 4 * 30 * 3 + 1))


def test_what_is_read_at_once_is_of_one_moment(store: Store) -> None:
    def versions(title: str) -> list[Achievement]:
        return [achievement(number, title) for number in range(ID_BATCH + 10)]

    put(store, *versions("初版"))
    ids = [record.id for record in versions("")]
    stop = threading.Event()

    def read() -> set[int]:
        return {len({each.record.title for each in store.by_id(ids).values()}) for _ in iter(stop.is_set, True)}

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for number in range(8):
            put(store, *versions(f"第{number}版"))
        stop.set()
        assert reading.result() == {1}


def test_records_and_tags_written_at_once_in_any_order_do_not_block_each_other(store: Store) -> None:
    put(store, *[achievement(number) for number in range(50)])
    keys = [each.key for each in store.records()]

    def change(name: int) -> None:
        step = 1 if name % 2 else -1
        for batch in range(15):
            put(store, *[achievement(number, f"题{name}-{batch}") for number in range(50)][::step])
            store.save_tags({key: {"food": name / 10, "agriculture": batch / 100} for key in keys[::step]})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(4)))
    assert store.counts() == {"achievement": 50}
    # One process' last word, whole: not some tags of one and some of another.
    assert len({each.record.title for each in store.records()}) == 1
    assert len({tuple(sorted(each.tags.items())) for each in store.records()}) == 1
    assert store.programme_counts() == {"achievement": {"food": 50, "agriculture": 50}}


def test_who_opens_a_database_waits_for_the_one_who_makes_its_tables(new_address: str) -> None:
    first = Database(new_address)
    with ThreadPoolExecutor(1) as pool, first.migrating():
        opening = pool.submit(Store, new_address)
        with pytest.raises(TimeoutError):
            opening.result(timeout=1)
    store = opening.result(timeout=60)
    assert put(store, achievement(1)) == ["added"]
    store.close()
    first.close()


def test_many_may_open_a_new_database_at_once(new_address: str) -> None:
    def use(name: int) -> str:
        store = Store(new_address)
        (outcome,) = put(store, achievement(name))
        store.close()
        return outcome

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == ["added"] * 8
