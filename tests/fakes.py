"""Stand-ins that the tests share: an encoder that needs no model, and a ranker that was never trained."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.documents import IndexDocument
from matcher.embed import Side
from matcher.features import FEATURES, Means
from matcher.frequencies import Statistics, statistics_of
from matcher.records import Kind, Visibility, embedded_text
from matcher.segments import Segment
from matcher.text import Tokenizer, char_ngrams

DIMENSION = 64
# The fake encoder's vectors spread around zero as they are.
MEANS = Means(*[np.zeros(DIMENSION, np.float32)] * 4)


class FakeEncoder:
    """Hashes character n-grams into a unit vector: texts that share pieces are near each other."""

    def __init__(self, dimension: int = DIMENSION) -> None:
        self.dimension = dimension
        self.fingerprint = f"fake:{dimension}"
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        self.encoded += texts
        return np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self.dimension)

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self.dimension, np.float32)
        for gram in char_ngrams(text, (1, 2)):
            digest = zlib.crc32(gram.encode())
            vector[digest % self.dimension] += 1 if digest >> 31 else -1
        if not vector.any():
            vector[0] = 1
        unit: NDArray[np.float32] = vector / np.linalg.norm(vector)
        return unit


def index_document(
    key: int,
    title: str,
    abstract: str = "",
    *,
    kind: Kind = "achievement",
    programmes: tuple[str, ...] = (),
    province: str | None = None,
    visibility: Visibility = "public",
    tokenizer: Tokenizer | None = None,
) -> IndexDocument:
    """A document as the engine would make it, with the fake encoder's vectors.

    Without a tokenizer its terms are the words between blanks.
    """
    vectors = FakeEncoder().encode([title, embedded_text(title, abstract)], "document")
    terms = tokenizer.terms if tokenizer else str.split
    return IndexDocument(
        key=key,
        kind=kind,
        programmes=programmes,
        province=province,
        visibility=visibility,
        title_vector=vectors[0],
        body_vector=vectors[1],
        title=title,
        abstract=abstract,
        title_terms=terms(title),
        body_terms=terms(abstract),
    )


def statistics(*segments: Segment) -> Statistics:
    """Statistics of all documents of some segments."""
    return statistics_of([(segment, np.ones(len(segment), np.bool_)) for segment in segments], DIMENSION)


def ranker_weights() -> dict[str, Any]:
    """Weights of a ranker in which every feature speaks for a match, and levels are ever harder to reach."""
    form = {
        "means": {name: mean.tolist() for name, mean in vars(MEANS).items()},
        "middle": [0.2] * len(FEATURES),
        "spread": [0.2] * len(FEATURES),
        "coefficients": [[0.5] * len(FEATURES)] * 3,
        "intercepts": [0.0, -1.0, -2.0],
    }
    return {
        "model": f"fake:{DIMENSION}",
        "features": list(FEATURES),
        "forms": {"full": form, "titled": form},
    }
