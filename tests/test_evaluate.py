from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.documents import segment_of
from matcher.embed import Embedder
from matcher.evaluate import DEPTH, Evaluation, Ranking, bootstrap, evaluate, figures, ndcg, okapi, paired_difference
from matcher.features import ask
from matcher.judgements import JudgedNeed, Judgements, Offer, Pool
from matcher.rank import Ranker
from matcher.text import Tokenizer
from tests.fakes import DIMENSION, index_document, ranker_weights, statistics

CONTRACT = {"ndcg10", "map", "auc_3", "auc_4v1", "spearman", "score_bdci", "needs"}
LEVELS = st.lists(st.integers(1, 4), min_size=2, max_size=15).filter(lambda levels: max(levels) > 1)


def need(*levels: int) -> JudgedNeed:
    return JudgedNeed(("n",), "题", "文", dict(enumerate(levels)))


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def integers(values: Sequence[int]) -> np.ndarray:
    return np.array(values, np.int64)


def judged(
    needs: Sequence[JudgedNeed], scores: Sequence[np.ndarray], predicted: Sequence[np.ndarray] | None
) -> Evaluation:
    levels = predicted if predicted is not None else [None] * len(scores)
    return figures(needs, [Ranking(*pair) for pair in zip(scores, levels, strict=True)])


# ---------------------------------------------------------------- NDCG


def test_ndcg_is_what_one_reckons_by_hand() -> None:
    # Ranked 1, 4, 3: gains 0, 7, 3 at discounts 1, 1/log2(3), 1/2; ideally 7, 3, 0.
    expected = (7 / math.log2(3) + 3 / 2) / (7 + 3 / math.log2(3))
    assert ndcg(floats(0.9, 0.5, 0.1), integers([1, 4, 3])) == pytest.approx(expected)
    assert expected == pytest.approx(0.6653, abs=1e-4)
    # Two alone, in the wrong order: 1 and 0 instead of 0 and 1.
    assert ndcg(floats(1, 2), integers([2, 1])) == pytest.approx(1 / math.log2(3))


@given(LEVELS)
@settings(max_examples=50, deadline=None)
def test_a_perfect_ranking_gives_one(levels: list[int]) -> None:
    assert ndcg(np.array(levels, np.float64), integers(levels)) == pytest.approx(1)


@given(LEVELS, st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_no_ranking_is_better_than_perfect_or_worse_than_nothing(levels: list[int], seed: int) -> None:
    scores = np.random.default_rng(seed).random(len(levels))
    value = ndcg(scores, integers(levels))
    assert 0 <= value <= 1 + 1e-9
    # Only the order of the scores counts.
    assert ndcg(scores * 100 - 7, integers(levels)) == pytest.approx(value)


def test_only_the_first_ten_places_count() -> None:
    levels = [1] * DEPTH + [4]
    assert ndcg(-np.arange(DEPTH + 1.0), integers(levels)) == 0
    assert ndcg(np.arange(DEPTH + 1.0), integers(levels)) == pytest.approx(1)


def test_ties_keep_the_order_of_the_judgements() -> None:
    assert ndcg(floats(0, 0, 0), integers([4, 1, 1])) == 1
    assert ndcg(floats(0, 0, 0), integers([1, 1, 4])) == pytest.approx(0.5)


# ---------------------------------------------------------------- all figures


def test_a_perfect_ranking_has_perfect_figures() -> None:
    needs = [need(4, 3, 2, 1), need(1, 4, 1, 2), need(2, 2, 3, 4)]
    scores = [np.array(list(each.levels.values()), np.float64) for each in needs]
    predicted = [own.astype(np.int64) for own in scores]
    result = judged(needs, scores, predicted)
    assert result.figures.keys() == CONTRACT
    assert dict(result.figures) == dict.fromkeys(CONTRACT, 1.0) | {"needs": 3}
    assert result.interval == (1.0, 1.0)
    assert result.per_need.tolist() == [1, 1, 1]


def test_the_worst_ranking_has_the_worst_figures() -> None:
    needs = [need(4, 3, 2, 1), need(1, 2, 3, 4)]
    scores = [-np.array(list(each.levels.values()), np.float64) for each in needs]
    predicted = [5 - np.array(list(each.levels.values()), np.int64) for each in needs]
    result = judged(needs, scores, predicted).figures
    assert (result["spearman"], result["auc_3"], result["auc_4v1"]) == (-1.0, 0.0, 0.0)
    # The levels are wrong by 3, 1, 1 and 3: two on average.
    assert result["score_bdci"] == pytest.approx(1 / 3, abs=1e-4)
    assert result["ndcg10"] is not None
    assert result["ndcg10"] < 0.7


def test_figures_reckoned_by_hand() -> None:
    # Relevant are the levels 3 and 4: they stand at places 2 and 3 of the first need, at 1 of the second.
    needs = [need(1, 4, 3), need(3, 1)]
    result = judged(needs, [floats(0.9, 0.5, 0.1), floats(0.8, 0.2)], [integers([1, 4, 1]), integers([2, 2])]).figures
    assert result["map"] == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1) / 2, abs=1e-4)
    # Pairs of relevant (0.5, 0.1, 0.8) over not (0.9, 0.2): two of six are in order.
    assert result["auc_3"] == pytest.approx(2 / 6, abs=1e-4)
    # 4 at 0.5 over 1 at 0.9 and 0.2: one of two.
    assert result["auc_4v1"] == 0.5
    assert result["score_bdci"] == pytest.approx(1 / (1 + 4 / 5), abs=1e-4)
    assert result["spearman"] == pytest.approx((-0.5 + 1) / 2, abs=1e-4)
    assert result["needs"] == 2


def test_a_figure_that_the_judgements_do_not_allow_is_none() -> None:
    nothing = judged([need(1, 1, 2)], [floats(0.3, 0.2, 0.1)], None).figures
    assert {name for name, value in nothing.items() if value is None} == {
        *("ndcg10", "map", "auc_3", "auc_4v1", "score_bdci")
    }
    same = judged([need(4, 4)], [floats(0.2, 0.1)], None).figures
    assert same["auc_3"] is same["spearman"] is same["auc_4v1"] is None
    assert same["ndcg10"] == 1


def test_scores_that_are_all_the_same_have_no_rank_correlation() -> None:
    assert judged([need(4, 1)], [floats(0.5, 0.5)], None).figures["spearman"] is None


def test_needs_without_a_relevant_offer_do_not_count_for_the_order() -> None:
    with_none = judged([need(4, 1), need(2, 1)], [floats(1, 0), floats(0, 1)], None)
    assert with_none.figures["ndcg10"] == 1
    assert len(with_none.per_need) == 1
    assert with_none.figures["needs"] == 2


# ---------------------------------------------------------------- how sure


def test_the_same_figures_have_the_same_interval() -> None:
    values = np.random.default_rng(7).random(40)
    interval = bootstrap(values)
    assert interval is not None
    low, high = interval
    assert interval == bootstrap(values.copy())
    assert values.min() < low < values.mean() < high < values.max()


def test_more_needs_make_a_narrower_interval() -> None:
    few, many = (np.random.default_rng(7).random(number) for number in (10, 1000))
    narrow, wide = bootstrap(many), bootstrap(few)
    assert narrow is not None
    assert wide is not None
    assert np.diff(narrow) < np.diff(wide)


def test_one_need_has_no_interval() -> None:
    assert bootstrap(floats(0.5)) is None
    alone = judged([need(4, 1)], [floats(1, 0)], None)
    assert alone.interval is None
    assert paired_difference(alone, alone) is None


def test_two_rankings_are_compared_need_by_need() -> None:
    needs = [need(4, 1), need(3, 1), need(2, 4)]
    good = judged(needs, [floats(1, 0), floats(1, 0), floats(0, 1)], None)
    bad = judged(needs, [floats(0, 1), floats(1, 0), floats(0, 1)], None)
    difference = paired_difference(good, bad)
    assert difference is not None
    mean, low, high = difference
    assert mean == pytest.approx((1 - 1 / math.log2(3)) / 3, abs=1e-4)
    assert low == 0 < mean <= high
    assert paired_difference(good, good) == (0, 0, 0)


def test_levels_are_told_with_what_people_gave_them() -> None:
    result = judged([need(4, 3, 2, 1)], [floats(4, 3, 2, 1)], [integers([4, 4, 4, 1])])
    assert result.called == {4: (3, round(2 / 3, 4)), 1: (1, 0.0)}
    assert judged([need(4, 1)], [floats(1, 0)], None).called == {}


# ---------------------------------------------------------------- peers


def test_bm25_is_what_one_reckons_by_hand() -> None:
    score = okapi([["银耳", "烘干", "烘干"], ["石墨"], ["烘干"]])
    weight = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    length = 5 / 3
    expected = weight * 2 * 2.5 / (2 + 1.5 * (0.25 + 0.75 * 3 / length))
    first, second, third = score(["烘干", "没有"], integers([0, 1, 2]))
    assert first == pytest.approx(expected)
    assert second == 0
    assert third > 0
    assert score(["烘干"], integers([2, 0])).tolist() == [third, first]
    assert score([], integers([0, 1])).tolist() == [0, 0]


def test_the_ranker_is_evaluated_beside_bm25_and_the_model_alone(embedder: Embedder, tokenizer: Tokenizer) -> None:
    offers = [
        Offer("银耳热泵烘干技术", "采用热泵除湿，降低能耗。"),
        Offer("石墨高温提纯工艺", "高温除铁。"),
        Offer("核桃青皮脱除机"),
        Offer("香菇烘房改造", "热泵供热。"),
    ]
    made = [index_document(i, o.title, o.abstract, tokenizer=tokenizer) for i, o in enumerate(offers)]
    segment = segment_of(made, DIMENSION)
    needs = [
        JudgedNeed(("n1",), "银耳烘干", "热泵降低能耗。", {3: 3, 1: 1, 0: 4, 2: 1}),
        JudgedNeed(("n2",), "石墨除铁", "", {1: 4, 0: 1}),
    ]
    questions = [ask(embedder, tokenizer, each.title, each.text) for each in needs]
    pool = Pool(segment, statistics(segment))
    judgements = Judgements(needs, offers)
    result = evaluate(judgements, questions, pool, Ranker(ranker_weights()), tokenizer)
    assert result.keys() == {"ranker", "bm25", "model"}
    for each in result.values():
        assert each.figures.keys() == CONTRACT
        assert each.figures["ndcg10"] == 1
        assert each.figures["needs"] == 2
    # Only the ranker says levels.
    assert [each.figures["score_bdci"] is None for each in result.values()] == [False, True, True]
    again = evaluate(judgements, questions, pool, Ranker(ranker_weights()), tokenizer)
    assert {name: each.figures for name, each in again.items()} == {name: each.figures for name, each in result.items()}
