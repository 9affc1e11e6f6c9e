"""Stand-ins that the tests share: an encoder that needs no model, and a ranker that was never trained."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.documents import IndexDocument, segment_of
from matcher.embed import Embedder, Side
from matcher.features import FEATURES, Means, ask
from matcher.frequencies import Statistics, statistics_of
from matcher.judgements import JudgedNeed, Judgements, Offer, Pool
from matcher.records import Kind, Visibility, embedded_text
from matcher.segments import Segment
from matcher.text import Tokenizer, char_ngrams
from matcher.training import Material

DIMENSION = 64
# The fake encoder's vectors spread around zero as they are.
MEANS = Means(*[np.zeros(DIMENSION, np.float32)] * 4)


class FakeEncoder:
    """Hashes character n-grams into a unit vector: texts that share pieces are near each other."""

    def __init__(self, dimension: int = DIMENSION) -> None:
        self.dimension = dimension
        self.fingerprint = f"fake:{dimension}"
        self.symmetric = True
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        self.encoded += texts
        return np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self.dimension)

    def release(self) -> None:
        """Nothing is kept."""

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


THINGS = ("银耳", "石墨", "核桃", "茶叶", "白酒", "竹笋")
PROCESSES = {"烘干": "热泵除湿，降低能耗。", "提纯": "高温真空除铁。", "分选": "视觉识别剔除次品。"}


def judgements(levels: Mapping[int, int] | None = None) -> Judgements:
    """Six needs that were each shown seven offers: 4 for the thing and the process, 3 for the thing, 2 for the
    process, 1 for neither.

    :param levels: what people gave instead of these.
    """
    given = levels or {}
    offers = [Offer(f"{thing}{process}技术", PROCESSES[process]) for thing in THINGS for process in PROCESSES]
    needs = []
    for i, thing in enumerate(THINGS):
        process = list(PROCESSES)[i % len(PROCESSES)]
        own = {}
        for place, offer in enumerate(offers):
            fits = thing in offer.title, process in offer.title
            level = 1 + 2 * fits[0] + fits[1]
            if level == 4 or level == 3 or place % 4 == i % 4:
                own[place] = given.get(level, level)
        needs.append(JudgedNeed((f"n{i}",), f"{thing}{process}", PROCESSES[process], own))
    return Judgements(needs, offers, rows=sum(len(need.levels) for need in needs))


def material(judged: Judgements, embedder: Embedder, tokenizer: Tokenizer) -> Material:
    """Judgements made ready for fitting, without a tagger; `pools` as `matcher.defaults.material` makes them."""

    def pool(offers: Sequence[Offer]) -> Pool:
        made = [index_document(i, o.title, o.abstract, tokenizer=tokenizer) for i, o in enumerate(offers)]
        segment = segment_of(made, DIMENSION)
        return Pool(segment, statistics(segment))

    pools = {"titled": pool([Offer(offer.title) for offer in judged.offers])}
    if any(offer.abstract for offer in judged.offers):
        pools["full"] = pool(judged.offers)
    return Material(
        judged.needs,
        [ask(embedder, tokenizer, need.title, need.text) for need in judged.needs],
        [ask(embedder, tokenizer, "", text) for text in ("今天天气不错", "周末去哪里看电影")],
        pools,
    )
