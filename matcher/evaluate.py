"""Judgements to figures: how good a ranking is, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matcher.features import FEATURES, Question
from matcher.judgements import JudgedNeed, Judgements, Pool
from matcher.rank import Ranker, predicted_levels
from matcher.text import Tokenizer

# Places that a person looks at.
DEPTH = 10
# A match worth a telephone call.
RELEVANT = 3
RESAMPLES = 1000
# Okapi constants as the common libraries set them; the peer is not tuned, and neither are we on these rows.
PEER_K1, PEER_B = 1.5, 0.75


@dataclass(frozen=True)
class Ranking:
    """One need's judged offers, ranked.

    :param scores: float64 (n,), higher is better, in the order of the need's levels.
    :param levels: int64 (n,), predicted; None for a ranking that predicts none.
    """

    scores: NDArray[np.float64]
    levels: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Evaluation:
    """Figures of one ranking.

    :param figures: the contract of ``matcher evaluate --json``; None where the judgements do not allow one.
    :param per_need: NDCG@10 of each need that has a relevant offer.
    :param interval: 95 % bootstrap interval of the mean NDCG@10, resampling needs; None for fewer than two.
    :param called: predicted level to (pairs, share of them that people gave level 3 or 4).
    """

    figures: Mapping[str, float | int | None]
    per_need: NDArray[np.float64]
    interval: tuple[float, float] | None
    called: Mapping[int, tuple[int, float]]


def evaluate(
    judgements: Judgements, questions: Sequence[Question], pool: Pool, ranker: Ranker, tokenizer: Tokenizer
) -> dict[str, Evaluation]:
    """Evaluate the ranker beside BM25 and the embedding model alone, on the same pairs.

    :returns: name (``ranker``, ``bm25``, ``model``) to figures.
    """
    found = rankings(judgements, questions, pool, ranker, tokenizer)
    return {name: figures(judgements.needs, [own[name] for own in found]) for name in found[0]}


def rankings(
    judgements: Judgements, questions: Sequence[Question], pool: Pool, ranker: Ranker, tokenizer: Tokenizer
) -> list[dict[str, Ranking]]:
    """For each need its judged offers ranked by the ranker, by BM25, and by the embedding model alone."""
    bm25 = okapi([tokenizer.terms(f"{offer.title}\n{offer.abstract}") for offer in judgements.offers])
    alone = FEATURES.index("body_cosine")
    found = []
    for need, question in zip(judgements.needs, questions, strict=True):
        rows = np.array(list(need.levels), np.int64)
        compared = ranker.compare(question, pool.documents.select(rows), pool.statistics)
        found.append(
            {
                "ranker": Ranking(compared.probabilities.mean(axis=1), predicted_levels(compared.probabilities)),
                "bm25": Ranking(bm25(tokenizer.terms(f"{question.title}\n{question.text}"), rows)),
                "model": Ranking(compared.features[:, alone].astype(np.float64)),
            }
        )
    return found


def figures(needs: Sequence[JudgedNeed], ranked: Sequence[Ranking]) -> Evaluation:
    """All figures of one ranking.

    ``ndcg10`` has gains ``2 ** (level - 1) - 1``; it, ``map`` and ``spearman`` are means over needs, the two
    areas under curves are over all pairs together, since a level means the same in every need.
    """
    from sklearn.metrics import average_precision_score

    levels = [np.array(list(need.levels.values())) for need in needs]
    scores = [own.scores for own in ranked]
    relevant = [i for i, own in enumerate(levels) if own.max() >= RELEVANT]
    per_need = np.array([ndcg(scores[i], levels[i]) for i in relevant])
    precision = [average_precision_score(levels[i] >= RELEVANT, scores[i]) for i in relevant]
    every, score = np.concatenate(levels), np.concatenate(scores)
    ends = (every == 4) | (every == 1)
    predicted = [own.levels for own in ranked if own.levels is not None]
    called = np.concatenate(predicted) if predicted else None
    error = np.abs(called - every).mean() if called is not None else None
    return Evaluation(
        {
            "ndcg10": _rounded(per_need.mean()) if len(per_need) else None,
            "map": _rounded(float(np.mean(precision))) if precision else None,
            "auc_3": _auc(every >= RELEVANT, score),
            "auc_4v1": _auc(every[ends] == 4, score[ends]),
            "spearman": _mean_spearman(levels, scores),
            "score_bdci": _rounded(1 / (1 + error)) if error is not None else None,
            "needs": len(needs),
        },
        per_need,
        bootstrap(per_need),
        _called(called, every) if called is not None else {},
    )


def paired_difference(one: Evaluation, other: Evaluation) -> tuple[float, float, float] | None:
    """Mean difference in NDCG@10 of two rankings of the same needs, with its 95 % bootstrap interval.

    None where fewer than two needs have a relevant offer.
    """
    difference = one.per_need - other.per_need
    interval = bootstrap(difference)
    return (_rounded(difference.mean()), *interval) if interval else None


def ndcg(scores: NDArray[np.float64], levels: NDArray[np.int64]) -> float:
    """NDCG@10 of one need (Järvelin & Kekäläinen 2002); ties keep the order of the judgements."""
    gains = 2.0 ** (levels - 1) - 1
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    order = np.argsort(-scores, kind="stable")[:DEPTH]
    ideal = np.sort(gains)[::-1][:DEPTH]
    return float((gains[order] * discounts[: len(order)]).sum() / (ideal * discounts[: len(ideal)]).sum())


def bootstrap(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """95 % percentile interval of the mean, with a fixed seed: the same rows give the same interval.

    None for fewer than two values.
    """
    if len(values) < 2:
        return None
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return _rounded(low), _rounded(high)


def okapi(
    documents: Sequence[Sequence[str]],
) -> Callable[[Sequence[str], NDArray[np.int64]], NDArray[np.float64]]:
    """Plain BM25 over words, as a user would have it from a library: scores of some documents for a question."""
    counts = [Counter(document) for document in documents]
    frequency = Counter(term for own in counts for term in own)
    length = np.mean([len(document) for document in documents]) or 1.0

    def score(terms: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        weights = {t: np.log1p((len(documents) - frequency[t] + 0.5) / (frequency[t] + 0.5)) for t in set(terms)}
        result = []
        for row in rows:
            damping = PEER_K1 * (1 - PEER_B + PEER_B * len(documents[row]) / length)
            own = counts[row]
            result.append(sum(w * own[t] * (PEER_K1 + 1) / (own[t] + damping) for t, w in weights.items() if t in own))
        return np.array(result, np.float64)

    return score


def _called(called: NDArray[np.int64], judged: NDArray[np.int64]) -> dict[int, tuple[int, float]]:
    own = {level: judged[called == level] for level in (4, 3, 2, 1)}
    return {level: (len(rows), _rounded((rows >= RELEVANT).mean())) for level, rows in own.items() if len(rows)}


def _auc(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float | None:
    from sklearn.metrics import roc_auc_score

    if positive.all() or not positive.any():
        return None
    return _rounded(roc_auc_score(positive, scores))


def _mean_spearman(levels: Sequence[NDArray[np.int64]], scores: Sequence[NDArray[np.float64]]) -> float | None:
    from scipy.stats import spearmanr

    values = [
        spearmanr(own, given).statistic
        for own, given in zip(levels, scores, strict=True)
        if len(np.unique(own)) > 1 and len(np.unique(given)) > 1
    ]
    return _rounded(float(np.mean(values))) if values else None


def _rounded(value: float) -> float:
    return round(float(value), 4)
