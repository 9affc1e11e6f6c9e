from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matcher.documents import segment_of
from matcher.frequencies import BUCKETS, TITLE_WEIGHT, count, inverse_frequency, statistics_of, weighted_counts
from matcher.segments import Ragged, Segment, concatenate, hash_terms, ragged_grams, ragged_terms
from tests.fakes import DIMENSION, index_document, statistics

WORDS = st.lists(st.sampled_from(["银耳", "烘干", "石墨", "提纯", "核桃", "脱皮", "mg/L"]), max_size=6).map(" ".join)
SEGMENTS = st.lists(st.tuples(WORDS, WORDS), max_size=7).map(
    lambda texts: segment_of([index_document(key, *text) for key, text in enumerate(texts, 10)], DIMENSION)
)


def same(left: Segment, right: Segment) -> bool:
    pairs = [(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(Segment)]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=4), min_size=1, max_size=6), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_lists_of_any_length_are_taken_in_any_order_and_repeatedly(lists: list[list[int]], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=8))
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    ragged = Ragged(offsets, np.array([value for own in lists for value in own], np.uint32))
    positions, owner = ragged.take(rows(*wanted))
    taken: list[list[int]] = [[] for _ in wanted]
    for place, value in zip(owner.tolist(), ragged.values[positions].tolist(), strict=True):
        taken[place].append(value)
    assert taken == [lists[row] for row in wanted]


@given(SEGMENTS, st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_selecting_documents_gives_each_with_all_that_is_its_own(segment: Segment, data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(0, len(segment) - 1), max_size=8)) if len(segment) else []
    selected = segment.select(rows(*wanted))
    assert len(selected) == len(wanted)
    for place, row in enumerate(wanted):
        assert same(selected.select(rows(place)), segment.select(rows(row)))


@given(SEGMENTS, st.integers(0, 99))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_shuffling_and_putting_back_changes_nothing(segment: Segment, seed: int) -> None:
    order = np.arange(len(segment))
    np.random.default_rng(seed).shuffle(order)
    assert same(segment.select(order).select(np.argsort(order)), segment)


@given(st.lists(SEGMENTS, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_segments_put_together_can_be_taken_apart_again(parts: list[Segment]) -> None:
    whole = concatenate(parts)
    assert len(whole) == sum(map(len, parts))
    start = 0
    for part in parts:
        assert same(whole.select(np.arange(start, start + len(part))), part)
        start += len(part)


@given(SEGMENTS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_segment_is_read_from_its_folder_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, segment: Segment
) -> None:
    folder = tmp_path_factory.mktemp("segment") / "new" / "1"
    segment.save(folder)
    assert same(Segment.load(folder), segment)


def test_a_segment_is_never_written_over_another(tmp_path: Path) -> None:
    segment = segment_of([index_document(1, "银耳")], DIMENSION)
    segment.save(tmp_path / "1")
    with pytest.raises(FileExistsError):
        segment.save(tmp_path / "1")


def test_terms_are_counted_apart_in_title_and_body() -> None:
    offsets, terms, titles, bodies = ragged_terms(
        [(["银耳", "烘干", "银耳"], ["烘干", "能耗"]), ([], []), ([], ["银耳"])]
    )
    assert offsets.tolist() == [0, 3, 3, 4]
    found = {
        int(term): (int(in_title), int(in_body))
        for term, in_title, in_body in zip(terms[:3], titles[:3], bodies[:3], strict=True)
    }
    silver, dry, energy = (zlib.crc32(word.encode()) for word in ("银耳", "烘干", "能耗"))
    assert found == {silver: (2, 0), dry: (1, 1), energy: (0, 1)}
    assert terms[:3].tolist() == sorted(terms[:3].tolist())
    assert (terms[3], titles[3], bodies[3]) == (silver, 0, 1)


def test_a_word_said_a_thousand_times_counts_as_255() -> None:
    _, _, titles, bodies = ragged_terms([(["银耳"] * 1000, ["银耳"] * 300)])
    assert (titles.tolist(), bodies.tolist()) == ([255], [255])


def test_grams_are_distinct_and_ascending_in_each_document() -> None:
    offsets, grams = ragged_grams([["银耳", "耳烘", "银耳"], [], ["烘干"]])
    assert offsets.tolist() == [0, 2, 2, 3]
    assert grams.tolist() == [*sorted(hash_terms(["银耳", "耳烘"]).tolist()), *hash_terms(["烘干"]).tolist()]
    assert ragged_grams([])[0].tolist() == [0]


def test_half_a_character_can_be_hashed() -> None:
    assert len(hash_terms(["\ud800银耳", ""])) == 2
    assert hash_terms([]).shape == (0,)


# ---------------------------------------------------------------- statistics


@given(st.lists(SEGMENTS, max_size=3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_statistics_do_not_depend_on_how_documents_are_divided_into_segments(parts: list[Segment]) -> None:
    apart = statistics(*parts)
    together = statistics(concatenate(parts)) if parts else statistics()
    assert (apart.documents, apart.length) == (together.documents, pytest.approx(together.length))
    assert np.array_equal(apart.term_counts, together.term_counts)
    assert np.array_equal(apart.gram_weights, together.gram_weights)
    assert np.allclose(apart.title_mean, together.title_mean, atol=1e-6)
    assert np.allclose(apart.body_mean, together.body_mean, atol=1e-6)


def test_statistics_count_the_living_documents_that_have_a_term() -> None:
    texts = [("银耳 烘干", "银耳 银耳"), ("银耳", ""), ("石墨", "银耳 提纯")]
    segment = segment_of([index_document(key, *text) for key, text in enumerate(texts)], DIMENSION)
    asked = hash_terms(["银耳", "烘干", "石墨", "核桃"])
    whole = statistics(segment)
    assert whole.term_frequencies(asked).tolist() == [3, 1, 1, 0]
    assert whole.length == pytest.approx((3 + 3 + 2 + 3 + 3 + 2) / 3)
    living = statistics_of([(segment, np.array([True, False, True]))], DIMENSION)
    assert living.term_frequencies(asked).tolist() == [2, 1, 1, 0]
    assert living.documents == 2
    assert np.allclose(living.title_mean, segment.title[[0, 2]].mean(axis=0), atol=1e-6)
    assert np.allclose(living.body_mean, segment.body[[0, 2]].mean(axis=0), atol=1e-6)
    weights = living.gram_weights[hash_terms(["银耳", "提纯", "没有"]) % BUCKETS]
    assert weights.tolist() == pytest.approx((inverse_frequency(np.array([2, 1, 0]), 2) ** 2).tolist())
    assert (np.diff(weights) > 0).all()


def test_an_empty_collection_has_statistics_too() -> None:
    nothing = statistics()
    assert (nothing.documents, nothing.length) == (0, 0.0)
    assert nothing.term_frequencies(hash_terms(["银耳"])).tolist() == [0]


def test_a_title_weighs_more_than_a_body() -> None:
    counts = weighted_counts(np.array([255, 0], np.uint8), np.array([255, 1], np.uint8))
    assert counts.tolist() == [255 * TITLE_WEIGHT + 255, 1]
    assert count(np.array([1, 1 + BUCKETS, 2], np.uint32))[:3].tolist() == [0, 2, 1]
