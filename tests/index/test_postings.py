"""The words of a segment, against a plain BM25 over lists of words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matcher import postings
from matcher.documents import segment_of
from matcher.frequencies import BUCKETS, K1, TITLE_WEIGHT, B, inverse_frequency
from matcher.postings import IMPACT_SCALE, QUERY_TERMS, USUAL_LENGTH, Postings, asked_terms
from matcher.segments import Floats, Hashes, Integers, Segment, hash_terms
from tests.fakes import DIMENSION, index_document, statistics

Document = tuple[list[str], list[str]]
VOCABULARY = ["银耳", "烘干", "石墨", "提纯", "核桃", "脱皮", "mg/L", "热泵"]
WORDS = st.lists(st.sampled_from(VOCABULARY), max_size=12)
DOCUMENTS = st.lists(st.tuples(WORDS, WORDS), max_size=12)
UNKNOWN = "quux"
FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def segment(documents: Sequence[Document]) -> Segment:
    return segment_of(
        [index_document(i, " ".join(title), " ".join(body)) for i, (title, body) in enumerate(documents)], DIMENSION
    )


def built(documents: Sequence[Document]) -> Postings:
    with TemporaryDirectory() as folder:
        postings.write(segment(documents), Path(folder))
        return Postings.load(Path(folder))  # what is mapped outlives the files' names


def impact(document: Document, term: str) -> int:
    """Okapi BM25's term frequency part, in 255ths, with a fixed mean length."""
    title, body = document
    length = TITLE_WEIGHT * len(title) + len(body)
    frequency = TITLE_WEIGHT * title.count(term) + body.count(term)
    exact = frequency / (frequency + K1 * (1 - B + B * length / USUAL_LENGTH))
    return max(1, round(exact * IMPACT_SCALE)) if frequency else 0


def plain(
    documents: Sequence[Document], weights: dict[str, float], allowed: Sequence[bool], limit: int
) -> list[tuple[int, float]]:
    """Every document scored, sorted, ties by row."""
    scores = [
        (row, sum(weight * impact(document, term) / IMPACT_SCALE for term, weight in weights.items()))
        for row, document in enumerate(documents)
        if allowed[row] and any(term in part for term in weights for part in document)
    ]
    return sorted(scores, key=lambda found: (-found[1], found[0]))[:limit]


def search(index: Postings, weights: dict[str, float], allowed: Sequence[bool], limit: int) -> tuple[Integers, Floats]:
    return index.search(
        hash_terms(list(weights)),
        np.array(list(weights.values()), np.float32),
        np.array(allowed, np.bool_),
        limit,
    )


def check(found: tuple[Integers, Floats], expected: list[tuple[int, float]]) -> None:
    rows, scores = found
    assert rows.tolist() == [row for row, _ in expected]
    assert scores.tolist() == pytest.approx([score for _, score in expected], rel=1e-5)


# ---------------------------------------------------------------- searching

# Sums of quarters and halves over 255ths that are equal on paper are equal as floats too: ties are ties.
WEIGHTS = st.dictionaries(
    st.sampled_from([*VOCABULARY, UNKNOWN]), st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]), max_size=8
).map(lambda drawn: dict(sorted(drawn.items(), key=lambda item: -item[1])))
EVERY: list[Document] = [([], ["银耳", "烘干", "石墨", "提纯"]), ([], ["热泵"]), ([], ["热泵", "热泵"])]


@given(
    documents=DOCUMENTS,
    weights=WEIGHTS,
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0, 0.4, 1.0]),
    limit=st.integers(1, 14),
)
# The rarest terms all stand in one document, and the best is another.
@example(
    documents=EVERY,
    weights={"银耳": 1.0, "烘干": 1.0, "石墨": 1.0, "提纯": 1.0, "热泵": 0.5},
    seed=0,
    share=1.0,
    limit=1,
)
@example(
    documents=EVERY,
    weights={"银耳": 1.0, "烘干": 1.0, "石墨": 1.0, "提纯": 1.0, "热泵": 9.0},
    seed=0,
    share=1.0,
    limit=1,
)
@FEW
def test_a_search_finds_and_scores_what_plain_bm25_does(
    documents: list[Document], weights: dict[str, float], seed: int, share: float, limit: int
) -> None:
    allowed = (np.random.default_rng(seed).random(len(documents)) < share).tolist()
    check(search(built(documents), weights, allowed, limit), plain(documents, weights, allowed, limit))


def test_all_that_have_a_word_are_found_although_few_have_the_rare_ones() -> None:
    rare = [f"稀{number}" for number in range(30)]
    documents: list[Document] = [([], rare)] * 3 + [([], ["常见"])] * 30
    weights = {**dict.fromkeys(rare, 2.0), "常见": 0.5}
    found = search(built(documents), weights, [True] * 33, 20)
    check(found, plain(documents, weights, [True] * 33, 20))
    assert found[0].tolist() == list(range(20))


def test_a_common_word_that_weighs_most_brings_its_documents_before_those_of_rare_ones() -> None:
    rare = [f"稀{number}" for number in range(8)]
    documents: list[Document] = [([], rare)] * 2 + [([], ["常见"])] * 5
    weights = {**dict.fromkeys(rare, 0.1), "常见": 5.0}
    rows, _ = search(built(documents), weights, [True] * 7, 2)
    assert rows.tolist() == [2, 3]


def test_a_filter_acts_before_the_best_are_picked() -> None:
    best: list[Document] = [(["银耳", "烘干"], ["银耳"])] * 40
    other: list[Document] = [([], ["银耳", *["石墨"] * 50])] * 3
    allowed = [False] * 40 + [True] * 3
    rows, scores = search(built(best + other), {"烘干": 2.0, "银耳": 1.0}, allowed, 2)
    assert rows.tolist() == [40, 41]
    check((rows, scores), plain(best + other, {"烘干": 2.0, "银耳": 1.0}, allowed, 2))


def test_of_equals_the_first_come_first() -> None:
    documents: list[Document] = [(["石墨"], [])] * 3 + [(["银耳"], ["烘干"])] * 30
    rows, scores = search(built(documents), {"银耳": 1.0}, [True] * 33, 10)
    assert rows.tolist() == list(range(3, 13))
    assert len(set(scores.tolist())) == 1


@pytest.mark.parametrize("asked", [{}, {UNKNOWN: 1.0}, {UNKNOWN: 1.0, "": 2.0}])
@pytest.mark.parametrize("documents", [[], [([], [])], [(["银耳"], ["烘干"])]])
def test_nothing_is_found_by_what_stands_nowhere(documents: list[Document], asked: dict[str, float]) -> None:
    rows, scores = search(built(documents), asked, [True] * len(documents), 5)
    assert (len(rows), len(scores)) == (0, 0)


@pytest.mark.parametrize("hash_", [0, 2**32 - 1])
def test_a_hash_at_either_end_is_found_or_not_as_any_other(hash_: int) -> None:
    terms = np.array([hash_], np.uint32)
    weights = np.ones(1, np.float32)
    index = built([(["银耳"], []), (["石墨"], [])])
    assert len(index.search(terms, weights, np.ones(2, np.bool_), 5)[0]) == 0
    own = Postings(terms, np.array([0, 1]), np.array([1], np.int32), np.array([255], np.uint8))
    assert own.search(terms, weights, np.ones(2, np.bool_), 5)[0].tolist() == [1]


def test_more_than_there_is_can_be_asked_for() -> None:
    documents: list[Document] = [(["银耳"], []), (["石墨"], []), ([], ["银耳"])]
    rows, _ = search(built(documents), {"银耳": 1.0}, [True] * 3, 10_000)
    assert rows.tolist() == [0, 2]


# ---------------------------------------------------------------- what is asked for


def collection(counts: dict[str, int], hidden: Sequence[str] = ()) -> tuple[Segment, NDArray[np.bool_]]:
    """Documents in so many of which each word stands; the hidden words stand in documents that do not count."""
    most = max(counts.values())
    texts = [" ".join(word for word, count in counts.items() if row < count) for row in range(most)]
    made = [index_document(row, text) for row, text in enumerate([*texts, *hidden])]
    return segment_of(made, DIMENSION), np.arange(len(made)) < most


def asked(terms: Sequence[str], counts: dict[str, int]) -> tuple[list[int], Floats]:
    whole, public = collection(counts)
    kept, weights = asked_terms(np.unique(hash_terms(terms)), statistics(whole.select(np.flatnonzero(public))))
    return kept.tolist(), weights


def hashes(terms: Sequence[str]) -> list[int]:
    found: Hashes = hash_terms(terms)
    assert len(np.unique(found % BUCKETS)) == len(terms)  # or the test would be about collisions
    return [int(own) for own in found]


def test_the_rarest_words_are_looked_up_rarest_first() -> None:
    counts = {f"词{number}": number + 1 for number in range(QUERY_TERMS + 8)}
    kept, weights = asked(list(reversed(counts)), counts)
    assert kept == hashes(list(counts)[:QUERY_TERMS])
    expected = inverse_frequency(np.arange(1, QUERY_TERMS + 1), QUERY_TERMS + 8)
    assert weights.dtype == np.float32
    assert weights.tolist() == pytest.approx(expected.tolist())
    assert weights.tolist() == pytest.approx(
        [math.log1p((QUERY_TERMS + 8 - n + 0.5) / (n + 0.5)) for n in range(1, QUERY_TERMS + 1)]
    )


def test_words_that_only_hidden_documents_have_take_nobodys_place() -> None:
    counts = {f"词{number}": number + 1 for number in range(QUERY_TERMS + 3)}
    hidden = [f"密{number}" for number in range(5)]
    kept, weights = asked([*hidden, *counts], counts)
    assert set(kept[:5]) == set(hashes(hidden))
    assert kept[5:] == hashes(list(counts)[:QUERY_TERMS])
    assert len(set(weights[:5].tolist())) == 1
    assert (np.diff(weights) <= 0).all()


def test_no_more_is_read_than_a_question_may_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"甲": 2, "乙": 3, "丙": 4, "丁": 5}
    for entries, expected in (
        (1, "甲"),
        (2, "甲"),
        (3, "甲乙"),
        (5, "甲乙"),
        (6, "甲乙丙"),
        (9, "甲乙丙"),
        (10, "甲乙丙丁"),
    ):
        monkeypatch.setattr(postings, "QUERY_ENTRIES", entries)
        assert asked(["丁", "丙", "乙", "甲"], counts)[0] == hashes(list(expected)), entries
    monkeypatch.setattr(postings, "QUERY_ENTRIES", 1)
    assert asked(["乙", "密"], counts)[0] == hashes(["密", "乙"])


def test_a_question_without_words_asks_for_nothing() -> None:
    kept, weights = asked([], {"甲": 2})
    assert (kept, len(weights)) == ([], 0)


# ---------------------------------------------------------------- writing


def contents(documents: Sequence[Document], folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    postings.write(segment(documents), folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(documents=DOCUMENTS, sorted_entries=st.integers(1, 30))
@FEW
def test_writing_in_several_ranges_gives_the_same_files_as_in_one(
    documents: list[Document], sorted_entries: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        whole = contents(documents, Path(folder) / "one")
        patch.setattr(postings, "SORTED_ENTRIES", sorted_entries)
        assert contents(documents, Path(folder) / "several") == whole


@given(documents=DOCUMENTS)
@FEW
def test_every_word_of_every_document_stands_in_the_postings_once(documents: list[Document]) -> None:
    index = built(documents)
    assert index.terms.tolist() == sorted({int(h) for doc in documents for h in hash_terms([*doc[0], *doc[1]])})
    assert len(index.rows) == len(index.impacts) == index.offsets[-1]
    for term in VOCABULARY:
        place = np.searchsorted(index.terms, hash_terms([term]))[0]
        if place == len(index.terms) or index.terms[place] != hash_terms([term])[0]:
            assert not any(term in part for document in documents for part in document)
            continue
        own = slice(int(index.offsets[place]), int(index.offsets[place + 1]))
        expected = [(row, impact(doc, term)) for row, doc in enumerate(documents) if impact(doc, term)]
        assert list(zip(index.rows[own].tolist(), index.impacts[own].tolist(), strict=True)) == expected


def test_impacts_grow_with_frequency_fall_with_length_and_stay_between_1_and_255() -> None:
    def impacts(documents: Sequence[Document]) -> list[int]:
        index = built(documents)
        place = int(np.searchsorted(index.terms, hash_terms(["银耳"]))[0])
        own: list[int] = index.impacts[index.offsets[place] : index.offsets[place + 1]].tolist()
        return own

    often = impacts([([], ["银耳"] * times + ["烘干"] * (40 - times)) for times in (1, 2, 4, 8, 16, 32)])
    assert often == sorted(set(often))
    long = impacts([([], ["银耳"] + ["烘干"] * more) for more in (0, 20, 60, 120, 240)])
    assert long == sorted(set(long), reverse=True)
    body, title = impacts([([], ["银耳", "烘干", "烘干"]), (["银耳"], [])])
    assert title > body
    # The most that a document can have is one word only, 255 times in title and body: its own length damps it.
    endless = [f"词{number}" for number in range(90_000)]
    least, most = impacts([([], ["银耳", *endless]), (["银耳"] * 255, ["银耳"] * 255)])
    assert (least, most) == (1, 253)


def test_impacts_do_not_depend_on_how_many_documents_are_weighed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # 65,536 at a time: the first of the second block is weighed as it would be alone.
    count = (1 << 16) + 2
    long: Document = (["银耳"], ["烘干", "石墨", "石墨"])
    few = segment([(["银耳"], []), long])
    chosen = np.zeros(count, np.int64)
    chosen[[0, (1 << 16) - 1, 1 << 16, count - 1]] = 1
    impacts = postings._impacts(few.select(chosen))
    lengths = np.diff(few.term_offsets)[chosen]
    starts = np.cumsum(lengths) - lengths
    alone = postings._impacts(few)
    own = [alone[:1].tolist(), alone[1:].tolist()]
    for row in (0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1):
        assert impacts[starts[row] : starts[row] + lengths[row]].tolist() == own[chosen[row]], row
