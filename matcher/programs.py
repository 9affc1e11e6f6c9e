"""The seven transfer programmes and the tagger that says which of them a text belongs to, if any."""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.embed import Embedder
from matcher.errors import RankerMismatch
from matcher.records import PROGRAMME_CODES, PROGRAMME_NAMES
from matcher.segments import Floats
from matcher.text import Tokenizer, domain_terms

# What speaks for one programme besides the text's vector, in this order.
EVIDENCE = ("topic_cosine", "rival_cosine", "term_share", "term_count", "ipc", "industry")
# A text's terms of a programme beyond these add nothing to the count.
TERM_CEILING = 8
SHOWN_TERMS = 6


@dataclass(frozen=True)
class Programme:
    """One programme as `corpus/programmes.toml` defines it.

    :param ipc: prefixes of IPC symbols; `industries` are parts of GB/T 4754 names.
    """

    code: str
    name: str
    definition: str
    topics: tuple[str, ...]
    ipc: tuple[str, ...]
    industries: tuple[str, ...]


@dataclass(frozen=True)
class Tag:
    """One programme that a text belongs to.

    :param score: the estimated probability.
    :param terms: the programme's terms in the text, those that decided; `topic` is its nearest topic.
    """

    code: str
    name: str
    score: float
    terms: tuple[str, ...]
    topic: str


@dataclass(frozen=True)
class TaggedText:
    """What the tagger looks at.

    :param vector: float32 (d,), of the whole text.
    :param terms: as `matcher.text.Tokenizer.terms` gives them.
    """

    vector: Floats
    terms: Sequence[str]
    ipc: Sequence[str] = ()
    industry: str | None = None


@functools.cache
def programmes() -> tuple[Programme, ...]:
    """The programmes in the order of the policy."""
    content = tomllib.loads((resources.files("corpus") / "programmes.toml").read_text("utf-8"))
    rows = [
        Programme(
            row["code"],
            row["name"],
            row["definition"],
            topics=tuple(row["topics"]),
            ipc=tuple(row["ipc"]),
            industries=tuple(row["industries"]),
        )
        for row in content["programme"]
    ]
    if {row.code: row.name for row in rows} != PROGRAMME_NAMES:
        raise ValueError("corpus/programmes.toml and matcher.records.PROGRAMME_NAMES differ")
    return tuple(rows)


class Evidence:
    """Turns texts into the tagger's features."""

    def __init__(self, embedder: Embedder, tokenizer: Tokenizer, mean: Floats) -> None:
        self.mean = mean
        topics = [(place, topic) for place, p in enumerate(programmes()) for topic in (p.definition, *p.topics)]
        self._owner = np.array([place for place, _ in topics])
        self.topics = [topic for _, topic in topics]
        self._vectors = centre(embedder.documents(self.topics), mean)
        self._terms = [domain_terms()[p.code] | self._phrase_terms(p, tokenizer) for p in programmes()]

    @staticmethod
    def _phrase_terms(programme: Programme, tokenizer: Tokenizer) -> set[str]:
        return {term for topic in programme.topics for term in tokenizer.terms(topic) if len(term) > 1}

    def hits(self, text: TaggedText) -> list[list[str]]:
        """For each programme its terms in the text, longest first."""
        present = dict.fromkeys(text.terms)
        found = [[term for term in present if term in own] for own in self._terms]
        return [sorted(terms, key=len, reverse=True) for terms in found]

    def nearest_topic(self, text: TaggedText, place: int) -> str:
        """The topic of a programme that the text is nearest to."""
        own = np.flatnonzero(self._owner == place)[1:]
        cosines: Floats = self._vectors[own] @ centre(text.vector[None], self.mean)[0]
        return str(self.topics[own[int(np.argmax(cosines))]])

    def features(self, text: TaggedText) -> NDArray[np.float32]:
        """One row a programme: float32 (7, d + len(EVIDENCE)), the centred vector first."""
        vector = centre(text.vector[None], self.mean)[0]
        cosines = self._vectors @ vector
        best = np.array([cosines[self._owner == place].max() for place in range(len(PROGRAMME_CODES))])
        rows = []
        hits = self.hits(text)
        total = max(1, len({term for terms in hits for term in terms}))
        for place, programme in enumerate(programmes()):
            rivals = np.delete(best, place).max()
            evidence = [
                best[place],
                best[place] - rivals,
                len(hits[place]) / total,
                min(len(hits[place]), TERM_CEILING) / TERM_CEILING,
                _share(text.ipc, programme.ipc),
                _named(text.industry, programme.industries),
            ]
            rows.append(np.concatenate([vector, evidence]))
        return np.array(rows, np.float32)


class Tagger:
    """Multi-label tags over the seven programmes; an empty list is an answer."""

    def __init__(self, evidence: Evidence, weights: Mapping[str, Any]) -> None:
        """:raises RankerMismatch: if the weights are for other features."""
        self.evidence = evidence
        self._coefficients = np.array(weights["coefficients"], np.float32)
        self._intercepts = np.array(weights["intercepts"], np.float32)
        self._thresholds = np.array(weights["thresholds"], np.float32)
        if list(weights["evidence"]) != list(EVIDENCE) or self._coefficients.shape[1] != len(evidence.mean) + len(
            EVIDENCE
        ):
            raise RankerMismatch("专项标注器的权重与当前程序的特征不一致。请用 matcher train 重新训练。")

    @classmethod
    def load(cls, path: Path, embedder: Embedder, tokenizer: Tokenizer) -> Tagger:
        """Read the weights that `matcher.training` wrote.

        :raises RankerMismatch: if they were made for another model.
        """
        weights = json.loads(path.read_text("utf-8"))
        if weights["model"] != embedder.fingerprint:
            raise RankerMismatch(f"专项标注器 {path} 是为另一个模型训练的。请用 matcher train 重新训练。")
        return cls(Evidence(embedder, tokenizer, np.array(weights["mean"], np.float32)), weights)

    def probabilities(self, text: TaggedText) -> NDArray[np.float64]:
        """float64 (7,): how likely the text belongs to each programme."""
        logits = (self.evidence.features(text) * self._coefficients).sum(axis=1) + self._intercepts
        result: NDArray[np.float64] = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return result

    def tag(self, text: TaggedText) -> list[Tag]:
        """The programmes whose probability passes their threshold, most likely first."""
        scores = self.probabilities(text)
        hits = self.evidence.hits(text)
        tags = [
            Tag(
                p.code,
                p.name,
                round(float(scores[i]), 4),
                tuple(hits[i][:SHOWN_TERMS]),
                self.evidence.nearest_topic(text, i),
            )
            for i, p in enumerate(programmes())
            if scores[i] >= self._thresholds[i]
        ]
        return sorted(tags, key=lambda tag: -tag.score)


def centre(vectors: Floats, mean: Floats) -> Floats:
    """Vectors seen from `mean`, at unit length again: float32, same shape."""
    centred = vectors - mean
    result: Floats = centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-6)
    return result


def _share(symbols: Sequence[str], prefixes: Sequence[str]) -> float:
    """Share of IPC symbols under one of the prefixes, minus a half; 0 where there are no symbols."""
    if not symbols:
        return 0.0
    return sum(symbol.replace(" ", "").startswith(tuple(prefixes)) for symbol in symbols) / len(symbols) - 0.5


def _named(industry: str | None, parts: Sequence[str]) -> float:
    """Half if the industry's name has one of the parts, minus a half if not, 0 where none is given."""
    if not industry:
        return 0.0
    return 0.5 if any(part in industry for part in parts) else -0.5
