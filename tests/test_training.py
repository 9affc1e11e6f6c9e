from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matcher.embed import Embedder
from matcher.errors import UntrainableJudgements
from matcher.evaluate import evaluate
from matcher.features import FEATURES
from matcher.judgements import JudgedNeed, Judgements, Offer
from matcher.memory import need_key
from matcher.rank import FORMS, Ranker, predicted_levels
from matcher.text import Tokenizer
from matcher.training import NEAREST_PAIRS, RANDOM_PAIRS, Material, card, fit_ranker, learn_memory, ranking_pairs, save
from tests.fakes import DIMENSION, MEANS, judgements, material, ranker_weights

MODEL = f"fake:{DIMENSION}"


@pytest.fixture(scope="module")
def made(shared_embedder: Embedder, tokenizer: Tokenizer) -> Material:
    return material(judgements(), shared_embedder, tokenizer)


@pytest.fixture(scope="module")
def titled(shared_embedder: Embedder, tokenizer: Tokenizer) -> Material:
    """The same judgements with titles alone."""
    judged = judgements()
    bare = Judgements(judged.needs, [Offer(offer.title) for offer in judged.offers])
    return material(bare, shared_embedder, tokenizer)


@pytest.fixture(scope="module")
def weights(made: Material) -> dict[str, Any]:
    return fit_ranker(made, MODEL, "toy")


def estimated(weights: Mapping[str, Any], made: Material) -> np.ndarray:
    """Probabilities of every need's pairs with every offer: (needs * offers, 3)."""
    ranker, pool = Ranker(weights), made.pool
    return np.concatenate(
        [ranker.compare(question, pool.documents, pool.statistics).probabilities for question in made.questions]
    )


# ---------------------------------------------------------------- fitting


def test_a_ranker_learns_what_people_like(made: Material, weights: dict[str, Any], tokenizer: Tokenizer) -> None:
    result = evaluate(judgements(), made.questions, made.pool, Ranker(weights), tokenizer)["ranker"]
    assert result.figures["ndcg10"] == 1
    assert result.figures["score_bdci"] is not None
    assert result.figures["score_bdci"] > 0.8
    assert (weights["model"], weights["features"], tuple(sorted(weights["forms"]))) == (MODEL, list(FEATURES), FORMS)


def test_the_same_judgements_give_the_same_weights(made: Material, weights: dict[str, Any]) -> None:
    assert fit_ranker(made, MODEL, "toy") == weights


def test_weights_that_were_saved_rank_the_same(made: Material, weights: dict[str, Any], tmp_path: Path) -> None:
    save(weights, tmp_path / "new" / "ranker.json")
    assert json.loads((tmp_path / "new" / "ranker.json").read_text("utf-8")) == weights
    loaded = Ranker.load(tmp_path / "new", MODEL)
    assert np.array_equal(estimated(loaded.weights, made), estimated(weights, made))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["ranker.json"]


def test_the_form_s_card_counts_the_pairs_by_level(made: Material, weights: dict[str, Any]) -> None:
    given = Counter(level for need in made.needs for level in need.levels.values())
    unrelated = len(made.needs) * RANDOM_PAIRS + len(made.off_topic) * NEAREST_PAIRS
    expected = {"1": given[1] + unrelated, "2": given[2], "3": given[3], "4": given[4]}
    for form in weights["forms"].values():
        assert form["card"]["data"] == "toy"
        assert form["card"]["pairs_by_level"] == expected


@pytest.mark.parametrize(
    ("given", "missing"), [({4: 3}, [4]), ({4: 3, 3: 2}, [4]), ({4: 2, 3: 2}, [3, 4]), ({3: 4}, [])]
)
def test_a_level_that_nobody_gave_is_never_predicted(
    given: dict[int, int], missing: list[int], shared_embedder: Embedder, tokenizer: Tokenizer
) -> None:
    made = material(judgements(given), shared_embedder, tokenizer)
    probabilities = estimated(fit_ranker(made, MODEL, "toy"), made)
    for level in missing:
        assert probabilities[:, level - 2].max() < 0.05
    assert set(predicted_levels(probabilities).tolist()).isdisjoint(missing)
    # What was given is, and the order is learned all the same.
    assert predicted_levels(probabilities).max() == max({1, 2, 3, 4} - set(missing))


def test_a_level_between_that_nobody_gave_trains_too(shared_embedder: Embedder, tokenizer: Tokenizer) -> None:
    made = material(judgements({3: 1, 2: 1}), shared_embedder, tokenizer)
    levels = predicted_levels(estimated(fit_ranker(made, MODEL, "toy"), made))
    assert {1, 4} <= set(levels.tolist())


def test_judgements_that_are_all_one_cannot_be_learned_from(shared_embedder: Embedder, tokenizer: Tokenizer) -> None:
    made = material(judgements({2: 1, 3: 1, 4: 1}), shared_embedder, tokenizer)
    with pytest.raises(UntrainableJudgements, match="所有标注都是 1 级"):
        fit_ranker(made, MODEL, "toy")


def test_judgements_that_are_all_high_are_told_from_what_nobody_judged(
    shared_embedder: Embedder, tokenizer: Tokenizer
) -> None:
    made = material(judgements({1: 4, 2: 4, 3: 4}), shared_embedder, tokenizer)
    assert np.isfinite(estimated(fit_ranker(made, MODEL, "toy"), made)).all()


# ---------------------------------------------------------------- forms of documents


def test_offers_with_abstracts_train_both_forms(made: Material) -> None:
    forms = fit_ranker(made, MODEL, "toy", ranker_weights())["forms"]
    assert forms["full"] != forms["titled"]
    assert ranker_weights()["forms"]["full"] not in forms.values()


def test_offers_without_abstracts_leave_the_other_form_as_it_was(titled: Material) -> None:
    base = ranker_weights()
    forms = fit_ranker(titled, MODEL, "toy", base)["forms"]
    assert forms["full"] == base["forms"]["full"]
    assert forms["titled"] != base["forms"]["titled"]
    # What it started from stays what it was.
    assert base == ranker_weights()


def test_offers_without_abstracts_train_both_forms_where_there_was_nothing_before(titled: Material) -> None:
    forms = fit_ranker(titled, MODEL, "toy")["forms"]
    assert forms["full"] == forms["titled"]


def test_the_titled_form_is_the_same_with_and_without_abstracts(titled: Material, weights: dict[str, Any]) -> None:
    assert fit_ranker(titled, MODEL, "toy")["forms"]["titled"] == weights["forms"]["titled"]


def test_the_pool_is_the_offers_with_all_that_is_known_of_them(made: Material, titled: Material) -> None:
    assert made.pool is made.pools["full"]
    assert titled.pool is titled.pools["titled"]


def test_some_needs_keep_their_questions_and_all_offers(made: Material) -> None:
    some = made.some(np.array([4, 1]))
    assert [need.ids for need in some.needs] == [("n4",), ("n1",)]
    assert [question.title for question in some.questions] == [need.title for need in some.needs]
    assert some.pools is made.pools
    assert some.off_topic is made.off_topic


# ---------------------------------------------------------------- pairs


def test_judged_pairs_come_with_random_ones_and_off_topic_texts_that_nobody_judged(made: Material) -> None:
    pairs = ranking_pairs(made.needs[:1], made.questions[:1], made.pool, made.off_topic, MEANS)
    judged = list(made.needs[0].levels.values())
    unrelated = RANDOM_PAIRS + NEAREST_PAIRS * len(made.off_topic)
    assert pairs.levels.tolist() == judged + [1] * unrelated
    assert pairs.features.shape == (len(pairs.levels), len(FEATURES))


def test_a_need_whose_every_offer_was_judged_gets_no_random_ones(made: Material) -> None:
    count = len(made.pool.documents)
    need = JudgedNeed(("n",), "题", "文", dict.fromkeys(range(count), 2))
    pairs = ranking_pairs([need], made.questions[:1], made.pool, [], MEANS)
    assert pairs.levels.tolist() == [2] * count


# ---------------------------------------------------------------- memory and card


def test_every_judged_need_is_remembered_with_its_offers(made: Material, weights: dict[str, Any]) -> None:
    memory = learn_memory(made, Ranker(weights))
    assert {key: len(own.weights) for key, own in memory.needs.items()} == {
        need_key(question): len(need.levels) for need, question in zip(made.needs, made.questions, strict=True)
    }
    assert np.array_equal(memory.mean, made.pool.statistics.title_mean)


def test_a_memory_does_not_depend_on_the_order_of_the_judgements(made: Material, weights: dict[str, Any]) -> None:
    turned = [replace(need, levels=dict(reversed(list(need.levels.items())))) for need in made.needs]
    ranker = Ranker(weights)
    memory, again = (learn_memory(each, ranker) for each in (made, replace(made, needs=turned)))
    titles = np.asarray(made.pool.documents.title)
    for question in made.questions:
        assert memory.residual(question, titles) == pytest.approx(again.residual(question, titles), abs=1e-5)


def test_the_card_tells_which_rows_when_and_what_was_reached() -> None:
    judged = judgements()
    judged.dropped = Counter({"没有成果标题": 2})
    judged.rows = judged.pairs + 2
    told = card(judged, "judgements.csv", {"folds": 5})
    assert told == {
        "data": "judgements.csv",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rows": judged.pairs + 2,
        "dropped": {"没有成果标题": 2},
        "needs": 6,
        "pairs": judged.pairs,
        "cross_validation": {"folds": 5},
    }
    assert card(judged, "judgements.csv", None)["cross_validation"] is None
    json.dumps(told)
