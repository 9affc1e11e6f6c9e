from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matcher.documents import programme_bits, segment_of
from matcher.embed import Embedder
from matcher.features import (
    COMPARED_TERMS,
    FEATURE_NAMES,
    FEATURES,
    Entries,
    Means,
    Pairs,
    Question,
    ask,
    compare,
    compare_pairs,
    has_abstract,
    telling_terms,
)
from matcher.frequencies import Statistics, inverse_frequency
from matcher.segments import Segment, hash_terms
from matcher.text import Tokenizer
from tests.fakes import DIMENSION, MEANS, FakeEncoder, index_document, statistics

TEXTS = [
    ("银耳热泵烘干技术", "采用热泵除湿对鲜银耳分段变温烘干，降低能耗，防止耳基发黄。"),
    ("香菇烘房改造", "把燃煤烘房改为热泵供热，香菇色泽好。"),
    ("石墨高温提纯工艺", "以氯气和氟利昂为提纯气，三千度高温除去石墨中的铁杂质。"),
    ("核桃青皮脱除机", "钢丝刷差速脱皮，破损率低。"),
    ("天然气脱硫溶剂", ""),
]
TITLE, TEXT = "银耳烘干降低能耗", "鲜银耳用热泵烘干，能耗高，耳基发黄。"


def documents(texts: list[tuple[str, str]], **values: tuple[str, ...]) -> Segment:
    tokenizer = Tokenizer.default()
    made = [index_document(key, *text, tokenizer=tokenizer, **values) for key, text in enumerate(texts)]  # type: ignore[arg-type]
    return segment_of(made, DIMENSION)


COLLECTION = documents(TEXTS)
STATISTICS = statistics(COLLECTION)


@pytest.fixture
def question(embedder: Embedder, tokenizer: Tokenizer) -> Question:
    return ask(embedder, tokenizer, TITLE, TEXT)


def feature(name: str, question: Question, segment: Segment, known: Statistics = STATISTICS) -> NDArray[np.float32]:
    return compare(question, segment, known, MEANS)[:, FEATURES.index(name)]


# ---------------------------------------------------------------- questions


def test_a_question_with_title_and_text_has_a_vector_of_each(
    embedder: Embedder, tokenizer: Tokenizer, encoder: FakeEncoder
) -> None:
    question = ask(embedder, tokenizer, TITLE, TEXT)
    expected = encoder.encode([TITLE, f"{TITLE}。{TEXT}"], "query")
    assert np.array_equal(question.title_vector, expected[0])
    assert np.array_equal(question.body_vector, expected[1])
    assert question.title_hashes.tolist() == sorted(hash_terms(tokenizer.terms(TITLE)).tolist())
    assert question.hashes.tolist() == sorted(hash_terms(question.terms).tolist())
    assert set(question.terms) == set(tokenizer.terms(TITLE) + tokenizer.terms(TEXT))
    assert len(question.terms) == len(set(question.terms))
    assert question.grams.tolist() == sorted(set(question.grams.tolist()))


@pytest.mark.parametrize(("title", "text"), [(TITLE, ""), ("", TITLE)])
def test_a_question_of_one_part_is_embedded_once(
    embedder: Embedder, tokenizer: Tokenizer, encoder: FakeEncoder, title: str, text: str
) -> None:
    question = ask(embedder, tokenizer, title, text)
    assert encoder.encoded == [TITLE]
    assert np.array_equal(question.title_vector, question.body_vector)
    assert question.title_hashes.tolist() == question.hashes.tolist() == sorted(hash_terms(question.terms).tolist())
    assert set(question.terms) == set(tokenizer.terms(TITLE))


def test_a_question_is_not_kept_in_the_cache(embedder: Embedder, tokenizer: Tokenizer, encoder: FakeEncoder) -> None:
    ask(embedder, tokenizer, "", "我公司的机密需求")
    ask(embedder, tokenizer, "", "我公司的机密需求")
    assert encoder.encoded == ["我公司的机密需求"] * 2


def test_width_and_traditional_characters_of_a_question_do_not_matter(embedder: Embedder, tokenizer: Tokenizer) -> None:
    plain = ask(embedder, tokenizer, "", "银耳烘干 LED 5mg/L")
    other = ask(embedder, tokenizer, "", "銀耳烘乾　ＬＥＤ ５ｍｇ／Ｌ")
    assert plain.terms == other.terms
    assert np.array_equal(plain.body_vector, other.body_vector)


# ---------------------------------------------------------------- features are absolute


@given(st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_what_a_document_is_compared_with_does_not_depend_on_its_company(rows: list[int]) -> None:
    tokenizer, encoder = Tokenizer.default(), FakeEncoder()
    vectors = encoder.encode([TITLE, TEXT], "query")
    terms = list(dict.fromkeys(tokenizer.terms(TEXT)))
    hashes = np.unique(hash_terms(terms))
    question = Question(TITLE, TEXT, vectors[0], vectors[1], terms, hashes, hashes, np.unique(hash_terms([*"银耳"])), 1)
    alone = np.concatenate([compare(question, COLLECTION.select(np.array([r])), STATISTICS, MEANS) for r in rows])
    together = compare(question, COLLECTION.select(np.array(rows)), STATISTICS, MEANS)
    assert np.allclose(alone, together, atol=1e-6)


def test_features_stay_within_their_bounds(question: Question) -> None:
    features = compare(replace(question, programmes=3), COLLECTION, STATISTICS, MEANS)
    assert features.shape == (len(TEXTS), len(FEATURES))
    assert features.dtype == np.float32
    assert (np.abs(features) <= 1 + 1e-6).all()
    for name in ("word_overlap", "title_word_overlap", "gram_cosine"):
        assert (features[:, FEATURES.index(name)] >= 0).all()


def test_a_question_that_nothing_fits_has_low_features_throughout(embedder: Embedder, tokenizer: Tokenizer) -> None:
    lost = ask(embedder, tokenizer, "", "周末爬山路线推荐")
    for name in ("word_overlap", "title_word_overlap", "gram_cosine"):
        assert feature(name, lost, COLLECTION).max() < 0.1


# ---------------------------------------------------------------- obvious cases


@pytest.mark.parametrize("name", ["body_cosine", "title_cosine", "word_overlap", "title_word_overlap", "gram_cosine"])
def test_the_same_matter_comes_before_a_related_one_and_that_before_another(question: Question, name: str) -> None:
    same, _, other = feature(name, question, COLLECTION)[:3]
    assert same > other
    assert same == feature(name, question, COLLECTION).max()


def test_a_text_compared_with_itself_reaches_the_top(embedder: Embedder, tokenizer: Tokenizer) -> None:
    itself = ask(embedder, tokenizer, *TEXTS[0])
    middle = replace(STATISTICS, title_mean=MEANS.document_title, body_mean=MEANS.document_body)
    for name in ("body_cosine", "title_cosine", "gram_cosine"):
        assert feature(name, itself, COLLECTION, middle)[0] == pytest.approx(1, abs=1e-5)
    assert feature("word_overlap", itself, COLLECTION).argmax() == 0


def test_each_further_word_in_common_counts(question: Question) -> None:
    bodies = ["", "银耳", "银耳烘干", "银耳烘干能耗", "银耳烘干能耗热泵"]
    segment = documents([("设备", body) for body in bodies])
    overlaps = feature("word_overlap", question, segment, statistics(COLLECTION))
    assert overlaps[0] == 0
    assert (np.diff(overlaps) > 0).all()


def test_a_rare_word_counts_more_than_a_common_one(embedder: Embedder, tokenizer: Tokenizer) -> None:
    collection = documents([("热泵", "热泵烘干")] * 20 + [("银耳", "设备")])
    both = ask(embedder, tokenizer, "", "热泵银耳")
    overlaps = feature("word_overlap", both, documents([("热泵", ""), ("银耳", "")]), statistics(collection))
    assert overlaps[1] > overlaps[0] > 0


def test_a_word_in_the_title_counts_more_than_one_in_the_body(embedder: Embedder, tokenizer: Tokenizer) -> None:
    silver = ask(embedder, tokenizer, "", "银耳")
    in_title, in_body = feature("word_overlap", silver, documents([("银耳设备", "烘干机"), ("烘干机", "银耳设备")]))
    assert in_title > in_body


def test_a_long_document_is_not_better_for_its_length(embedder: Embedder, tokenizer: Tokenizer) -> None:
    silver = ask(embedder, tokenizer, "", "银耳烘干")
    short, long = feature("word_overlap", silver, documents([("银耳烘干", "设备"), ("银耳烘干", "设备改造" * 300)]))
    assert short > long > 0


def test_words_that_no_document_has_do_not_make_a_match_worse(embedder: Embedder, tokenizer: Tokenizer) -> None:
    plain = ask(embedder, tokenizer, "", "银耳烘干")
    named = ask(embedder, tokenizer, "", "银耳烘干 xyzzy 甪里堡")
    assert np.allclose(feature("word_overlap", plain, COLLECTION), feature("word_overlap", named, COLLECTION))


def test_a_common_programme_speaks_for_a_match_and_a_different_one_against(question: Question) -> None:
    segment = segment_of(
        [
            index_document(0, "甲", programmes=("agriculture", "food")),
            index_document(1, "乙", programmes=("machinery",)),
            index_document(2, "丙"),
        ],
        DIMENSION,
    )
    tagged = replace(question, programmes=int(programme_bits(["food", "traditional"])))
    assert feature("programme_overlap", tagged, segment).tolist() == [1, -1, 0]
    assert feature("programme_overlap", question, segment).tolist() == [0, 0, 0]
    last = replace(question, programmes=int(programme_bits(["traditional"])))
    assert feature("programme_overlap", last, segment).tolist() == [-1, -1, 0]


def test_a_shared_middle_of_all_vectors_is_taken_out(question: Question) -> None:
    shift = np.full(DIMENSION, 3, np.float32)
    shifted = replace(question, title_vector=question.title_vector + shift, body_vector=question.body_vector + shift)
    segment = replace(COLLECTION, title=COLLECTION.title + shift, body=COLLECTION.body + shift)
    centred = compare(shifted, segment, statistics(segment), Means(shift, shift, shift, shift))
    assert np.allclose(centred, compare(question, COLLECTION, STATISTICS, MEANS), atol=1e-4)


def test_a_large_collection_is_seen_from_its_own_middle(question: Question) -> None:
    shift = np.full(DIMENSION, 3, np.float32)
    segment = replace(COLLECTION, title=COLLECTION.title + shift, body=COLLECTION.body + shift)
    large = replace(statistics(segment), documents=1_000_000)
    centred = compare(question, segment, large, MEANS)[:, :2]
    plain = compare(question, COLLECTION, replace(STATISTICS, documents=1_000_000), MEANS)[:, :2]
    assert np.allclose(centred, plain, atol=1e-2)


# ---------------------------------------------------------------- nothing to compare


def test_no_documents_have_no_features(question: Question) -> None:
    assert compare(question, documents([]), STATISTICS, MEANS).shape == (0, len(FEATURES))
    assert compare(question, documents([]), statistics(), MEANS).shape == (0, len(FEATURES))


def test_empty_texts_have_nothing_in_common(embedder: Embedder, tokenizer: Tokenizer, question: Question) -> None:
    segment = documents([("", ""), ("。", ""), TEXTS[0], ("", "")])
    features = compare(question, segment, STATISTICS, MEANS)
    assert np.isfinite(features).all()
    for name in ("word_overlap", "title_word_overlap", "gram_cosine"):
        column = features[:, FEATURES.index(name)]
        assert column[[0, 1, 3]].tolist() == [0, 0, 0]
        assert column[2] > 0
    empty = ask(embedder, tokenizer, "", "，。")
    assert empty.terms == []
    assert np.isfinite(compare(empty, segment, STATISTICS, MEANS)).all()
    overlaps = [
        FEATURES.index(name) for name in ("word_overlap", "title_word_overlap", "gram_cosine", "programme_overlap")
    ]
    assert not compare(empty, segment, STATISTICS, MEANS)[:, overlaps].any()


def test_a_document_known_by_its_title_alone_is_told_from_one_with_a_body() -> None:
    assert has_abstract(COLLECTION).tolist() == [True, True, True, True, False]
    assert has_abstract(documents([])).tolist() == []
    assert has_abstract(documents([("银耳", "。")])).tolist() == [False]


# ---------------------------------------------------------------- parts


def test_the_most_telling_terms_are_the_rarest() -> None:
    words = [f"词{number}" for number in range(COMPARED_TERMS + 30)]
    # Word n stands in the documents from n on: the first is the commonest.
    made = [index_document(key, " ".join(words[: 1 + key])) for key in range(len(words))]
    known = statistics(segment_of(made, DIMENSION))
    hashes, weights = telling_terms(np.unique(hash_terms([*words, "没有"])), known)
    assert len(hashes) == COMPARED_TERMS
    assert set(hashes.tolist()) == set(hash_terms(words[-COMPARED_TERMS:]).tolist())
    assert hashes.tolist() == sorted(hashes.tolist())
    expected = inverse_frequency(known.term_frequencies(hashes), known.documents)
    assert np.allclose(weights, expected)
    assert telling_terms(hash_terms(["没有"]), known)[0].tolist() == []
    assert telling_terms(hash_terms([]), known)[0].tolist() == []


def test_every_place_where_a_term_stands_is_found() -> None:
    segment = segment_of([index_document(1, "甲甲 乙乙"), index_document(2, ""), index_document(3, "乙乙")], DIMENSION)
    asked = np.sort(hash_terms(["乙乙", "丙丙"]))
    entries = Entries(segment.term_offsets, segment.terms, Pairs.of_one(len(segment)))
    rows, places, hits = entries.find([asked])
    assert rows.tolist() == [0, 2]
    assert (asked[places] == segment.terms[hits]).all()
    assert [each.tolist() for each in entries.find([np.empty(0, np.uint32)])] == [[], [], []]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, len(TEXTS) - 1)), max_size=12),
    st.lists(st.tuples(st.sampled_from(TEXTS), st.booleans()), min_size=3, max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_pairs_of_several_questions_are_compared_as_each_alone(
    shared_embedder: Embedder, pairs: list[tuple[int, int]], asked: list[tuple[tuple[str, str], bool]]
) -> None:
    tokenizer = Tokenizer.default()
    questions = [replace(ask(shared_embedder, tokenizer, *text), programmes=3 * tagged) for text, tagged in asked]
    together = Pairs(*np.array(pairs, np.int64).reshape(-1, 2).T)
    found = compare_pairs(questions, COLLECTION, together, STATISTICS, MEANS)
    alone = [compare(questions[q], COLLECTION.select(np.array([d])), STATISTICS, MEANS) for q, d in pairs]
    assert np.allclose(found, np.concatenate([np.empty((0, len(FEATURES))), *alone]), atol=1e-6)


def test_a_weight_falls_with_frequency_and_is_never_negative() -> None:
    weights = inverse_frequency(np.array([0, 1, 5, 10, 12]), 10)
    assert (np.diff(weights) < 0).all()
    assert (weights > 0).all()


def test_every_feature_has_a_name_that_can_be_said_on_the_phone() -> None:
    assert list(FEATURE_NAMES) == list(FEATURES)
    assert all(name and not name.isascii() for name in FEATURE_NAMES.values())
