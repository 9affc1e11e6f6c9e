"""Judgements to weights: fits the ranker."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.errors import UntrainableJudgements
from matcher.features import FEATURES, Means, Question, compare
from matcher.judgements import JudgedNeed, Judgements, Pool
from matcher.memory import Memory, fit_memory
from matcher.rank import THRESHOLD_LEVELS, Ranker

# Inverse strength of the L2 penalty: scikit-learn's default, not tuned.
RANKER_C = 1.0
# Pairs of a need and an offer nobody judged, drawn at random and taken for unrelated: judged pools hold
# only what looked promising to somebody, and the ranker must also know what does not. With 10 the order
# within the pools got worse on the shared judgements.
RANDOM_PAIRS = 3
# Offers compared with each text that is none of the market's business.
NEAREST_PAIRS = 10
SEED = 20170710


@dataclass(frozen=True)
class TrainingSet:
    """Pairs with their levels.

    :param features: float32 (n, len(FEATURES)).
    :param levels: int64 (n,), 1 to 4.
    """

    features: NDArray[np.float32]
    levels: NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """Judgements with everything that fitting looks at, made once.

    :param needs: with their `questions`, one a need.
    :param off_topic: texts that nothing fits.
    :param pools: form of document (`matcher.rank.FORMS`) to the judged offers in that form: always
        ``titled``, and ``full`` where an abstract is known.
    """

    needs: Sequence[JudgedNeed]
    questions: Sequence[Question]
    off_topic: Sequence[Question]
    pools: Mapping[str, Pool]

    @property
    def pool(self) -> Pool:
        """The offers with all that is known of them."""
        return self.pools.get("full", self.pools["titled"])

    def some(self, rows: NDArray[np.int64]) -> Material:
        """The same offers with these needs only."""
        return replace(self, needs=[self.needs[i] for i in rows], questions=[self.questions[i] for i in rows])


def fit_ranker(material: Material, model: str, data: str, base: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Fit a ranker's weights.

    Offers with abstracts train both forms of documents, once with the abstract and once without. Offers
    that are titles only train that form; the other is taken from `base`, or made equal where there is none.

    :param data: for the card: which rows.
    :raises UntrainableJudgements: if all judgements give one level.
    """
    forms: dict[str, Any] = dict(base["forms"]) if base else {}
    for form, pool in material.pools.items():
        means = _means(material.questions, pool)
        pairs = ranking_pairs(material.needs, material.questions, pool, material.off_topic, means)
        forms[form] = {"means": {name: _numbers(mean) for name, mean in vars(means).items()}} | _fit(pairs, data)
    forms.setdefault("full", forms["titled"])
    return {"model": model, "features": list(FEATURES), "forms": forms}


def learn_memory(material: Material, ranker: Ranker) -> Memory:
    """Learn what was judged for each need, beside what the ranker says anyway."""
    pool = material.pool
    rows = [np.array(list(need.levels), np.int64) for need in material.needs]
    return fit_memory(
        material.questions,
        [np.asarray(pool.documents.title)[own] for own in rows],
        [np.array(list(need.levels.values()), np.int64) for need in material.needs],
        [
            ranker.compare(question, pool.documents.select(own), pool.statistics).probabilities
            for question, own in zip(material.questions, rows, strict=True)
        ],
        pool.statistics.title_mean,
    )


def card(judgements: Judgements, data: str, validation: Mapping[str, object] | None) -> dict[str, object]:
    """The data card of a ranker: which rows, when, and what it reached on needs that it had not seen."""
    return {
        "data": data,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rows": judgements.rows,
        "dropped": dict(judgements.dropped),
        "needs": len(judgements.needs),
        "pairs": judgements.pairs,
        "cross_validation": validation,
    }


def ranking_pairs(
    needs: Sequence[JudgedNeed],
    questions: Sequence[Question],
    pool: Pool,
    off_topic: Sequence[Question],
    means: Means,
) -> TrainingSet:
    """Compare each need with its judged offers and some random ones, and each off-topic text with the offers
    that look nearest to it; what nobody judged counts as unrelated.
    """
    generator = np.random.default_rng(SEED)
    features, levels = [], []
    body = np.asarray(pool.documents.body)
    for need, question in zip(needs, questions, strict=True):
        judged = np.array(list(need.levels), np.int64)
        others = np.setdiff1d(np.arange(len(pool.documents)), judged)
        drawn = generator.choice(others, min(RANDOM_PAIRS, len(others)), replace=False)
        rows = np.concatenate([judged, drawn]).astype(np.int64)
        features.append(compare(question, pool.documents.select(rows), pool.statistics, means))
        levels.append(np.concatenate([list(need.levels.values()), np.ones(len(drawn))]).astype(np.int64))
    for question in off_topic:
        rows = np.argsort(-(body @ question.body_vector), kind="stable")[:NEAREST_PAIRS]
        features.append(compare(question, pool.documents.select(rows), pool.statistics, means))
        levels.append(np.ones(len(rows), np.int64))
    return TrainingSet(np.concatenate(features), np.concatenate(levels))


def _means(questions: Sequence[Question], pool: Pool) -> Means:
    return Means(
        question_title=np.mean([question.title_vector for question in questions], axis=0),
        question_body=np.mean([question.body_vector for question in questions], axis=0),
        document_title=pool.statistics.title_mean,
        document_body=pool.statistics.body_mean,
    )


def _fit(pairs: TrainingSet, data: str) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(pairs.levels)) < 2:
        raise UntrainableJudgements("所有标注都是 1 级，没有高低之分，无法训练。请至少给出两种等级的标注。")
    middle, spread = pairs.features.mean(axis=0), pairs.features.std(axis=0) + 1e-9
    scaled = (pairs.features - middle) / spread
    coefficients, intercepts = [], []
    for level in THRESHOLD_LEVELS:
        reached = pairs.levels >= level
        if reached.any():  # never all: random pairs count as unrelated
            regression = LogisticRegression(C=RANKER_C, max_iter=1000).fit(scaled, reached)
            coefficients.append(regression.coef_[0])
            intercepts.append(regression.intercept_[0])
        else:  # nobody gave this level: the order is the next lower one's, the chance less than one pair in all
            coefficients.append(coefficients[-1])
            best = float((scaled @ coefficients[-1]).max())
            intercepts.append(min(intercepts[-1], -np.log(2 * len(reached)) - best))
    counts = np.bincount(pairs.levels, minlength=5)[1:]
    return {
        "middle": _numbers(middle),
        "spread": _numbers(spread),
        "coefficients": [_numbers(row) for row in coefficients],
        "intercepts": _numbers(np.array(intercepts)),
        "card": {
            "data": data,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "pairs_by_level": {str(level + 1): int(count) for level, count in enumerate(counts)},
        },
    }


def save(weights: dict[str, Any], path: Path) -> None:
    """Write weights as JSON, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(weights, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(path)


def _numbers(values: NDArray[Any]) -> list[float]:
    # Seven digits hold a float32.
    return [float(f"{value:.7g}") for value in values.tolist()]
