"""Judgements to weights: fits the ranker and the programme tagger."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.errors import UntrainableJudgements
from matcher.features import FEATURES, Means, Question, compare
from matcher.judgements import JudgedNeed, Judgements, Offer, Pool
from matcher.programs import EVIDENCE, Evidence, TaggedText
from matcher.rank import THRESHOLD_LEVELS
from matcher.records import PROGRAMME_CODES

# Inverse strength of the L2 penalty. The ranker's is scikit-learn's default, not tuned. The tagger has
# hundreds of features and hundreds of records: with 1 micro-F1 is within .003 of the best of 0.3, 1, 3, 10
# in five-fold cross-validation on the sample corpus.
RANKER_C = 1.0
TAGGER_C = 1.0
# The vector's 384 coordinates are small beside the evidence; doubled they weigh alike (same validation).
VECTOR_SCALE = 2.0
# One threshold for all programmes, best micro-F1 of 0.30 to 0.50 in the same validation.
TAGGER_THRESHOLD = 0.35
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


def fit_ranker(
    judgements: Judgements,
    questions: Sequence[Question],
    off_topic: Sequence[Question],
    build: Callable[[Sequence[Offer]], Pool],
    model: str,
    data: str,
    base: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Fit a ranker's weights.

    Offers with abstracts train both forms of documents, once with the abstract and once without. Offers
    that are titles only train that form; the other is taken from `base`, or made equal where there is none.

    :param questions: one a need; `off_topic` are texts that nothing fits.
    :param build: makes a pool of offers.
    :param data: for the card: which rows.
    """
    forms: dict[str, Any] = dict(base["forms"]) if base else {}
    pools = {"titled": build([Offer(offer.title) for offer in judgements.offers])}
    if any(offer.abstract for offer in judgements.offers):
        pools["full"] = build(judgements.offers)
    for form, pool in pools.items():
        means = _means(questions, pool)
        pairs = ranking_pairs(judgements.needs, questions, pool, off_topic, means)
        forms[form] = {"means": {name: _numbers(mean) for name, mean in vars(means).items()}} | _fit(pairs, data)
    forms.setdefault("full", forms["titled"])
    return {"model": model, "features": list(FEATURES), "forms": forms}


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

    middle, spread = pairs.features.mean(axis=0), pairs.features.std(axis=0) + 1e-9
    scaled = (pairs.features - middle) / spread
    coefficients, intercepts = [], []
    for level in THRESHOLD_LEVELS:
        reached = pairs.levels >= level
        if reached.all() or not reached.any():
            raise UntrainableJudgements(
                f"标注中{'没有' if not reached.any() else '只有'}等级不低于 {level} 的成果，无法训练。"
                "四个等级都需要有标注。"
            )
        regression = LogisticRegression(C=RANKER_C, max_iter=1000).fit(scaled, reached)
        coefficients.append(regression.coef_[0])
        intercepts.append(regression.intercept_[0])
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


def fit_tagger(
    texts: Sequence[TaggedText], labels: NDArray[np.bool_], evidence: Evidence, model: str, data: str
) -> dict[str, Any]:
    """Fit the tagger's weights.

    :param labels: (n, 7), which programmes each text belongs to.
    """
    from sklearn.linear_model import LogisticRegression

    scale = np.ones(len(evidence.mean) + len(EVIDENCE))
    scale[: len(evidence.mean)] = VECTOR_SCALE
    features = np.stack([evidence.features(text) for text in texts]) * scale
    coefficients, intercepts = [], []
    for place in range(len(PROGRAMME_CODES)):
        model_ = LogisticRegression(C=TAGGER_C, max_iter=2000).fit(features[:, place], labels[:, place])
        coefficients.append(model_.coef_[0] * scale)
        intercepts.append(model_.intercept_[0])
    return {
        "model": model,
        "evidence": list(EVIDENCE),
        "mean": _numbers(evidence.mean),
        "coefficients": [_numbers(row) for row in coefficients],
        "intercepts": _numbers(np.array(intercepts)),
        "thresholds": [TAGGER_THRESHOLD] * len(PROGRAMME_CODES),
        "card": {
            "data": data,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "records": len(texts),
            "records_by_programme": dict(zip(PROGRAMME_CODES, labels.sum(axis=0).tolist(), strict=True)),
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
