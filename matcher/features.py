"""What is compared between a question and a document: the ranker's features.

All are absolute, none is scaled within one answer: so a question that nothing fits has low features
throughout and can be answered with an empty list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matcher.embed import Embedder
from matcher.frequencies import BUCKETS, K1, B, Statistics, inverse_frequency, weighted_counts
from matcher.programs import centre
from matcher.records import embedded_text
from matcher.segments import Bytes, Floats, Hashes, Integers, Segment, hash_terms
from matcher.text import Tokenizer, char_ngrams, normalize

FEATURES = (
    "body_cosine",
    "title_cosine",
    "cosine_gap",
    "word_overlap",
    "title_word_overlap",
    "gram_cosine",
    "programme_overlap",
)
FEATURE_NAMES = {
    "body_cosine": "全文语义相近",
    "title_cosine": "标题语义相近",
    "cosine_gap": "标题与全文之一尤其相近",
    "word_overlap": "技术词语相同",
    "title_word_overlap": "需求标题中的词语出现",
    "gram_cosine": "用字用词相近",
    "programme_overlap": "同属一个专项",
}
# A collection of this many documents counts as much for its mean vector as what the ranker knew before.
PRIOR_DOCUMENTS = 200
# The rarest terms of a question that are compared: a need of a thousand characters tells of its
# enterprise mostly in words that everybody uses.
COMPARED_TERMS = 64


@dataclass(frozen=True)
class Question:
    """One side's text, made ready for comparing.

    :param title_vector: float32 (d,); `body_vector` likewise, of title and text together.
    :param terms: distinct terms of title and text; `title_terms` of the title alone.
    :param grams: uint32, ascending hashes of the distinct character n-grams.
    :param programmes: bits as in `matcher.segments.Segment`.
    """

    title: str
    text: str
    title_vector: Floats
    body_vector: Floats
    terms: list[str]
    title_terms: list[str]
    grams: Hashes
    programmes: int


def ask(embedder: Embedder, tokenizer: Tokenizer, title: str, text: str) -> Question:
    """Make a question of a text, with or without a title; its programmes are not known yet."""
    title, text = normalize(title), normalize(text)
    whole = embedded_text(title, text) if title else text
    vectors = embedder.queries([whole, title] if title and text else [whole])
    title_terms = tokenizer.terms(title)
    terms = list(dict.fromkeys(title_terms + tokenizer.terms(text)))
    grams = np.unique(hash_terms(char_ngrams(title) + char_ngrams(text)))
    return Question(title, text, vectors[-1], vectors[0], terms, title_terms or terms, grams, 0)


@dataclass(frozen=True)
class Means:
    """Middles of ordinary vectors, each float32 (d,).

    e5's cosines bunch at 0.8 to 0.9, and any two texts of one style are nearer than two of different
    styles. Seen from the middle of its own kind, each side spreads around zero, whatever the collection
    (measured: a need and a random patent have cosine 0.00 with deviation 0.08, on four pairs of sources).

    :param document_title: what a collection's own mean is drawn towards while it is small.
    """

    question_title: Floats
    question_body: Floats
    document_title: Floats
    document_body: Floats


def compare(question: Question, documents: Segment, statistics: Statistics, means: Means) -> NDArray[np.float32]:
    """Compare a question with some documents: float32 (len(documents), len(FEATURES))."""
    own = statistics.documents / (statistics.documents + PRIOR_DOCUMENTS)
    title_mean = own * statistics.title_mean + (1 - own) * means.document_title
    body_mean = own * statistics.body_mean + (1 - own) * means.document_body
    title = centre(np.asarray(documents.title), title_mean)
    body = centre(np.asarray(documents.body), body_mean)
    body_cosine = body @ centre(question.body_vector, means.question_body)
    title_cosine = title @ centre(question.title_vector, means.question_title)
    columns = [
        body_cosine,
        title_cosine,
        # Long texts drown what they ask for, short titles leave it out: that one of the two is near counts
        # for more than their mean (measured: area under the curve of level 4 against 1 from .897 to .911).
        (body_cosine - title_cosine) ** 2,
        _word_overlap(question.terms, documents, statistics),
        _word_overlap(question.title_terms, documents, statistics),
        _gram_cosine(question.grams, documents, statistics),
        _programme_overlap(question.programmes, documents.programmes),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def has_abstract(documents: Segment) -> NDArray[np.bool_]:
    """Which documents have more than a title: bool (n,)."""
    rows = np.repeat(np.arange(len(documents)), np.diff(documents.term_offsets))
    found: NDArray[np.bool_] = np.bincount(rows, documents.body_counts, minlength=len(documents)) > 0
    return found


def telling_terms(terms: list[str], statistics: Statistics) -> tuple[Hashes, NDArray[np.float64]]:
    """The rarest terms' hashes, ascending, with their weights; terms that no document has are left out.

    Such a term is a name or a slip as a rule: it says nothing about which document fits.
    """
    hashes = np.unique(hash_terms(terms))
    counts = statistics.term_frequencies(hashes)
    hashes, counts = hashes[counts > 0], counts[counts > 0]
    weights = inverse_frequency(counts, statistics.documents)
    kept = np.sort(np.argsort(-weights, kind="stable")[:COMPARED_TERMS])
    return hashes[kept], weights[kept]


def matched_terms(hashes: Hashes, documents: Segment) -> tuple[Integers, Integers, Integers]:
    """Where documents have terms of a question.

    :param hashes: ascending.
    :returns: for each hit the document's row, the term's place in `hashes`, the place in ``documents.terms``.
    """
    places = np.searchsorted(hashes, documents.terms)
    places[places == len(hashes)] = 0
    hits = np.flatnonzero(hashes[places] == documents.terms) if len(hashes) else np.empty(0, np.int64)
    rows = np.searchsorted(documents.term_offsets, hits, side="right") - 1
    return rows, places[hits], hits


def _word_overlap(terms: list[str], documents: Segment, statistics: Statistics) -> NDArray[np.float64]:
    """BM25 as a share of what a document would get that had every term of the question ever so often."""
    hashes, weights = telling_terms(terms, statistics)
    if not len(hashes) or not len(documents):
        return np.zeros(len(documents))
    rows, places, hits = matched_terms(hashes, documents)
    counts = weighted_counts(documents.title_counts, documents.body_counts)
    lengths = np.add.reduceat(np.append(counts, 0), documents.term_offsets[:-1])
    lengths[np.diff(documents.term_offsets) == 0] = 0
    damping = K1 * (1 - B + B * lengths / max(statistics.length, 1.0))
    frequency = counts[hits]
    gains = weights[places] * frequency / (frequency + damping[rows])
    overlap: NDArray[np.float64] = np.bincount(rows, gains, minlength=len(documents)) / weights.sum()
    return overlap


def _gram_cosine(grams: Hashes, documents: Segment, statistics: Statistics) -> NDArray[np.float64]:
    """Cosine of binary character n-gram vectors, weighted by inverse document frequency."""
    if not len(grams) or not len(documents):
        return np.zeros(len(documents))

    owner = np.repeat(np.arange(len(documents)), np.diff(documents.gram_offsets))
    buckets = documents.grams % BUCKETS
    asked = np.zeros(BUCKETS, np.bool_)
    asked[grams % BUCKETS] = True
    weights = statistics.gram_weights[buckets]
    shared = asked[buckets]
    norms = np.bincount(owner, weights, minlength=len(documents)) * statistics.gram_weights[grams % BUCKETS].sum()
    common = np.bincount(owner[shared], weights[shared], minlength=len(documents))
    cosine: NDArray[np.float64] = common / np.maximum(np.sqrt(norms), 1e-9)
    return cosine


def _programme_overlap(question: int, documents: Bytes) -> NDArray[np.float64]:
    """1 if both name a common programme, -1 if both name programmes and none in common, else 0."""
    both = (documents != 0) & bool(question)
    common = (documents & np.uint8(question)) != 0
    return np.where(both, np.where(common, 1.0, -1.0), 0.0)
