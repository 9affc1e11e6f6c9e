"""What the local index does on its disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from matcher import snapshot as snapshot_module
from matcher.index import KEPT_GENERATIONS, LocalIndex
from matcher.snapshot import LoadedSegment
from tests.fakes import DIMENSION
from tests.index.support import MANY, LocalOpener, check_tidy, home, keys_of, mushroom, names, write


def test_many_small_flushes_are_merged(tmp_path: Path, open_local: LocalOpener) -> None:
    index = open_local()
    for key in range(3 * MANY):
        write(index, [mushroom(key)], revision=key + 1)
        assert index.snapshot
        assert len(index.snapshot.segments) <= 4
        check_tidy(home(tmp_path))
    assert keys_of(index) == set(range(3 * MANY))


def test_what_is_dead_is_thrown_away_in_the_end(open_local: LocalOpener) -> None:
    index = open_local()
    write(index, [mushroom(key) for key in range(20)])
    write(index, deleted=range(15), revision=2)
    assert index.snapshot
    assert index.snapshot.dead.sum() == 15
    write(index, [mushroom(30)], revision=3)
    assert (len(index.snapshot.segments), index.snapshot.dead.sum()) == (1, 0)
    assert keys_of(index) == {*range(15, 20), 30}


def test_each_model_has_an_index_of_its_own(tmp_path: Path) -> None:
    one = LocalIndex(tmp_path, "BAAI/bge:1", DIMENSION)
    write(one, [mushroom(1)])
    other = LocalIndex(tmp_path, "BAAI/bge:2", DIMENSION)
    assert other.refresh() is False
    assert len(names(tmp_path)) == 2


def test_readers_and_a_writer_work_at_the_same_time(open_local: LocalOpener) -> None:
    # Revision r holds exactly the keys 0 to r - 1: a reader that sees anything else saw half a change.
    last = 12

    def read() -> int:
        reading = open_local()
        while reading.revision < last:
            reading.refresh()
            assert keys_of(reading) == set(range(reading.revision))
        return reading.revision

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        index = open_local()
        for revision in range(1, last + 1):
            write(index, [mushroom(revision - 1)], revision=revision)
        assert [reader.result(60) for reader in readers] == [last, last]


def test_a_reader_overtaken_while_it_loads_a_generation_loads_the_next(
    open_local: LocalOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, reading = open_local(), open_local()
    write(index, [mushroom(1)])
    real, overtaken = snapshot_module.LoadedSegment.load, []

    def slow(root: Path, name: str) -> LoadedSegment:
        if not overtaken:
            overtaken.append(name)
            for revision in range(2, KEPT_GENERATIONS + 3):
                write(index, [mushroom(revision)], revision=revision)
            assert not (root / "segments" / name).exists()
        return real(root, name)

    monkeypatch.setattr(snapshot_module.LoadedSegment, "load", slow)
    assert reading.refresh()
    assert reading.revision == index.revision == KEPT_GENERATIONS + 2
    assert keys_of(reading) == keys_of(index)
