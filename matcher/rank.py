"""Candidates to matches: scores, levels, one entry a family of near-duplicates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.errors import RankerMismatch
from matcher.features import FEATURES, Means, Pairs, Question, compare_pairs, has_abstract
from matcher.frequencies import Statistics
from matcher.memory import REMEMBERED, Memory, log_odds
from matcher.segments import Integers, Ragged, Segment

LEVEL_NAMES: Mapping[int, str] = {4: "强相关", 3: "较强相关", 2: "弱相关", 1: "无相关"}
LEVELS = (4, 3, 2, 1)
# The ranker estimates the probability of reaching each of these.
THRESHOLD_LEVELS = (2, 3, 4)
# Documents with an abstract, and those known by title alone.
FORMS = ("full", "titled")
# The median of the level's distribution is what has the least expected absolute error.
MEDIAN = 0.5
# Reciprocal rank fusion's usual constant (Cormack, Clarke & Büttcher 2009): it only decides which
# candidates are looked at closely, not their order.
FUSION_CONSTANT = 60
# Two documents are one family when the smaller has this share of its n-grams in the other, title
# vectors agreeing. Measured on the sample corpus: no two of its records share more than a third.
FAMILY_SHARE = 0.8
FAMILY_COSINE = 0.95
# Two texts of one owner are one family when titles and bodies are this near: 装置 beside 方法, one
# invention filed three times. Read off 8,047 pairs of real patents of one owner each: 42 pass, and from
# there down begin different inventions. For the embedded model's cosines.
SIBLING_TITLE_COSINE = 0.97
SIBLING_BODY_COSINE = 0.975
# N-grams are spread over at least so many buckets, and over this many for each n-gram of the longest
# document: chance then adds at most an eighth to a share.
FAMILY_BUCKETS = 4096
FAMILY_SPREAD = 8


@dataclass(frozen=True)
class Scored:
    """A candidate after ranking.

    :param score: 0 to 1, the mean probability of reaching levels 2, 3 and 4.
    :param contributions: feature to what it adds to the log odds, against an ordinary pair.
    :param variants: keys of near-duplicates that this entry stands for.
    """

    key: int
    score: float
    level: int
    contributions: Mapping[str, float]
    variants: tuple[int, ...] = ()


@dataclass(frozen=True)
class Regression:
    """Logistic regressions over `matcher.features.FEATURES`, one a level to reach.

    :param means: the middles from which it was fitted to see vectors.
    :param middle: float64 (f,), mean of each feature over ordinary pairs; `spread` their deviation.
    :param coefficients: float64 (3, f); `intercepts` float64 (3,).
    """

    means: Means
    middle: NDArray[np.float64]
    spread: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    @classmethod
    def of(cls, weights: Mapping[str, Any]) -> Regression:
        """Read what `matcher.training` wrote."""
        means = Means(**{name: np.array(mean, np.float32) for name, mean in weights["means"].items()})
        names = ("middle", "spread", "coefficients", "intercepts")
        return cls(means, *(np.array(weights[name], np.float64) for name in names))

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64 (n, 3): how likely each pair reaches levels 2, 3 and 4, falling along a row."""
        logits = ((features - self.middle) / self.spread) @ self.coefficients.T + self.intercepts
        return _falling(logits)

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64 (n, f): what each feature adds to the mean log odds, against an ordinary pair."""
        parts: NDArray[np.float64] = (features - self.middle) / self.spread * self.coefficients.mean(axis=0)
        return parts


@dataclass(frozen=True)
class Compared:
    """A question's pairs with n documents.

    :param features: float32 (n, f).
    :param probabilities: float64 (n, 3), of reaching levels 2, 3 and 4.
    :param contributions: float64 (n, f), what each feature adds to the mean log odds.
    :param remembered: float64 (n,), what earlier judgements of this need add; None where there are none.
    """

    features: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    contributions: NDArray[np.float64]
    remembered: NDArray[np.float64] | None


class Ranker:
    """Scores pairs. Documents known by title alone have regressions of their own.

    A title's vector and words spread otherwise than a whole text's: one set of weights for both would
    be wrong for either (measured: NDCG@10 on the sample corpus .74 with one, .92 with two).
    """

    def __init__(self, weights: Mapping[str, Any], memory: Memory | None = None) -> None:
        """:raises RankerMismatch: if the weights are for other features."""
        if weights.get("features") != list(FEATURES):
            raise RankerMismatch(
                "排序器是为另一组特征训练的，与当前程序版本不一致。"
                "请用 matcher train 重新训练，或取消 MATCHER_RANKER 设置。"
            )
        self.weights = weights
        self._memory = memory
        self._forms = {form: Regression.of(weights["forms"][form]) for form in FORMS}

    @classmethod
    def load(cls, folder: Path, fingerprint: str) -> Ranker:
        """Read a folder that `matcher train` wrote.

        :raises RankerMismatch: if it is none or damaged, or was made for another model or other features.
        """
        try:
            weights = json.loads((folder / "ranker.json").read_text("utf-8"))
            model = weights["model"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RankerMismatch(
                f"{folder} 不是排序器目录（读不到 ranker.json）。请检查 MATCHER_RANKER 或 --ranker。"
            ) from error
        if model != fingerprint:
            raise RankerMismatch(
                f"排序器 {folder} 是为模型 {model} 训练的，而当前模型是 {fingerprint}。请用 matcher train 重新训练。"
            )
        memory = Memory.load(folder)
        try:
            return cls(weights, memory)
        except (ValueError, KeyError, TypeError) as error:
            raise RankerMismatch(
                f"排序器 {folder} 已损坏（ranker.json 不完整）。请用 matcher train 重新训练。"
            ) from error

    @property
    def remembers(self) -> bool:
        """Whether it knows earlier judgements of some needs, by their texts."""
        return self._memory is not None

    def compare(self, question: Question, documents: Segment, statistics: Statistics) -> Compared:
        """Estimate a question's pairs with documents."""
        return self.compare_pairs([question], documents, Pairs.of_one(len(documents)), statistics)

    def compare_pairs(
        self, questions: Sequence[Question], documents: Segment, pairs: Pairs, statistics: Statistics
    ) -> Compared:
        """Estimate pairs of several questions with documents."""
        features = np.empty((len(pairs), len(FEATURES)), np.float32)
        probabilities = np.empty((len(pairs), len(THRESHOLD_LEVELS)))
        contributions = np.empty(features.shape)
        full = has_abstract(documents)[pairs.documents]
        for form, own in (("full", full), ("titled", ~full)):
            if own.any():
                regression = self._forms[form]
                features[own] = compare_pairs(questions, documents, pairs.some(own), statistics, regression.means)
                probabilities[own] = regression.probabilities(features[own])
                contributions[own] = regression.contributions(features[own])
        remembered = self._remember(questions, documents, pairs, probabilities) if self._memory else None
        return Compared(features, probabilities, contributions, remembered)

    def _remember(
        self, questions: Sequence[Question], documents: Segment, pairs: Pairs, probabilities: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Correct the probabilities of needs that were judged, in place: what that adds, or None for no such need."""
        assert self._memory
        added = None
        for place, question in enumerate(questions):
            own = np.flatnonzero(pairs.questions == place)
            residual = self._memory.residual(question, documents.title[pairs.documents[own]])
            if residual is not None:
                probabilities[own] = _falling(self._memory.corrected(log_odds(probabilities[own]), residual))
                added = np.zeros(len(pairs)) if added is None else added
                added[own] = residual * self._memory.gains.mean()
        return added

    def score(
        self,
        question: Question,
        documents: Segment,
        statistics: Statistics,
        min_level: int = 1,
        limit: int | None = None,
    ) -> list[Scored]:
        """Rank documents for a question, best first; ties in the order of keys.

        :param min_level: documents of a lower level are left out.
        :param limit: at most so many.
        """
        pairs = Pairs.of_one(len(documents))
        return self.score_pairs([question], documents, pairs, statistics, [min_level], [limit])[0]

    def score_pairs(
        self,
        questions: Sequence[Question],
        documents: Segment,
        pairs: Pairs,
        statistics: Statistics,
        least: Sequence[int],
        limits: Sequence[int | None],
    ) -> list[list[Scored]]:
        """Rank for each of several questions the documents that it is paired with, as `score` does.

        :param least: for each question the lowest level; `limits` how many at most.
        """
        compared = self.compare_pairs(questions, documents, pairs, statistics)
        return _ordered(compared, documents.keys[pairs.documents], pairs.questions, least, limits)

    def score_needs(
        self,
        offer: Segment,
        needs: Sequence[Question],
        documents: Segment,
        statistics: Statistics,
        min_level: int = 1,
        limit: int | None = None,
    ) -> list[Scored]:
        """Rank needs for an offer, as `score` does offers for a need: whoever asks, the need is what is answered.

        :param offer: one document.
        :param needs: `documents` as questions, in the same order.
        """
        turned = Pairs(np.arange(len(needs)), np.zeros(len(needs), np.int64))
        compared = self.compare_pairs(needs, offer, turned, statistics)
        return _ordered(compared, documents.keys, turned.documents, [min_level], [limit])[0]


def _ordered(
    compared: Compared, found: Integers, askers: Integers, least: Sequence[int], limits: Sequence[int | None]
) -> list[list[Scored]]:
    """The best pairs of each that asks.

    :param found: int64 (p,), what each pair found; `askers` int64 (p,), who asked.
    """
    names, parts = list(FEATURES), compared.contributions
    if compared.remembered is not None:
        names, parts = [*names, REMEMBERED], np.column_stack([parts, compared.remembered])
    levels, scores = predicted_levels(compared.probabilities), compared.probabilities.mean(axis=1)
    return [
        [
            Scored(key, score, level, dict(zip(names, own_parts, strict=True)))
            for key, score, level, own_parts in zip(
                found[own].tolist(),
                scores[own].tolist(),
                levels[own].tolist(),
                np.round(parts[own], 3).tolist(),
                strict=True,
            )
        ]
        for own in best_pairs(levels, scores, found, askers, least, limits)
    ]


def best_pairs(
    levels: Integers,
    scores: NDArray[np.float64],
    found: Integers,
    askers: Integers,
    least: Sequence[int],
    limits: Sequence[int | None],
) -> list[Integers]:
    """For each that asks the places of its best pairs, best first; ties in the order of keys.

    :param least: for each that asks the lowest level; `limits` how many at most.
    """
    good = np.flatnonzero(levels >= np.array(least)[askers])
    order = good[np.lexsort((found[good], -scores[good], askers[good]))]
    bounds = np.searchsorted(askers[order], np.arange(len(least) + 1))
    return [order[start:stop][:limit] for (start, stop), limit in zip(pairwise(bounds), limits, strict=True)]


def _falling(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities that a higher level never is likelier than a lower one, (n, 3)."""
    return np.minimum.accumulate(1 / (1 + np.exp(-logits)), axis=1)


def predicted_levels(probabilities: NDArray[np.float64]) -> Integers:
    """The median level of each row of `Regression.probabilities`: int64 (n,)."""
    levels: Integers = 1 + (probabilities >= MEDIAN).sum(axis=1)
    return levels


def fuse(rankings: Mapping[str, Integers], limit: int | None) -> Integers:
    """The candidates of several engines by reciprocal rank fusion, at most `limit` keys."""
    found = list(rankings.values())
    if not found:
        return np.empty(0, np.int64)
    keys, places = np.unique(np.concatenate(found), return_inverse=True)
    gains = np.concatenate([1 / (FUSION_CONSTANT + np.arange(len(ranking))) for ranking in found])
    scores = np.bincount(places, gains, minlength=len(keys))
    best: Integers = keys[np.lexsort((keys, -scores))[:limit]]
    return best


def fold(scored: Sequence[Scored], documents: Segment, owners: Mapping[int, str | None]) -> list[Scored]:
    """Leave one entry a family of near-duplicates: the best placed, which names the others.

    Of one family are texts that are nearly the same, whoever sent them, and inventions of one owner that
    differ in a word or two: an application and its grant, a method and its device.

    :param documents: of all that is scored, in any order.
    :param owners: key to the owner's id.
    """
    if len(scored) < 2:
        return list(scored)
    by_key = np.argsort(documents.keys, kind="stable")
    wanted = np.array([item.key for item in scored])
    rows = by_key[np.searchsorted(documents.keys, wanted, sorter=by_key)]
    titles = documents.title[rows]
    cosines = titles @ titles.T
    if np.triu(cosines, 1).max() < FAMILY_COSINE:  # as a rule
        return list(scored)
    names = np.array([owners.get(item.key) or f"unknown {item.key}" for item in scored])
    alike = (_share_grams(documents, rows) >= FAMILY_SHARE) & (cosines >= FAMILY_COSINE)
    bodies = documents.body[rows]
    siblings = (cosines >= SIBLING_TITLE_COSINE) & (bodies @ bodies.T >= SIBLING_BODY_COSINE)
    alike |= siblings & (names[:, None] == names)
    kept: list[int] = []
    variants: dict[int, list[int]] = {}
    for i in range(len(scored)):
        head = next((j for j in kept if alike[i, j]), None)
        if head is None:
            kept.append(i)
        else:
            variants.setdefault(head, []).append(scored[i].key)
    return [
        Scored(item.key, item.score, item.level, item.contributions, tuple(variants.get(i, ())))
        for i, item in ((i, scored[i]) for i in kept)
    ]


def _share_grams(documents: Segment, rows: Integers) -> NDArray[np.float32]:
    """Shared n-grams of each pair over the smaller of the two sets, by hash: float32 (n, n)."""
    positions, owner = Ragged(documents.gram_offsets, documents.grams).take(rows)
    longest = int(np.bincount(owner, minlength=1).max())
    buckets = max(FAMILY_BUCKETS, 1 << (FAMILY_SPREAD * longest - 1).bit_length())
    table = np.zeros((len(rows), buckets), np.float32)
    table[owner, documents.grams[positions] % buckets] = 1
    sizes = table.sum(axis=1)
    shares: NDArray[np.float32] = (table @ table.T) / np.maximum(np.minimum.outer(sizes, sizes), 1)
    return shares
