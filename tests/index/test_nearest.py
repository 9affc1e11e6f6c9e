"""The nearest vectors of a segment, against comparing all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matcher import nearest
from matcher.nearest import Nearest
from matcher.segments import Floats, Integers

DEPTH = 100
QUESTIONS = 20
Rows = NDArray[np.bool_]


def unit(vectors: NDArray[Any]) -> Floats:
    normed: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return normed


def clustered(count: int, dimension: int, clusters: int | None = None) -> Floats:
    """Vectors in bunches that all lean one way, as those of texts do."""
    random = np.random.default_rng(count + dimension)
    middles = unit(random.normal(size=(clusters or count // 60, dimension)))
    own = np.sort(random.integers(0, len(middles), count))
    spread = 0.5 * random.normal(size=(count, dimension)) / np.sqrt(dimension)
    return unit(middles[own] + spread + 0.8 * np.eye(dimension)[0])


def questions(vectors: Floats, count: int = QUESTIONS, seed: int = 5) -> Floats:
    """Vectors halfway between two of these."""
    pairs = np.random.default_rng(seed).integers(0, len(vectors), (2, count))
    return unit(vectors[pairs[0]] + vectors[pairs[1]])


def built(vectors: Floats, folder: Path) -> Nearest:
    nearest.write(vectors, questions(vectors, nearest.TRIED_QUESTIONS, 6), folder, "title")
    return Nearest(vectors, folder, "title")


def everything(vectors: Floats) -> Rows:
    return np.ones(len(vectors), np.bool_)


def true(vectors: Floats, question: Floats, allowed: Rows, limit: int = DEPTH) -> Integers:
    """The rows that are truly nearest."""
    rows = np.flatnonzero(allowed)
    order = np.argsort(-(vectors[rows].astype(np.float64) @ question), kind="stable")
    return rows[order[:limit]]


def recall(index: Nearest, vectors: Floats, allowed: Rows, limit: int = DEPTH) -> float:
    asked = questions(vectors)
    shares = []
    for question, (rows, scores) in zip(asked, index.search(asked, allowed, limit), strict=True):
        best = rows[np.argsort(-scores, kind="stable")[:limit]]
        shares.append(np.isin(true(vectors, question, allowed, limit), best).mean())
    return float(np.mean(shares))


def check_exact(found: tuple[Integers, Floats], vectors: Floats, question: Floats, allowed: Rows) -> None:
    """Only what is allowed, each once, with its own cosine."""
    rows, scores = found
    assert allowed[rows].all()
    assert len(np.unique(rows)) == len(rows) == len(scores)
    assert np.allclose(scores, vectors[rows].astype(np.float64) @ question, atol=1e-5)


@pytest.fixture
def small_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes an index of a thousand vectors as large ones are: many lists, most of them skipped."""
    monkeypatch.setattr(nearest, "QUANTISED_FROM", 500)
    monkeypatch.setattr(nearest, "LIST_SIZE", 50)
    monkeypatch.setattr(nearest, "SCANNED_WHOLE", 0)
    monkeypatch.setattr(nearest, "COMPARED_ONE_BY_ONE", 100)


# ---------------------------------------------------------------- what is found


@pytest.mark.parametrize("dimension", [64, 384, 33])
def test_a_scan_of_all_lists_misses_next_to_nothing(tmp_path: Path, dimension: int) -> None:
    vectors = clustered(nearest.QUANTISED_FROM + 900, dimension)
    index = built(vectors, tmp_path)
    assert (tmp_path / "title.faiss").exists()
    assert recall(index, vectors, everything(vectors)) >= 0.99


@pytest.mark.parametrize("dimension", [64, 384, 33])
def test_few_vectors_are_all_compared(tmp_path: Path, dimension: int) -> None:
    vectors = clustered(nearest.QUANTISED_FROM - 1, dimension)
    index = built(vectors, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert recall(index, vectors, everything(vectors)) == 1
    half = everything(vectors)
    half[::2] = False
    for question, found in zip(questions(vectors), index.search(questions(vectors), half, 10), strict=True):
        check_exact(found, vectors, question, half)
        assert np.array_equal(found[0], np.flatnonzero(half))


@pytest.mark.parametrize("dimension", [64, 384, 33])
def test_skipping_lists_costs_little_of_what_is_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dimension: int
) -> None:
    monkeypatch.setattr(nearest, "SCANNED_WHOLE", 1000)
    monkeypatch.setattr(nearest, "LIST_SIZE", 100)
    vectors = clustered(6000, dimension)
    index = built(vectors, tmp_path)
    assert index._index.nprobe < index._index.nlist
    assert recall(index, vectors, everything(vectors)) >= 0.97


def test_all_lists_are_scanned_up_to_a_size(tmp_path: Path, small_lists: None, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered(1000, 64)
    monkeypatch.setattr(nearest, "SCANNED_WHOLE", 1000)
    assert (built(vectors, tmp_path)._index.nprobe, len(vectors)) == (20, 1000)
    monkeypatch.setattr(nearest, "SCANNED_WHOLE", 999)
    assert built(vectors, tmp_path)._index.nprobe < 20


def test_the_more_shall_be_found_the_more_lists_are_scanned(
    tmp_path: Path, small_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = clustered(3000, 64, clusters=3000)  # no bunches: the nearest lie in many lists
    scanned = []
    for wanted in (0.3, 0.9):
        monkeypatch.setattr(nearest, "RECALL", wanted)
        index = built(vectors, tmp_path)
        scanned.append(index._index.nprobe)
        assert recall(index, vectors, everything(vectors)) >= wanted - 0.05
    assert scanned[0] < scanned[1]


class Listening:
    """FAISS' index, with an ear on how many lists each search scans."""

    def __init__(self, index: Any) -> None:
        self.index, self.nprobe, self.nlist = index, index.nprobe, index.nlist
        self.scanned: list[int] = []

    def search(self, asked: Floats, wanted: int, params: Any) -> Any:
        self.scanned.append(params.nprobe)
        return self.index.search(asked, wanted, params=params)


def test_the_fewer_are_allowed_the_more_lists_are_scanned(
    tmp_path: Path, small_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "LEAST_COMPARED", 1)
    vectors = clustered(6000, 64)
    index = built(vectors, tmp_path)
    tenth = some(6000, 0.1, 1)
    assert recall(index, vectors, tenth, 50) >= 0.97
    listening = Listening(index._index)
    monkeypatch.setattr(index, "_index", listening)
    for allowed in (everything(vectors), some(6000, 0.25, 1), tenth):
        index.search(questions(vectors), allowed, 2)
    usual = listening.nprobe
    assert 3 * usual < listening.nlist
    assert listening.scanned[0] == usual
    assert listening.scanned[1] == pytest.approx(2 * usual, abs=1)
    assert listening.scanned[2] == pytest.approx(10**0.5 * usual, abs=1)


def test_as_many_as_asked_for_come_back_although_what_is_allowed_lies_in_lists_that_are_skipped(
    tmp_path: Path, small_lists: None
) -> None:
    # A filter by programme lets through what lies together, and a question may be about something else.
    vectors = clustered(4000, 64, clusters=40)
    index = built(vectors, tmp_path)
    asked = unit(vectors[:10])
    together = everything(vectors)
    together[:3800] = False
    for question, found in zip(asked, index.search(asked, together, 150), strict=True):
        check_exact(found, vectors, question, together)
        assert len(found[0]) >= 150


@pytest.mark.parametrize("limit", [1, 7, 5000])
def test_at_least_as_many_as_asked_for_come_back_where_there_are_so_many(
    tmp_path: Path, small_lists: None, limit: int
) -> None:
    vectors = clustered(1000, 64)
    for rows, _ in built(vectors, tmp_path).search(questions(vectors), everything(vectors), limit):
        assert len(rows) >= min(limit, 1000)


def test_alike_vectors_are_all_found(tmp_path: Path, small_lists: None) -> None:
    vectors = unit(np.tile(np.eye(64)[:2], (400, 1)))
    rows, scores = built(vectors, tmp_path).search(vectors[:1], everything(vectors), 300)[0]
    assert np.sort(-scores)[:300].tolist() == [-1.0] * 300
    assert len(np.unique(rows)) == len(rows)


def test_codes_are_made_of_what_they_were_trained_on(
    tmp_path: Path, small_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With so few candidates compared exactly, codes trained on vectors seen from their middle and made of
    # others, or the other way round, find .73 of the nearest.
    monkeypatch.setattr(nearest, "LIST_SIZE", 500)
    monkeypatch.setattr(nearest, "OVERFETCH", 3)
    vectors = clustered(4000, 64, clusters=4000)
    assert recall(built(vectors, tmp_path), vectors, everything(vectors)) >= 0.88


# ---------------------------------------------------------------- filters


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Nearest, Floats]:
    """An index that skips lists; its thresholds are for writing, so that examples search with the usual ones."""
    vectors = clustered(3000, 64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "QUANTISED_FROM", 500)
        patch.setattr(nearest, "LIST_SIZE", 50)
        patch.setattr(nearest, "SCANNED_WHOLE", 0)
        return built(vectors, tmp_path_factory.mktemp("shared")), vectors


def some(count: int, share: float, seed: int) -> Rows:
    chosen: Rows = np.random.default_rng(seed).random(count) < share
    return chosen


MASKS = st.one_of(
    st.just(np.ones(3000, np.bool_)),
    st.just(np.zeros(3000, np.bool_)),
    st.integers(0, 2999).map(lambda row: np.arange(3000) == row),
    st.tuples(st.sampled_from([0.01, 0.05, 0.5, 0.97]), st.integers(0, 99)).map(lambda drawn: some(3000, *drawn)),
    st.tuples(st.integers(0, 3000), st.integers(0, 3000)).map(
        lambda ends: (np.arange(3000) >= min(ends)) & (np.arange(3000) < max(ends))
    ),
)


@given(
    allowed=MASKS,
    limit=st.sampled_from([1, 30, 3000]),
    share=st.sampled_from([1.0, 0.2, 0.001]),
    one_by_one=st.sampled_from([0, 100]),
    seed=st.integers(0, 9),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_that_is_not_allowed_ever_comes_back(
    shared: tuple[Nearest, Floats], allowed: Rows, limit: int, share: float, one_by_one: int, seed: int
) -> None:
    index, vectors = shared
    asked = questions(vectors, 3, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "COMPARED_ONE_BY_ONE", one_by_one)
        found = index.search(asked, allowed, limit, share)
    assert len(found) == 3
    for question, own in zip(asked, found, strict=True):
        check_exact(own, vectors, question, allowed)
        assert len(own[0]) >= min(limit, allowed.sum())


def test_few_that_are_allowed_are_compared_one_by_one(
    shared: tuple[Nearest, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors = shared
    monkeypatch.setattr(nearest, "COMPARED_ONE_BY_ONE", 100)
    monkeypatch.setattr(index, "_index", None if index._index is None else _Unasked())
    few = np.zeros(len(vectors), np.bool_)
    few[np.random.default_rng(3).choice(len(vectors), 100, False)] = True
    for question, own in zip(questions(vectors), index.search(questions(vectors), few, 10), strict=True):
        check_exact(own, vectors, question, few)
        assert np.array_equal(own[0], np.flatnonzero(few))
    few[np.flatnonzero(~few)[0]] = True
    with pytest.raises(AttributeError):
        index.search(questions(vectors), few, 10)


class _Unasked:
    """An index in the place of FAISS' that nobody may ask."""


def test_a_segment_that_is_a_part_of_the_index_compares_its_part_of_the_candidates(
    shared: tuple[Nearest, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors = shared
    monkeypatch.setattr(nearest, "COMPARED_ONE_BY_ONE", 100)
    monkeypatch.setattr(nearest, "LEAST_COMPARED", 35)

    def compared(share: float) -> set[int]:
        return {len(rows) for rows, _ in index.search(questions(vectors), everything(vectors), 10, share)}

    assert compared(1.0) == {10 * nearest.OVERFETCH}
    assert compared(0.55) == {10 * 4}
    assert compared(0.0001) == {35}
    monkeypatch.setattr(nearest, "LEAST_COMPARED", 1)
    assert compared(0.0001) == {10 * nearest.LEAST_OVERFETCH}


def test_many_questions_at_once_get_what_each_gets_alone(
    shared: tuple[Nearest, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors = shared
    monkeypatch.setattr(nearest, "COMPARED_ONE_BY_ONE", 100)
    asked = questions(vectors, 40)
    for allowed in (everything(vectors), some(3000, 0.5, 1), some(3000, 0.01, 1), ~everything(vectors)):
        for i, (rows, scores) in enumerate(index.search(asked, allowed, 25)):
            ((alone, own),) = index.search(asked[i : i + 1], allowed, 25)
            assert np.array_equal(rows, alone)
            assert np.allclose(scores, own, atol=1e-6)
    assert index.search(asked[:0], everything(vectors), 25) == []


# ---------------------------------------------------------------- files


def test_writing_the_same_vectors_twice_gives_the_same_file(
    tmp_path: Path, small_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "TRAINING_SAMPLE", 500)  # less than all: which ones is drawn
    vectors = clustered(2000, 64)
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        built(vectors, tmp_path / name)
        files.append((tmp_path / name / "title.faiss").read_bytes())
    assert files[0] == files[1]
    again = Nearest(vectors, tmp_path / "one", "title").search(questions(vectors), everything(vectors), 20)
    for (rows, scores), (others, theirs) in zip(
        again,
        Nearest(vectors, tmp_path / "two", "title").search(questions(vectors), everything(vectors), 20),
        strict=True,
    ):
        assert np.array_equal(rows, others)
        assert np.array_equal(scores, theirs)


def test_vectors_put_in_by_parts_are_those_put_in_at_once(
    tmp_path: Path, small_lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = clustered(1000, 64)
    asked = questions(vectors)
    whole = built(vectors, tmp_path).search(asked, everything(vectors), 20)
    monkeypatch.setattr(nearest, "ADDED_AT_ONCE", 130)
    parts = built(vectors, tmp_path).search(asked, everything(vectors), 20)
    for (rows, scores), (others, theirs) in zip(whole, parts, strict=True):
        assert np.array_equal(rows, others)
        assert np.array_equal(scores, theirs)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "its beginning": lambda content: content[:60],
    "half": lambda content: content[: len(content) // 2],
    "all but the end": lambda content: content[:-1],
    "something else": lambda content: b"nothing of FAISS" * 100,
    "another kind": lambda content: b"IxF2" + content[4:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_not_loaded(tmp_path: Path, small_lists: None, damage: str) -> None:
    vectors = clustered(1000, 64)
    built(vectors, tmp_path)
    path = tmp_path / "title.faiss"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(Exception, match=r"."):
        Nearest(vectors, tmp_path, "title")


def test_a_file_of_other_vectors_is_not_loaded(tmp_path: Path, small_lists: None) -> None:
    vectors = clustered(1000, 64)
    built(vectors, tmp_path)
    with pytest.raises(ValueError, match="holds 999 vectors, its index 1000"):
        Nearest(vectors[1:], tmp_path, "title")
    with pytest.raises(RuntimeError, match=r"body\.faiss"):
        Nearest(vectors, tmp_path, "body")


# ---------------------------------------------------------------- parts


@given(count=st.integers(1, 40), asked=st.integers(1, 3), limit=st.integers(1, 50), part=st.integers(1, 12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_truly_nearest_are_the_same_however_many_are_compared_at_once(
    count: int, asked: int, limit: int, part: int
) -> None:
    vectors = unit(np.random.default_rng(count).normal(size=(count, 6)))
    probes = questions(vectors, asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "ADDED_AT_ONCE", part)
        found = nearest._exact(vectors, probes, limit)
    assert found.shape == (asked, min(limit, count))
    for rows, question in zip(found, probes, strict=True):
        best = np.sort(vectors @ question)[::-1][: len(rows)]
        assert len(set(rows.tolist())) == len(rows)
        assert np.allclose(np.sort(vectors[rows] @ question)[::-1], best, atol=1e-6)


def test_the_threads_are_what_they_were_before() -> None:
    before = faiss.omp_get_max_threads()
    with nearest.threads(before + 2):
        assert faiss.omp_get_max_threads() == before + 2
        with nearest.threads(1):
            assert faiss.omp_get_max_threads() == 1
        assert faiss.omp_get_max_threads() == before + 2
    assert faiss.omp_get_max_threads() == before
    with pytest.raises(KeyError), nearest.threads(1):
        raise KeyError
    assert faiss.omp_get_max_threads() == before


def test_several_threads_search_one_index(shared: tuple[Nearest, Floats], monkeypatch: pytest.MonkeyPatch) -> None:
    index, vectors = shared
    monkeypatch.setattr(nearest, "COMPARED_ONE_BY_ONE", 100)
    asked = questions(vectors)
    masks = [some(3000, share, 1) for share in (0.2, 0.4, 0.6, 1.1)]
    alone = [index.search(asked, mask, 30) for mask in masks]
    wrong: list[int] = []

    def search(own: int) -> None:
        for _ in range(20):
            for (rows, _), (expected, _) in zip(index.search(asked, masks[own], 30), alone[own], strict=True):
                if not np.array_equal(rows, expected):
                    wrong.append(own)

    running = [threading.Thread(target=search, args=(own,)) for own in range(len(masks))]
    for each in running:
        each.start()
    for each in running:
        each.join()
    assert wrong == []
