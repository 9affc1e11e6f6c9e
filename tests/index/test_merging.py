"""Segments written as one, and what the local writer's flushes leave of many changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matcher import segments
from matcher.documents import VISIBILITY_ORDER, IndexDocument, segment_of
from matcher.frequencies import Counts
from matcher.index import GROWTH, MAX_DEAD_SHARE, LocalIndex
from matcher.segments import Segment, concatenate, map_array, write_array, write_merged
from matcher.snapshot import Snapshot
from tests.fakes import DIMENSION, index_document
from tests.index.support import FINGERPRINT, Opener, ask, home, keys_of, mushroom, rankings, write
from tests.test_segments import SEGMENTS, same


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody cuts the power during these tests: hundreds of small files need not reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


FEW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


# ---------------------------------------------------------------- segments


@given(data=st.data(), parts=st.lists(SEGMENTS, min_size=1, max_size=4), chunk=st.integers(1, 5))
@FEW
def test_segments_written_as_one_are_what_their_documents_put_together_are(
    data: st.DataObject, parts: list[Segment], chunk: int
) -> None:
    chosen = []
    for part in parts:
        rows = st.lists(st.integers(0, len(part) - 1), max_size=9) if len(part) else st.just([])
        chosen.append((part, np.array(data.draw(rows), np.int64)))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "CHUNK", chunk)
        write_merged(chosen, Path(folder) / "1")
        expected = concatenate([part.select(rows) for part, rows in chosen])
        assert same(Segment.load(Path(folder) / "1"), expected)


@given(part=SEGMENTS, data=st.data())
@FEW
def test_what_is_left_of_a_segment_is_written_as_it_was(part: Segment, data: st.DataObject) -> None:
    # As a flush does it: some documents are gone, and those left keep their order.
    living = np.array(data.draw(st.lists(st.booleans(), min_size=len(part), max_size=len(part))), np.bool_)
    with TemporaryDirectory() as folder:
        write_merged([(part, np.flatnonzero(living))], Path(folder) / "1")
        assert same(Segment.load(Path(folder) / "1"), part.select(np.flatnonzero(living)))


# ---------------------------------------------------------------- arrays


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.float32).reshape(3, 2), np.empty((0, 4), np.uint8)])
def test_an_array_is_mapped_as_it_was_written(tmp_path: Path, array: np.ndarray) -> None:
    write_array(tmp_path / "a.npy", array.shape, array.dtype, [array[:1], array[1:]])
    mapped = map_array(tmp_path / "a.npy")
    assert (mapped.dtype, mapped.shape) == (array.dtype, array.shape)
    assert np.array_equal(mapped, array)
    assert np.array_equal(np.load(tmp_path / "a.npy"), array)
    assert not mapped.flags.writeable


def test_an_array_file_of_any_other_length_is_refused(tmp_path: Path) -> None:
    array = np.arange(5, dtype=np.int64)
    write_array(tmp_path / "a.npy", array.shape, array.dtype, [array])
    whole = (tmp_path / "a.npy").read_bytes()
    for content in [*(whole[:length] for length in range(len(whole))), whole + b"\0", whole + whole]:
        (tmp_path / "b.npy").write_bytes(content)
        with pytest.raises(ValueError, match=r"."):
            map_array(tmp_path / "b.npy")
    with pytest.raises(FileNotFoundError):
        map_array(tmp_path / "c.npy")


# ---------------------------------------------------------------- counts


def counts_of(documents: list[IndexDocument]) -> Counts:
    counts = Counts(DIMENSION)
    counts.add(segment_of(documents, DIMENSION), np.arange(len(documents)))
    return counts


def check_counts(counts: Counts, expected: Counts) -> None:
    assert (counts.documents, counts.length) == (expected.documents, expected.length)
    assert np.array_equal(counts.terms, expected.terms)
    assert np.array_equal(counts.grams, expected.grams)
    assert np.allclose(counts.title, expected.title, atol=1e-6)
    assert np.allclose(counts.body, expected.body, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_counts_are_read_as_they_were_written(tmp_path: Path, count: int) -> None:
    counts = counts_of([mushroom(key) for key in range(count)])
    counts.save(tmp_path / "counts.npz")
    loaded = Counts.load(tmp_path / "counts.npz")
    check_counts(loaded, counts)
    for name in ("terms", "grams", "title", "body"):
        assert getattr(loaded, name).dtype == getattr(counts, name).dtype
        assert np.array_equal(getattr(loaded, name), getattr(counts, name))


def test_a_copy_of_counts_is_changed_alone() -> None:
    counts, expected = counts_of([mushroom(1)]), counts_of([mushroom(1)])
    twin = counts.copy()
    segment = segment_of([mushroom(2), mushroom(3)], DIMENSION)
    twin.add(segment, np.array([1]))
    check_counts(counts, expected)
    check_counts(twin, counts_of([mushroom(1), mushroom(3)]))
    twin.add(segment, np.array([1]), -1)
    check_counts(twin, expected)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "all but the end": lambda content: content[:-1],
    "something else": lambda content: b"nothing" * 100,
    "a byte in the middle": lambda content: (
        content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 255]) + content[len(content) // 2 + 1 :]
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_counts_are_not_loaded(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "counts.npz"
    counts_of([mushroom(key) for key in range(5)]).save(path)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(Exception, match=r"."):
        Counts.load(path)


# ---------------------------------------------------------------- flushes


def snapshot(index: LocalIndex) -> Snapshot:
    assert index.snapshot
    return index.snapshot


def dead_shares(index: LocalIndex) -> list[float]:
    own = snapshot(index)
    return [
        float(own.dead[start : start + len(segment)].mean())
        for segment, start in zip(own.segments, own.starts, strict=False)
    ]


def check_shape(index: LocalIndex) -> None:
    """Each segment has more than so many times what the next one has; none is dead to a large part."""
    sizes = [len(segment) for segment in snapshot(index).segments]
    assert all(one > GROWTH * other for one, other in pairwise(sizes)), sizes
    assert all(share <= MAX_DEAD_SHARE for share in dead_shares(index))


# What one flush brings: how many new documents, how many of the others replaced, how many deleted.
CHANGES = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 5), st.integers(0, 60)),
        st.sampled_from([0.0, 0.02, 0.3]),
        st.sampled_from([0.0, 0.05, 0.5]),
        st.booleans(),
    ),
    min_size=2,
    max_size=9,
)


@given(changes=CHANGES, seed=st.integers(0, 999))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_segments_stay_few_and_living_and_counts_right_whatever_is_written(
    changes: list[tuple[int, float, float, bool]], seed: int
) -> None:
    draw = np.random.default_rng(seed)
    model: dict[int, IndexDocument] = {}
    with TemporaryDirectory() as folder:
        index = LocalIndex(Path(folder), FINGERPRINT, DIMENSION)
        for revision, (fresh, replaced, deleted, old_first) in enumerate(changes, 1):
            # Segments lie in the order of their age: what is dead may be all in one of them.
            known = sorted(model) if old_first else draw.permutation(sorted(model)).tolist()
            gone = known[: int(deleted * len(known))]
            again = known[len(gone) : len(gone) + int(replaced * len(known))]
            new = range(1000 * revision, 1000 * revision + fresh)
            added = [mushroom(key, visibility=VISIBILITY_ORDER[draw.integers(3)]) for key in [*new, *again]]
            write(index, added, gone, revision)
            for key in gone:
                del model[key]
            model.update((document.key, document) for document in added)
            if added:
                check_shape(index)
            public = [document for document in model.values() if document.visibility == "public"]
            check_counts(snapshot(index).counts, counts_of(public))
            assert sorted(snapshot(index).by_key[0].tolist()) == sorted(model)


def test_a_segment_rewritten_for_its_dead_takes_those_along_that_are_not_much_larger(open_local: Opener) -> None:
    index = open_local()
    write(index, [mushroom(key) for key in range(310)])
    write(index, [mushroom(key) for key in range(1000, 1100)], revision=2)
    write(index, [mushroom(key) for key in range(2000, 2030)], revision=3)
    assert [len(segment) for segment in snapshot(index).segments] == [310, 100, 30]
    # The middle one is a third dead and goes into the new one, which is larger than the middle one was.
    write(index, [mushroom(3000 + key) for key in range(9)], range(1000, 1031), revision=4)
    assert [len(segment) for segment in snapshot(index).segments] == [310 + 69 + 30 + 9]
    check_shape(index)


def test_a_flush_without_new_documents_rewrites_nothing(open_local: Opener) -> None:
    index = open_local()
    write(index, [mushroom(key) for key in range(20)])
    before = snapshot(index).segments
    write(index, deleted=range(15), revision=2)
    assert [id(segment) for segment in snapshot(index).segments] == [id(segment) for segment in before]
    assert dead_shares(index) == [0.75]


# ---------------------------------------------------------------- readers


def test_a_reader_keeps_the_segments_that_did_not_change(open_local: Opener) -> None:
    index = open_local()
    write(index, [mushroom(key) for key in range(20)])
    reading = open_local()
    (kept,) = snapshot(reading).segments
    write(index, [mushroom(100)], [3], revision=2)
    assert reading.refresh()
    assert [len(segment) for segment in snapshot(reading).segments] == [20, 1]
    assert snapshot(reading).segments[0] is kept
    write(index, [mushroom(key) for key in range(200, 210)], revision=3)
    assert reading.refresh()
    assert all(segment is not kept for segment in snapshot(reading).segments)
    assert keys_of(reading) == {*range(20), 100, *range(200, 210)} - {3}


@pytest.mark.parametrize("further", [0, 1])
def test_a_reader_serves_what_was_built_anew_in_the_place_of_a_removed_folder(
    tmp_path: Path, open_local: Opener, further: int
) -> None:
    # The new folder counts from one again: a number and a segment's name may be those of the removed one.
    write(open_local(), [mushroom(key) for key in range(20)])
    reading = open_local()
    assert keys_of(reading) == set(range(20))
    shutil.rmtree(home(tmp_path))
    assert reading.refresh() is False
    assert keys_of(reading) == set(range(20))  # what is mapped stays until there is something newer
    index = open_local()
    write(index, [index_document(key, f"银耳 新{key}") for key in range(40, 70)])
    for revision in range(further):
        write(index, [mushroom(100)], revision=revision + 2)
    assert snapshot(index).segments[0].name == snapshot(reading).segments[0].name == "1"
    assert reading.refresh()
    assert not reading.refresh()
    assert keys_of(reading) == keys_of(index)
    assert reading.documents(np.array([40])).keys.tolist() == [40]
    assert rankings(reading, ask("银耳 新50"), limit=1) == rankings(index, ask("银耳 新50"), limit=1)


def test_an_index_whose_folder_was_removed_can_be_written_to(tmp_path: Path, open_local: Opener) -> None:
    index = open_local()
    write(index, [mushroom(1)], revision=5)
    shutil.rmtree(home(tmp_path))
    with index.writer(1) as writer:
        assert writer.revision == 0  # nothing is left of what it had
        writer.upsert([mushroom(2)])
        writer.flush(6)
    assert keys_of(index) == keys_of(open_local()) == {2}
