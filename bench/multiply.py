"""Makes any number of synthetic offers out of a few thousand real ones, to measure speed at sizes no public corpus has.

Every word is real and every record is not: titles and abstracts are recombined from the pieces of records
that are near each other, and the vectors are the same mixture of the records' real vectors plus noise.
They serve to measure time, memory and the recall of an index; of the quality of matches they say nothing.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from recombine import Mixer

from matcher import sample
from matcher.documents import PROVINCE_ORDER, IndexDocument
from matcher.embed import Embedder, Progress
from matcher.errors import InvalidRecord
from matcher.records import OFFER_KINDS, PROGRAMME_CODES, RECORD_TYPES, Kind, Record, embedded_text, parse_record
from matcher.segments import Floats
from matcher.text import Tokenizer, normalize

SOURCE = "synthetic"
# Records made at a time: what a batch holds does not depend on how many are asked for in all, so that
# the first 100,000 of a million are the 100,000.
BATCH = 10_000
# A donor is one of this many nearest records: few enough to be of the same field, and enough for more than
# a million different titles from 6,097 records.
NEIGHBOURS = 32
# Chosen: so many owners, a fifth of them of unknown place.
INSTITUTIONS = 2_000
PLACED = 0.8
# Of the patents and papers labelled in `corpus/labels.csv`, two patents to a paper as in the real texts:
# the share without a programme, that with two or more, and each programme's.
WITHOUT_PROGRAMME = 0.5
TWO_PROGRAMMES = 0.07
PROGRAMME_SHARES = {
    "agriculture": 0.062,
    "food": 0.031,
    "biomedicine": 0.045,
    "energy_materials": 0.131,
    "machinery": 0.187,
    "environment": 0.067,
    "traditional": 0.048,
}

Ints = NDArray[np.int64]


class Noise(NamedTuple):
    """Length of the noise beside a unit vector, log-normal: its median, the deviation of its logarithm."""

    median: float
    deviation: float


# Measured on the real records with the default model. Titles: as far as the model's vectors of 600 recombined titles
# lie from the mixture of their sources' vectors (cosine .93 in the median, .81 to .98 for nine in ten). With it
# the mean cosine to the nearest of 100,000 titles is .864. Real titles come to .755 among 762 and .813 among
# 6,097, which continued at that rate makes .870.
# Bodies: by the same measure the noise would be 0.28 (cosine .966, .923 to .982; 400 bodies), but recombined bodies
# are more alike than real ones, .916 where those, .770 among 762 and .821 among 6,097, would come to .872.
# The noise that gives .872 is taken.
TITLE_NOISE = Noise(0.40, 0.37)
BODY_NOISE = Noise(0.38, 0.22)


@dataclass(frozen=True)
class Base:
    """A real record: its normalised texts, both of them with words."""

    kind: Kind
    title: str
    abstract: str


@dataclass(frozen=True)
class BaseVectors:
    """The base records' vectors.

    :param titles: float32 (n, d), unit vectors of the titles; `bodies` of titles and abstracts together.
    """

    titles: Floats
    bodies: Floats


@dataclass(frozen=True)
class Question:
    """What an enterprise asks."""

    title: str
    text: str

    @property
    def whole(self) -> str:
        """Title and text as one."""
        return embedded_text(self.title, self.text)


@dataclass(frozen=True, slots=True)
class SyntheticOffer:
    """One offer that nobody made; its institution is invented.

    :param key: counts from 1, as the index's keys do.
    """

    key: int
    kind: Kind
    programmes: tuple[str, ...]
    institution: str
    province: str | None
    title: str
    abstract: str
    title_terms: list[str]
    body_terms: list[str]

    @property
    def text(self) -> str:
        """Title and abstract as one, as the body vector stands for them."""
        return embedded_text(self.title, self.abstract)

    def record(self) -> Record:
        """The row for the store."""
        return RECORD_TYPES[self.kind](
            source=SOURCE,
            source_id=str(self.key),
            title=self.title,
            abstract=self.abstract,
            institution=self.institution,
            province=self.province,
            programmes=self.programmes,
        )


@dataclass(frozen=True)
class Batch:
    """Some offers and their vectors, row for row.

    :param titles: float32 (n, d), unit length; `bodies` likewise.
    """

    offers: list[SyntheticOffer]
    titles: Floats
    bodies: Floats

    def documents(self) -> list[IndexDocument]:
        """What an index takes in, under the offers' own keys."""
        return [
            IndexDocument(
                key=offer.key,
                kind=offer.kind,
                programmes=offer.programmes,
                province=offer.province,
                visibility="public",
                title_vector=title,
                body_vector=body,
                title=offer.title,
                abstract=offer.abstract,
                title_terms=offer.title_terms,
                body_terms=offer.body_terms,
            )
            for offer, title, body in zip(self.offers, self.titles, self.bodies, strict=True)
        ]


def load_base(data: Path | None) -> list[Base]:
    """The real records to multiply.

    :param data: a folder with `patents/patents.jsonl` and `papers/csl.jsonl`, the papers counting as
        achievements; None, or one that is not there, for the offers of the sample corpus.
    """
    found: list[Base] = []
    if data and data.is_dir():
        files: tuple[tuple[Kind, str], ...] = (("patent", "patents/patents.jsonl"), ("achievement", "papers/csl.jsonl"))
        for kind, name in files:
            with (data / name).open(encoding="utf-8") as file:
                found += (_base(kind, row["title"], row["abstract"]) for row in map(json.loads, file))
    else:
        found += (_base(r.kind, r.title, r.abstract) for kind in OFFER_KINDS for r in sample.records(kind))
    return [one for one in found if one.title and one.abstract]


def _base(kind: Kind, title: str, abstract: str) -> Base:
    return Base(kind, normalize(title), normalize(abstract))


def embed_base(base: Sequence[Base], embedder: Embedder, progress: Progress | None = None) -> BaseVectors:
    """Embed the base records, at no cost the second time with the same cache."""
    titles = embedder.documents([one.title for one in base], progress)
    return BaseVectors(titles, embedder.documents([embedded_text(one.title, one.abstract) for one in base], progress))


def questions(data: Path | None, count: int, seed: int) -> list[Question]:
    """Different real needs in an order that the seed gives, at most `count`: there are no more than some 180.

    :param data: a folder with `needs/needs.csv`; None, or one that is not there, for the sample corpus' needs.
    """
    asked: dict[str, Question] = {}
    for need in _needs(data):
        question = Question(normalize(need.title), normalize(need.abstract))
        if question.text:  # bodies without a word count as none
            asked.setdefault(question.whole, question)
    found = list(asked.values())
    random.Random(seed).shuffle(found)
    return found[:count]


def _needs(data: Path | None) -> Iterator[Record]:
    if not (data and data.is_dir()):
        yield from sample.records("need")
        return
    with (data / "needs/needs.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                yield parse_record("need", {"title": row["title"], "abstract": row["text"]}, SOURCE)[0]
            except InvalidRecord:  # such a row would not get into the store either
                continue


def multiply(
    base: Sequence[Base],
    vectors: BaseVectors,
    count: int,
    seed: int,
    tokenizer: Tokenizer | None = None,
    noise: tuple[Noise, Noise] = (TITLE_NOISE, BODY_NOISE),
) -> Iterator[Batch]:
    """Make offers, the same ones for the same base and seed, in batches of `BATCH`.

    A title is half of one record's and half of a near one's; an abstract is shuffled sentences and clauses
    of one record and one or two near ones, about as long as that record's own. A vector is the records' own,
    each weighted by its share of the characters, plus noise spread in the directions in which
    near records differ.

    :param vectors: of `base`, row for row.
    :param noise: of titles and of bodies.
    :raises ValueError: with fewer than three base records.
    """
    if len(base) < 3:
        raise ValueError(f"three records at least are needed to mix, not {len(base)}")
    mixer = Mixer([(one.title, one.abstract) for one in base], tokenizer or Tokenizer.default())
    near = nearest(vectors.bodies, min(NEIGHBOURS, len(base) - 1))
    spreads = [_spread(matrix, near) for matrix in (vectors.titles, vectors.bodies)]
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        own = np.random.default_rng([seed, start])
        sources = _sources(own, near)[:size]
        mixed = mixer.mix(sources, random.Random(f"{seed} {start}"))
        owners, places, programmes = _attributes(own, seed)
        title_noise, body_noise = own.spawn(2)
        offers = [
            SyntheticOffer(
                start + i + 1,
                base[sources[i, 0]].kind,
                programmes[i],
                f"第{owners[i] + 1}研究所",
                places[owners[i]],
                *texts,
            )
            for i, texts in enumerate(mixed.texts)
        ]
        titles = _blend(vectors.titles, sources, mixed.title_shares)
        bodies = _blend(vectors.bodies, sources, mixed.body_shares)
        _disturb(titles, spreads[0], noise[0], title_noise)
        _disturb(bodies, spreads[1], noise[1], body_noise)
        yield Batch(offers, titles, bodies)


def nearest(vectors: Floats, count: int) -> Ints:
    """Rows of the nearest other vectors, nearest first: int64 (n, count)."""
    found = np.empty((len(vectors), count), np.int64)
    for start in range(0, len(vectors), 1024):
        block = vectors[start : start + 1024] @ vectors.T
        rows = np.arange(len(block))
        block[rows, rows + start] = -np.inf
        best = np.argpartition(-block, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(block, best, axis=1), axis=1)
        found[start : start + 1024] = np.take_along_axis(best, order, axis=1)
    return found


def _spread(vectors: Floats, near: Ints) -> Floats:
    """A matrix that turns standard normal rows into noise of mean squared length 1.

    Noise that is alike in all directions would fill dimensions that real texts leave empty.
    """
    apart = np.concatenate([vectors - vectors[near[:, i]] for i in range(near.shape[1])])
    values, axes = np.linalg.eigh((apart.T @ apart).astype(np.float64))
    scales = np.sqrt(np.maximum(values, 0))
    length = np.linalg.norm(scales)
    spread: Floats = (axes * (scales / length if length else scales)).T.astype(np.float32)
    return spread


def _sources(own: np.random.Generator, near: Ints) -> Ints:
    """For each offer of a batch the record it is made of and two near ones: int64 (BATCH, 3)."""
    first = own.integers(len(near), size=BATCH)
    places = own.integers(near.shape[1], size=BATCH)
    other = (places + own.integers(1, near.shape[1], size=BATCH)) % near.shape[1]
    return np.stack([first, near[first, places], near[first, other]], axis=1)


def _attributes(own: np.random.Generator, seed: int) -> tuple[list[int], list[str | None], list[tuple[str, ...]]]:
    """Owners of a batch's offers, places of all owners, programmes of the offers."""
    fixed = np.random.default_rng(seed)  # an institution does not move from batch to batch
    places = [
        PROVINCE_ORDER[province] if placed else None
        for province, placed in zip(
            fixed.integers(len(PROVINCE_ORDER), size=INSTITUTIONS),
            fixed.random(INSTITUTIONS) < PLACED,
            strict=True,
        )
    ]
    owners = own.integers(INSTITUTIONS, size=BATCH)
    shares = np.array([PROGRAMME_SHARES[code] for code in PROGRAMME_CODES])
    drawn = own.choice(len(PROGRAMME_CODES), size=(BATCH, 2), p=shares / shares.sum())
    chance = own.random(BATCH)
    counts = np.where(chance < WITHOUT_PROGRAMME, 0, np.where(chance < 1 - TWO_PROGRAMMES, 1, 2))
    programmes = [
        tuple(PROGRAMME_CODES[i] for i in sorted(set(pair[:count])))
        for pair, count in zip(drawn.tolist(), counts.tolist(), strict=True)
    ]
    return owners.tolist(), places, programmes


def _blend(vectors: Floats, sources: Ints, shares: Floats) -> Floats:
    """Unit vectors (n, d): those of the sources, weighted by their shares (n, 3)."""
    mixed = np.zeros((len(sources), vectors.shape[1]), np.float32)
    for i in range(sources.shape[1]):
        mixed += shares[:, i, None] * vectors[sources[:, i]]
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    return mixed


def _disturb(vectors: Floats, spread: Floats, noise: Noise, own: np.random.Generator) -> None:
    """Add noise to unit vectors, in place, and bring them back to length 1."""
    lengths = noise.median * np.exp(noise.deviation * own.standard_normal(BATCH, np.float32))
    directions = own.standard_normal(vectors.shape, np.float32) @ spread
    vectors += lengths[: len(vectors), None] * directions
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
