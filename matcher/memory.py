"""What people already judged for a need, carried over to the other offers of the same need.

Kernel ridge regression, one a need (the mean of a Gaussian process: Rasmussen & Williams 2006, section
2.2), on what is left of a judged level after the ranker's own estimate. Offers whose titles resemble ones
that were liked rise, those like ones that were refused fall. It speaks only for needs whose text was
judged: of any other it knows nothing. Holds hashes and vectors, never a text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matcher.errors import RankerMismatch
from matcher.features import Question
from matcher.programs import UNREADABLE, centre, read_arrays
from matcher.segments import Floats

FILE_NAME = "memory.npz"
# Under this name an explanation tells what a memory adds, beside the features.
REMEMBERED = "judgements"
# The kernel of two offers of one need: a constant, their titles' cosine c, and exp(SHARPNESS * (c - 1)).
# Chosen by leave-one-out error on the rows `stage1_train` of the shared judgements.
CONSTANT, LINEAR, RADIAL, SHARPNESS = 0.1, 0.5, 0.5, 3.0
# Variance of a judgement around its mean.
NOISE = 0.4


@dataclass(frozen=True)
class Remembered:
    """One need's judged offers.

    :param titles: float32 (n, d), centred; `weights` float64 (n,), the kernel's coefficients.
    """

    titles: Floats
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Memory:
    """Judged needs by the hash of their text.

    :param mean: float32 (d,), from which titles are seen.
    :param slopes: float64 (3,), what the ranker's log odds of reaching levels 2, 3, 4 count for a judged need;
        `gains` (3,) what a remembered level counts, `intercepts` (3,).
    """

    needs: Mapping[str, Remembered]
    mean: Floats
    slopes: NDArray[np.float64]
    gains: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def residual(self, question: Question, titles: Floats) -> NDArray[np.float64] | None:
        """How many levels above the ranker's estimate similar offers were judged: (n,); None for a need
        that was not.
        """
        own = self.needs.get(need_key(question))
        if own is None:
            return None
        return kernel(centre(np.asarray(titles), self.mean), own.titles) @ own.weights

    def corrected(self, logits: NDArray[np.float64], residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """The ranker's log odds (n, 3) with what is remembered: (n, 3)."""
        return logits * self.slopes + residual[:, None] * self.gains + self.intercepts

    def save(self, folder: Path) -> None:
        """Write ``memory.npz``, complete or not at all."""
        keys = sorted(self.needs)
        own = [self.needs[key] for key in keys]
        part = folder / f"{FILE_NAME}.part"
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                keys=np.array(keys),
                sizes=np.array([len(one.weights) for one in own]),
                titles=np.concatenate([one.titles for one in own]).astype(np.float16),
                weights=np.concatenate([one.weights for one in own]),
                **{name: getattr(self, name) for name in ("mean", "slopes", "gains", "intercepts")},
            )
        part.replace(folder / FILE_NAME)

    @classmethod
    def load(cls, folder: Path) -> Memory | None:
        """Read what `save` wrote; None where there is none.

        :raises RankerMismatch: if it cannot be read.
        """
        path = folder / FILE_NAME
        if not path.exists():
            return None
        try:
            stored = read_arrays(path)
            ends = np.cumsum(stored["sizes"])[:-1]
            titles = np.split(stored["titles"].astype(np.float32), ends)
            weights = np.split(stored["weights"], ends)
            keys = stored["keys"].tolist()
            needs = {key: Remembered(*own) for key, *own in zip(keys, titles, weights, strict=True)}
            return cls(needs, *(stored[name] for name in ("mean", "slopes", "gains", "intercepts")))
        except UNREADABLE as error:
            raise RankerMismatch(
                f"读不到已有标注的记忆 {path}（{type(error).__name__}）。请用 matcher train 重新训练，或删除该文件。"
            ) from error

    @staticmethod
    def remove(folder: Path) -> None:
        """Take an earlier memory away."""
        (folder / FILE_NAME).unlink(missing_ok=True)


def need_key(question: Question) -> str:
    """SHA-256 of a need's title and text."""
    return hashlib.sha256(f"{question.title}\0{question.text}".encode("utf-8", "replace")).hexdigest()


def kernel(one: Floats, other: Floats) -> NDArray[np.float64]:
    """Similarity of offers by their centred titles: float64 (len(one), len(other))."""
    cosines = (one @ other.T).astype(np.float64)
    return CONSTANT + LINEAR * cosines + RADIAL * np.exp(SHARPNESS * (cosines - 1))


def remember(titles: Floats, residuals: NDArray[np.float64]) -> tuple[Remembered, NDArray[np.float64]]:
    """Learn one need.

    :param titles: float32 (n, d), centred.
    :param residuals: judged levels less the ranker's estimates, (n,).
    :returns: the need's memory, and for each offer what the others would have said of it (leave-one-out;
        Rasmussen & Williams 2006, equation 5.12).
    """
    inverse = np.linalg.inv(kernel(titles, titles) + NOISE * np.eye(len(titles)))
    weights = inverse @ residuals
    return Remembered(titles, weights), residuals - weights / np.diag(inverse)


def fit_memory(
    questions: Sequence[Question],
    titles: Sequence[Floats],
    levels: Sequence[NDArray[np.int64]],
    probabilities: Sequence[NDArray[np.float64]],
    mean: Floats,
) -> Memory:
    """Learn the judged needs, and how much to trust what is remembered of one.

    :param titles: for each need its judged offers' title vectors (n, d), not centred; `levels` (n,) what they
        were given; `probabilities` (n, 3) what the ranker estimated.
    :param mean: float32 (d,), the collection's mean title.
    """
    from sklearn.linear_model import LogisticRegression

    needs, left_out = {}, []
    for question, vectors, judged, estimated in zip(questions, titles, levels, probabilities, strict=True):
        own, others = remember(centre(vectors, mean), judged - 1 - estimated.sum(axis=1))
        needs[need_key(question)] = own
        left_out.append(others)
    logits, remembered = log_odds(np.concatenate(probabilities)), np.concatenate(left_out)
    judged = np.concatenate(levels)
    slopes, gains, intercepts = np.ones(3), np.zeros(3), np.zeros(3)
    for place in range(3):
        reached = judged >= place + 2
        if reached.any() and not reached.all():
            model = LogisticRegression(max_iter=1000).fit(np.stack([logits[:, place], remembered], axis=1), reached)
            slopes[place], intercepts[place] = model.coef_[0, 0], model.intercept_[0]
            # Where few offers resemble each other the others err as a rule; a liking never counts against its own.
            gains[place] = max(0.0, model.coef_[0, 1])
    return Memory(needs, mean, slopes, gains, intercepts)


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds, kept finite."""
    bounded = np.clip(probabilities, 1e-6, 1 - 1e-6)
    result: NDArray[np.float64] = np.log(bounded / (1 - bounded))
    return result
