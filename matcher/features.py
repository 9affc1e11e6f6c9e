"""What is compared between a question and a document: the ranker's features.

All are absolute, none is scaled within one answer: so a question that nothing fits has low features
throughout and can be answered with an empty list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.embed import Embedder, Progress
from matcher.frequencies import BUCKETS, K1, B, Statistics, inverse_frequency, weighted_counts
from matcher.programs import centre
from matcher.records import embedded_text
from matcher.segments import Bytes, Floats, Hashes, Integers, Ragged, Segment, hash_terms
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
# Slots of a table of what is asked for: one in so many is taken, and at least 2 ** 12 there are.
TABLE_ROOM = 16
TABLE_LEAST_BITS = 12
# Keeps the questions of a block apart in such a table (2 ** 32 over the golden ratio: Knuth 1998, section 6.4).
OWNER_STEP = np.uint32(2_654_435_761)


@dataclass(frozen=True)
class Question:
    """One side's text, made ready for comparing.

    :param title_vector: float32 (d,); `body_vector` likewise, of title and text together.
    :param terms: distinct terms of title and text, to be shown; empty where nobody will see them.
    :param hashes: uint32, ascending hashes of the terms; `title_hashes` of the title's alone, or of all where
        there is no title.
    :param grams: uint32, ascending hashes of the distinct character n-grams.
    :param programmes: bits as in `matcher.segments.Segment`.
    """

    title: str
    text: str
    title_vector: Floats
    body_vector: Floats
    terms: list[str]
    hashes: Hashes
    title_hashes: Hashes
    grams: Hashes
    programmes: int


def ask(embedder: Embedder, tokenizer: Tokenizer, title: str, text: str) -> Question:
    """Make a question of a text, with or without a title; its programmes are not known yet."""
    return ask_many(embedder, tokenizer, [(title, text)])[0]


def ask_many(
    embedder: Embedder, tokenizer: Tokenizer, asked: Sequence[tuple[str, str]], keep: bool = False
) -> list[Question]:
    """Make questions of titles and texts as `ask` does, embedded together.

    :param keep: whether their vectors are kept, as those of records are.
    """
    parts = _normal(asked)
    apart = [place for place, (title, text) in enumerate(parts) if title and text]
    texts = _embedded(parts)
    vectors = embedder.stored_questions(texts) if keep else embedder.queries(texts)
    titles = dict(zip(apart, vectors[len(parts) :], strict=True))
    return [
        _question(tokenizer, title, text, titles.get(place, vectors[place]), vectors[place])
        for place, (title, text) in enumerate(parts)
    ]


def keep_vectors(embedder: Embedder, asked: Sequence[tuple[str, str]], progress: Progress | None = None) -> None:
    """Embed titles and texts that `ask_many` will be asked to keep; many together cost less than a few at a time.

    :param progress: is told (texts embedded, texts to embed).
    """
    embedder.stored_questions(_embedded(_normal(asked)), progress)


def _normal(asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(normalize(title), normalize(text)) for title, text in asked]


def _embedded(parts: Sequence[tuple[str, str]]) -> list[str]:
    """What is embedded of normalised titles and texts: each whole, then the titles of those that have both."""
    wholes = [embedded_text(title, text) if title else text for title, text in parts]
    return [*wholes, *(title for title, text in parts if title and text)]


def _question(tokenizer: Tokenizer, title: str, text: str, title_vector: Floats, body_vector: Floats) -> Question:
    title_terms = tokenizer.terms_of_normal(title)
    terms = list(dict.fromkeys(title_terms + tokenizer.terms_of_normal(text)))
    grams = np.unique(hash_terms(char_ngrams(title) + char_ngrams(text)))
    hashes, title_hashes = np.unique(hash_terms(terms)), np.unique(hash_terms(title_terms or terms))
    return Question(title, text, title_vector, body_vector, terms, hashes, title_hashes, grams, 0)


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


@dataclass(frozen=True)
class Pairs:
    """Which question meets which document.

    :param questions: int64 (p,), places in a list of questions; `documents` int64 (p,), rows of a segment.
    :param whole: whether they are one question with each document of the segment, in order.
    """

    questions: Integers
    documents: Integers
    whole: bool = False

    @classmethod
    def of_one(cls, documents: int) -> Pairs:
        """One question with so many documents."""
        return cls(np.zeros(documents, np.int64), np.arange(documents), whole=True)

    def __len__(self) -> int:
        return len(self.documents)

    def some(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Those that are chosen: bool (p,)."""
        return self if chosen.all() else Pairs(self.questions[chosen], self.documents[chosen])


def compare(question: Question, documents: Segment, statistics: Statistics, means: Means) -> NDArray[np.float32]:
    """Compare a question with some documents: float32 (len(documents), len(FEATURES))."""
    return compare_pairs([question], documents, Pairs.of_one(len(documents)), statistics, means)


def compare_pairs(
    questions: Sequence[Question], documents: Segment, pairs: Pairs, statistics: Statistics, means: Means
) -> NDArray[np.float32]:
    """Compare questions with documents: float32 (len(pairs), len(FEATURES))."""
    own = statistics.documents / (statistics.documents + PRIOR_DOCUMENTS)
    title_mean = own * statistics.title_mean + (1 - own) * means.document_title
    body_mean = own * statistics.body_mean + (1 - own) * means.document_body
    titles = np.stack([question.title_vector for question in questions])
    bodies = np.stack([question.body_vector for question in questions])
    body_cosine = _cosines(centre(bodies, means.question_body), centre(documents.body, body_mean), pairs)
    title_cosine = _cosines(centre(titles, means.question_title), centre(documents.title, title_mean), pairs)
    terms = Entries(documents.term_offsets, documents.terms, pairs)
    columns = [
        body_cosine,
        title_cosine,
        # Long texts drown what they ask for, short titles leave it out: that one of the two is near counts
        # for more than their mean (measured: area under the curve of level 4 against 1 from .897 to .911).
        (body_cosine - title_cosine) ** 2,
        _word_overlap([question.hashes for question in questions], terms, documents, statistics),
        _word_overlap([question.title_hashes for question in questions], terms, documents, statistics),
        _gram_cosine([question.grams for question in questions], documents, pairs, statistics),
        _programme_overlap(np.array([q.programmes for q in questions], np.uint8), documents.programmes, pairs),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _cosines(questions: Floats, documents: Floats, pairs: Pairs) -> NDArray[np.float32]:
    if len(questions) == 1:
        # Not by a matrix product: a question alone gets to the last bit what it gets among others.
        cosines: NDArray[np.float32] = np.einsum("pd,d->p", documents, questions[0])[pairs.documents]
        return cosines
    paired: NDArray[np.float32] = np.einsum("pd,pd->p", questions[pairs.questions], documents[pairs.documents])
    return paired


def has_abstract(documents: Segment) -> NDArray[np.bool_]:
    """Which documents have more than a title: bool (n,)."""
    return sums(documents.body_counts, documents.term_offsets) > 0


def sums(values: NDArray[Any], offsets: Integers) -> NDArray[np.float64]:
    """The sum of each list's values: float64 (n,), for int64 (n + 1,) bounds of the lists."""
    totals = np.zeros(len(offsets) - 1)
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        totals[filled] = np.add.reduceat(values, offsets[filled], dtype=np.float64)
    return totals


class Entries:
    """The entries of the documents of pairs, and where those of a question are among them."""

    def __init__(self, offsets: Integers, values: Hashes, pairs: Pairs) -> None:
        """:param offsets: bounds of each document's entries in `values`."""
        self.pairs = pairs
        self.positions: Integers | None = None
        self._values = values
        self._owners: NDArray[np.uint32] | None = None
        if pairs.whole:
            self._pair = np.repeat(np.arange(len(pairs)), np.diff(offsets))
        else:
            self.positions, self._pair = Ragged(offsets, values).take(pairs.documents)
            self._values = values[self.positions]
            self._owners = pairs.questions.astype(np.uint32)[self._pair]

    def find(self, asked: Sequence[Hashes]) -> tuple[Integers, Integers, Integers]:
        """Where the questions' own values stand in their documents.

        :param asked: for each question its values, ascending.
        :returns: for each hit the pair, the place in all of `asked` joined, the position in the documents' values.
        """
        values = np.concatenate([np.empty(0, np.uint32), *asked])
        owners = np.repeat(np.arange(len(asked), dtype=np.uint32), [len(own) for own in asked])
        # A small table tells nearly all that are not asked for, at a fraction of a search's cost.
        mask = (1 << max(TABLE_LEAST_BITS, (TABLE_ROOM * len(values)).bit_length())) - 1
        table = np.zeros(mask + 1, np.bool_)
        table[_slots(values, owners, mask)] = True
        slots = _slots(self._values, self._owners, mask)
        maybe = np.flatnonzero(table[slots])
        places, hits = _look_up(
            _keys(values, owners),
            _slots(values, owners, mask),
            _keys(self._values[maybe], None if self._owners is None else self._owners[maybe]),
            slots[maybe],
            mask,
        )
        entries = maybe[hits]
        return self._pair[entries], places[hits], entries if self.positions is None else self.positions[entries]


def _look_up(
    keys: NDArray[np.uint64], slots: Hashes, wanted: NDArray[np.uint64], wanted_slots: Hashes, mask: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """Where each of the wanted stands among the keys, and which of them stand there.

    :param keys: ascending, each once; `slots` where a table of `mask` + 1 slots holds them, as it does the wanted.
    """
    at = np.empty(mask + 1, np.int64)
    order = np.arange(len(keys))
    at[slots] = order
    places = at[wanted_slots]
    hits: NDArray[np.bool_] = keys[places] == wanted if len(keys) else np.empty(0, np.bool_)
    # Of keys that share a slot, the table holds the last only: the few others are searched for.
    crowded = at[slots] != order
    if crowded.any():
        missed = np.flatnonzero(~hits)
        found = np.searchsorted(keys[crowded], wanted[missed])
        found[found == np.count_nonzero(crowded)] = 0
        places[missed] = order[crowded][found]
        hits[missed] = keys[places[missed]] == wanted[missed]
    return places, hits


def _slots(values: Hashes, owners: NDArray[np.uint32] | None, mask: int) -> Hashes:
    mixed = values if owners is None else values ^ (owners * OWNER_STEP)
    return mixed & np.uint32(mask)


def _keys(values: Hashes, owners: NDArray[np.uint32] | None) -> NDArray[np.uint64]:
    keys = values.astype(np.uint64)
    return keys if owners is None else keys | (owners.astype(np.uint64) << np.uint64(32))


def telling_terms(hashes: Hashes, statistics: Statistics) -> tuple[Hashes, NDArray[np.float64]]:
    """The rarest of a question's terms, ascending, with their weights; those that no document has are left out.

    Such a term is a name or a slip as a rule: it says nothing about which document fits.
    """
    counts = statistics.term_frequencies(hashes)
    hashes, counts = hashes[counts > 0], counts[counts > 0]
    weights = inverse_frequency(counts, statistics.documents)
    kept = np.sort(np.argsort(-weights, kind="stable")[:COMPARED_TERMS])
    return hashes[kept], weights[kept]


def _word_overlap(
    asked: Sequence[Hashes], entries: Entries, documents: Segment, statistics: Statistics
) -> NDArray[np.float64]:
    """BM25 as a share of what a document would get that had every term of the question ever so often."""
    telling = [telling_terms(hashes, statistics) for hashes in asked]
    pairs = entries.pairs
    of_pair, places, hits = entries.find([hashes for hashes, _ in telling])
    counts = weighted_counts(documents.title_counts, documents.body_counts)
    damping = K1 * (1 - B + B * sums(counts, documents.term_offsets) / max(statistics.length, 1.0))
    frequency = counts[hits]
    weights = np.concatenate([weights for _, weights in telling])
    gains = weights[places] * frequency / (frequency + damping[pairs.documents[of_pair]])
    most = np.array([max(weights.sum(), 1e-9) for _, weights in telling])
    overlap: NDArray[np.float64] = np.bincount(of_pair, gains, minlength=len(pairs)) / most[pairs.questions]
    return overlap


def _gram_cosine(
    asked: Sequence[Hashes], documents: Segment, pairs: Pairs, statistics: Statistics
) -> NDArray[np.float64]:
    """Cosine of binary character n-gram vectors, weighted by inverse document frequency."""
    weights = statistics.gram_weights.take(documents.grams & np.uint32(BUCKETS - 1))
    lengths = sums(weights, documents.gram_offsets)[pairs.documents]
    questions = np.array([statistics.gram_weights[own % BUCKETS].sum(dtype=np.float64) for own in asked])
    of_pair, _, hits = Entries(documents.gram_offsets, documents.grams, pairs).find(asked)
    common = np.bincount(of_pair, weights[hits], minlength=len(pairs))
    cosine: NDArray[np.float64] = common / np.maximum(np.sqrt(lengths * questions[pairs.questions]), 1e-9)
    return cosine


def _programme_overlap(questions: Bytes, documents: Bytes, pairs: Pairs) -> NDArray[np.float64]:
    """1 if both name a common programme, -1 if both name programmes and none in common, else 0."""
    asked, found = questions[pairs.questions], documents[pairs.documents]
    both = (asked != 0) & (found != 0)
    return np.where(both, np.where(asked & found, 1.0, -1.0), 0.0)
