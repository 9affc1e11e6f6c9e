"""The seven transfer programmes and the tagger that says which of them a text belongs to, if any."""

from __future__ import annotations

import functools
import tomllib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.embed import Embedder
from matcher.errors import RankerMismatch
from matcher.ipc import falls_under
from matcher.records import PROGRAMME_CODES, PROGRAMME_NAMES
from matcher.segments import Floats
from matcher.text import Tokenizer, domain_terms

# What speaks for one programme besides the text's vector, in this order.
EVIDENCE = ("topic_cosine", "rival_cosine", "term_share", "term_count")
# What a record may be filed under elsewhere; most texts are not.
FILINGS = ("ipc", "industry")
# A text's terms of a programme beyond these add nothing to the count.
TERM_CEILING = 8
SHOWN_TERMS = 6
# What numpy and zipfile raise for a file that is damaged or none of ours.
UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Programme:
    """One programme as `corpus/programmes.toml` defines it.

    :param ipc: IPC symbols, of which all that lie under them count; `industries` are parts of GB/T 4754 names.
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
        self._starts = np.searchsorted(self._owner, np.arange(len(PROGRAMME_CODES)))
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
        """float32 (d + 7 * len(EVIDENCE),): the centred vector, then the evidence programme by programme."""
        vector = centre(text.vector[None], self.mean)[0]
        cosines = self._vectors @ vector
        best = np.maximum.reduceat(cosines, self._starts)
        second, first = np.sort(best)[-2:]
        hits = self.hits(text)
        total = max(1, len({term for terms in hits for term in terms}))
        evidence = [
            (
                best[place],
                best[place] - (second if best[place] == first else first),
                len(hits[place]) / total,
                min(len(hits[place]), TERM_CEILING) / TERM_CEILING,
            )
            for place in range(len(PROGRAMME_CODES))
        ]
        return np.concatenate([vector, np.ravel(evidence)]).astype(np.float32)

    def filings(self, text: TaggedText) -> NDArray[np.float32]:
        """float32 (7, len(FILINGS)): half where a programme's IPC prefixes or industries fit, minus half where
        they do not, 0 where the record has none.
        """
        rows = [(_share(text.ipc, p.ipc), _named(text.industry, p.industries)) for p in programmes()]
        return np.array(rows, np.float32)


class Tagger:
    """Multi-label tags over the seven programmes; an empty list is an answer."""

    def __init__(self, evidence: Evidence, weights: Mapping[str, NDArray[Any]]) -> None:
        """:param weights: as `matcher.tagging.fit_tagger` makes them.

        :raises RankerMismatch: if they are for other features.
        """
        self.evidence = evidence
        self._weights = weights
        self._hidden = weights["hidden"].astype(np.float32)  # kept in half precision
        width = len(evidence.mean) + len(PROGRAMME_CODES) * len(EVIDENCE)
        if weights["hidden"].shape[1] != width or weights["filings"].shape != (len(FILINGS),):
            raise RankerMismatch("专项标注器的权重与当前程序的特征不一致。请用 matcher train 重新训练。")

    @classmethod
    def load(cls, path: Path, embedder: Embedder, tokenizer: Tokenizer) -> Tagger:
        """Read the weights that `matcher.tagging.save_tagger` wrote.

        :raises RankerMismatch: if they were made for another model, or cannot be read.
        """
        try:
            weights = read_arrays(path)
            model = str(weights["model"])
        except UNREADABLE as error:
            raise RankerMismatch(
                f"读不到专项标注器 {path}（{type(error).__name__}）。请重新安装或重新训练。"
            ) from error
        if model != embedder.fingerprint:
            raise RankerMismatch(f"专项标注器 {path} 是为另一个模型训练的。请用 matcher train 重新训练。")
        return cls(Evidence(embedder, tokenizer, weights["mean"].astype(np.float32)), weights)

    def probabilities(self, text: TaggedText) -> NDArray[np.float64]:
        """float64 (7,): how likely the text belongs to each programme.

        One hidden layer of rectified units, and what the record is filed under.
        """
        w = self._weights
        scaled = (self.evidence.features(text) - w["middle"]) / w["spread"]
        hidden = np.maximum(self._hidden @ scaled + w["hidden_bias"], 0)
        logits = w["output"] @ hidden + w["output_bias"] + self.evidence.filings(text) @ w["filings"]
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
            if scores[i] >= self._weights["thresholds"][i]
        ]
        return sorted(tags, key=lambda tag: -tag.score)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz`` file; raises one of `UNREADABLE` if that cannot be."""
    # Opened here: numpy leaves a file that is no archive open.
    with path.open("rb") as file:
        stored = np.load(file)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise ValueError(f"{path} holds one array only")
        return {name: stored[name] for name in stored.files}


def centre(vectors: Floats, mean: Floats) -> Floats:
    """Vectors seen from `mean`, at unit length again: float32, same shape."""
    centred = vectors - mean
    result: Floats = centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-6)
    return result


def _share(symbols: Sequence[str], prefixes: Sequence[str]) -> float:
    """Share of IPC symbols under one of the prefixes, minus a half; 0 where there are no symbols."""
    if not symbols:
        return 0.0
    return sum(falls_under(symbol, prefixes) for symbol in symbols) / len(symbols) - 0.5


def _named(industry: str | None, parts: Sequence[str]) -> float:
    """Half if the industry's name has one of the parts, minus a half if not, 0 where none is given."""
    if not industry:
        return 0.0
    return 0.5 if any(part in industry for part in parts) else -0.5
