from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matcher import validate
from matcher.embed import Embedder
from matcher.evaluate import evaluate, rankings
from matcher.judgements import Judgements
from matcher.rank import Ranker
from matcher.text import Tokenizer
from matcher.training import Material, fit_ranker
from matcher.validate import FOLDS, Validation, cross_validate
from tests.fakes import judgements, material, ranker_weights

FIGURES = {"ndcg10", "map", "auc_3", "auc_4v1", "spearman", "score_bdci", "needs"}


@pytest.fixture(scope="module")
def made(shared_embedder: Embedder, tokenizer: Tokenizer) -> Material:
    return material(judgements(), shared_embedder, tokenizer)


@pytest.fixture(scope="module")
def found(made: Material, tokenizer: Tokenizer) -> Validation:
    validation = cross_validate(made, judgements(), tokenizer)
    assert validation
    return validation


def test_every_need_is_ranked_once_by_a_ranker_that_never_saw_it(
    made: Material, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[list[str]] = []
    ranked: list[tuple[list[str], list[str]]] = []

    def spied_fit(material: Material, *rest: Any) -> dict[str, Any]:
        learned.append([question.title for question in material.questions])
        assert [need.title for need in material.needs] == learned[-1]
        return fit_ranker(material, *rest)

    def spied_rank(judged: Judgements, questions: Any, *rest: Any) -> Any:
        ranked.append((learned[-1], [question.title for question in questions]))
        assert [need.title for need in judged.needs] == ranked[-1][1]
        return rankings(judged, questions, *rest)

    monkeypatch.setattr(validate, "fit_ranker", spied_fit)
    monkeypatch.setattr(validate, "rankings", spied_rank)
    assert cross_validate(made, judgements(), tokenizer)
    everyone = sorted(need.title for need in made.needs)
    assert len(learned) == len(ranked) == FOLDS
    for train, test in ranked:
        assert not set(train) & set(test)
        assert sorted(train + test) == everyone
    assert sorted(title for _, test in ranked for title in test) == everyone


def test_figures_belong_to_the_need_that_they_were_found_for(
    made: Material, found: Validation, tokenizer: Tokenizer
) -> None:
    # BM25 learns nothing: by folds or all at once, need by need it is the same.
    once = evaluate(judgements(), made.questions, made.pool, Ranker(ranker_weights()), tokenizer)["bm25"]
    assert len(set(once.per_need.tolist())) > 1
    assert np.array_equal(found.results["bm25"].per_need, once.per_need)
    assert found.results["bm25"].figures == once.figures


def test_the_figures_are_those_of_an_evaluation(made: Material, found: Validation) -> None:
    assert found.results.keys() == {"ranker", "bm25", "model"}
    for each in found.results.values():
        assert each.figures.keys() == FIGURES
        assert each.figures["needs"] == len(made.needs)
    ours = found.results["ranker"]
    # The toy is easy: what holds for five of its things holds for the sixth.
    assert ours.figures["ndcg10"] == pytest.approx(1, abs=0.05)
    assert sum(pairs for pairs, _ in ours.called.values()) == judgements().pairs


def test_the_card_can_be_written_down(made: Material, found: Validation) -> None:
    told: Any = json.loads(json.dumps(found.card()))
    ours = found.results["ranker"]
    assert told["folds"] == FOLDS
    assert told["needs"] == len(made.needs)
    assert told["figures"] == ours.figures
    assert ours.interval is not None
    assert told["interval"] == list(ours.interval)
    assert told["called"] == {str(level): list(own) for level, own in ours.called.items()}
    assert told["peers"] == {name: found.results[name].figures["ndcg10"] for name in ("bm25", "model")}


def test_the_same_judgements_give_the_same_figures(made: Material, found: Validation, tokenizer: Tokenizer) -> None:
    again = cross_validate(made, judgements(), tokenizer)
    assert again
    assert again.card() == found.card()


def test_fewer_needs_than_folds_are_not_validated(made: Material, tokenizer: Tokenizer) -> None:
    few = made.some(np.arange(FOLDS - 1))
    assert cross_validate(few, replace(judgements(), needs=list(few.needs)), tokenizer) is None
    enough = made.some(np.arange(FOLDS))
    found = cross_validate(enough, replace(judgements(), needs=list(enough.needs)), tokenizer)
    assert found
    assert found.results["ranker"].figures["needs"] == FOLDS


def test_judgements_of_which_four_fifths_are_all_one_are_not_validated(
    made: Material, shared_embedder: Embedder, tokenizer: Tokenizer
) -> None:
    nothing = judgements({2: 1, 3: 1, 4: 1})
    assert cross_validate(material(nothing, shared_embedder, tokenizer), nothing, tokenizer) is None
    # One need alone tells high from low: all of it can be learned from, but not what is left without that need.
    alone = replace(nothing, needs=[judgements().needs[0], *nothing.needs[1:]])
    made = replace(made, needs=alone.needs)
    assert fit_ranker(made, "m", "d")
    assert cross_validate(made, alone, tokenizer) is None
