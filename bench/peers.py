"""What people build from parts when they need hybrid search over Chinese texts, measured side by side.

Each peer is set up as its own documentation advises, gets the same texts and their finished vectors, and is
asked the same questions, which it embeds itself with the same model through sentence-transformers. `bench/contest.py`
sets them beside ours. A peer that is not installed is left out, saying so; `pip install .[bench]` brings all.
"""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from matcher.segments import Floats, Integers

EncodeQuery = Callable[[str], Floats]

# Candidates that each half of a hybrid brings, and the constant of reciprocal rank fusion: that of its paper
# (Cormack, Clarke, Büttcher 2009), which the libraries take too.
DEPTH = 100
RRF_K = 60
# Rows in one call of Milvus: a gRPC message is refused above 64 MiB, and these are some 3 MiB.
MILVUS_ROWS = 1_000
MILVUS_TEXT_BYTES = 65_535


class Peer(Protocol):
    """One way to search."""

    name: str
    packages: tuple[str, ...]

    def __init__(self, encode_query: EncodeQuery) -> None:
        """:param encode_query: a text to its unit vector, float32 (d,)."""

    def build(self, texts: Sequence[str], vectors: Floats) -> None:
        """Take in all texts with their unit vectors, float32 (n, d); ids are their positions."""

    def search(self, text: str, k: int) -> list[int]:
        """The best ids for a question, best first."""

    def dense(self, vector: Floats, k: int) -> list[int]:
        """The best ids by vectors alone, as this peer finds them within a search."""

    def close(self) -> None:
        """Give files and memory back."""


class FaissFlat:
    """Sentence-transformers and an exact FAISS index: no words, the simplest that works."""

    name = "sentence-transformers + FAISS flat"
    packages: tuple[str, ...] = ("sentence_transformers", "faiss")

    def __init__(self, encode_query: EncodeQuery) -> None:
        self._encode = encode_query
        self._index: Any = None

    def build(self, texts: Sequence[str], vectors: Floats) -> None:
        """See `Peer`."""
        import faiss

        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(vectors)

    def search(self, text: str, k: int) -> list[int]:
        """See `Peer`."""
        return self.dense(self._encode(text), k)

    def dense(self, vector: Floats, k: int) -> list[int]:
        """See `Peer`."""
        _, ids = self._index.search(vector[None], k)
        return [int(i) for i in ids[0] if i >= 0]

    def close(self) -> None:
        """See `Peer`."""
        self._index = None


class RankBm25:
    """BM25 over jieba's words, cosines by numpy, and reciprocal rank fusion of both: the usual hybrid by hand."""

    name = "rank_bm25 + numpy"
    packages: tuple[str, ...] = ("rank_bm25", "rjieba")

    def __init__(self, encode_query: EncodeQuery) -> None:
        self._encode = encode_query
        self._words = jieba_words()
        self._bm25: Any = None
        self._vectors: Floats = np.empty((0, 0), np.float32)

    def build(self, texts: Sequence[str], vectors: Floats) -> None:
        """See `Peer`."""
        from rank_bm25 import BM25Okapi

        self._bm25 = BM25Okapi([self._words(text) for text in texts])
        self._vectors = vectors

    def search(self, text: str, k: int) -> list[int]:
        """See `Peer`."""
        scores = self._bm25.get_scores(self._words(text))
        lexical = [i for i in best(scores, DEPTH) if scores[i] > 0]
        return fuse([self.dense(self._encode(text), DEPTH), lexical])[:k]

    def dense(self, vector: Floats, k: int) -> list[int]:
        """See `Peer`."""
        return best(self._vectors @ vector, k)

    def close(self) -> None:
        """See `Peer`."""
        self._bm25 = None
        self._vectors = np.empty((0, 0), np.float32)


class Txtai:
    """A txtai index with its hybrid of BM25 and vectors, all settings but two as they come.

    Its documentation gives two ways in that are needed here: vectors from outside (`method: external` with a
    `transform` function), so that nothing is embedded anew, and a tokenizer that cuts at blanks. Without
    the second its BM25 would take each Chinese character for a word; so texts and questions are handed over with
    blanks between jieba's words. There is no setting for a segmenter.
    """

    name = "txtai hybrid"
    packages: tuple[str, ...] = ("txtai", "rjieba")

    def __init__(self, encode_query: EncodeQuery) -> None:
        self._encode = encode_query
        self._words = jieba_words()
        self._embeddings: Any = None
        self._question = ""

    def build(self, texts: Sequence[str], vectors: Floats) -> None:
        """See `Peer`."""
        from txtai import Embeddings

        rows = iter(vectors)

        def transform(batch: list[str]) -> Floats:
            # Building hands the texts over in order; afterwards only questions come, one at a time.
            given = list(itertools.islice(rows, len(batch)))
            return np.stack(given or [self._encode(self._question)])

        self._embeddings = Embeddings(
            method="external",
            transform=transform,
            content=False,
            # What `hybrid=True` stands for, and the tokenizer.
            dense=True,
            scoring={"method": "bm25", "terms": True, "normalize": True, "tokenizer": {"whitespace": True}},
        )
        self._embeddings.index((i, self._cut(text), None) for i, text in enumerate(texts))

    def search(self, text: str, k: int) -> list[int]:
        """See `Peer`."""
        self._question = text
        return [int(i) for i, _ in self._embeddings.search(self._cut(text), k)]

    def dense(self, vector: Floats, k: int) -> list[int]:
        """See `Peer`."""
        found = self._embeddings.ann.search(vector[None], k)[0]
        return [int(i) for i, _ in found if i >= 0]

    def close(self) -> None:
        """See `Peer`."""
        if self._embeddings:
            self._embeddings.close()

    def _cut(self, text: str) -> str:
        return " ".join(self._words(text))


class MilvusLite:
    """Milvus Lite on a local file: a vector field and the BM25 function over a jieba analyzer, RRF of both.

    The vector index is what it takes by itself (AUTOINDEX, an HNSW graph a segment). It is meant for trying
    things out, says its documentation, not for large collections.
    """

    name = "milvus-lite hybrid"
    packages: tuple[str, ...] = ("pymilvus", "milvus_lite", "jieba")

    def __init__(self, encode_query: EncodeQuery) -> None:
        self._encode = encode_query
        self._folder = Path(tempfile.mkdtemp(prefix="milvus-lite-"))
        self._client: Any = None

    def build(self, texts: Sequence[str], vectors: Floats) -> None:
        """See `Peer`."""
        from pymilvus import MilvusClient

        self._client = MilvusClient(str(self._folder / "bench.db"))
        schema, indexes = _milvus_schema(vectors.shape[1])
        self._client.create_collection("offers", schema=schema, index_params=indexes)
        for start in range(0, len(texts), MILVUS_ROWS):
            rows = [
                {"id": i, "text": _cut_bytes(texts[i], MILVUS_TEXT_BYTES), "dense": vectors[i].tolist()}
                for i in range(start, min(start + MILVUS_ROWS, len(texts)))
            ]
            self._client.insert("offers", rows)
        self._client.flush("offers")  # what is not flushed is searched without an index
        self._client.load_collection("offers")

    def search(self, text: str, k: int) -> list[int]:
        """See `Peer`."""
        from pymilvus import AnnSearchRequest, RRFRanker

        wanted = [
            AnnSearchRequest([self._encode(text).tolist()], "dense", {"metric_type": "COSINE"}, DEPTH),
            AnnSearchRequest([text], "sparse", {"metric_type": "BM25"}, DEPTH),
        ]
        found = self._client.hybrid_search("offers", wanted, RRFRanker(RRF_K), limit=k)
        return [int(hit["id"]) for hit in found[0]]

    def dense(self, vector: Floats, k: int) -> list[int]:
        """See `Peer`."""
        found = self._client.search(
            "offers", [vector.tolist()], anns_field="dense", limit=k, search_params={"metric_type": "COSINE"}
        )
        return [int(hit["id"]) for hit in found[0]]

    def close(self) -> None:
        """See `Peer`."""
        if self._client:
            from milvus_lite.server_manager import server_manager_instance

            self._client.close()
            server_manager_instance.release_server(str(self._folder / "bench.db"))
        shutil.rmtree(self._folder, ignore_errors=True)


def _milvus_schema(dimension: int) -> tuple[Any, Any]:
    from pymilvus import DataType, Function, FunctionType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field(
        "text",
        DataType.VARCHAR,
        max_length=MILVUS_TEXT_BYTES,
        enable_analyzer=True,
        analyzer_params={"tokenizer": "jieba"},
    )
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["sparse"]))
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("dense", index_type="AUTOINDEX", metric_type="COSINE")
    indexes.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    return schema, indexes


PEERS: tuple[type[Peer], ...] = (FaissFlat, RankBm25, Txtai, MilvusLite)


def missing_packages(peer: type[Peer]) -> list[str]:
    """The packages of a peer that are not installed."""
    return [name for name in peer.packages if importlib.util.find_spec(name) is None]


def installed() -> list[type[Peer]]:
    """The peers that can run here; says which cannot."""
    found = []
    for peer in PEERS:
        if lacking := missing_packages(peer):
            print(f"{peer.name}: left out, {', '.join(lacking)} not installed (pip install .[bench])")
        else:
            found.append(peer)
    return found


def jieba_words() -> Callable[[str], list[str]]:
    """Jieba's cut for search engines, through rjieba: the same words in a twentieth of the time."""
    import rjieba

    own = rjieba.Jieba()
    return lambda text: [word for word in own.cut_for_search(text, True) if any(c.isalnum() for c in word)]


def sentence_transformer(folder: Path) -> EncodeQuery:
    """How the peers embed a question: the model through sentence-transformers on the processor, prompt "query"."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")

    def encode(text: str) -> Floats:
        vector: Floats = model.encode_query(text, normalize_embeddings=True, show_progress_bar=False)
        return vector

    return encode


def fuse(rankings: Iterable[Sequence[int]]) -> list[int]:
    """Reciprocal rank fusion, best first."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, i in enumerate(ranking, 1):
            scores[i] = scores.get(i, 0.0) + 1 / (RRF_K + rank)
    return sorted(scores, key=lambda i: -scores[i])


def best(scores: Floats, k: int) -> list[int]:
    """Positions of the k highest scores, highest first."""
    k = min(k, len(scores))
    top: Integers = np.argpartition(-scores, k - 1)[:k]
    return [int(i) for i in top[np.argsort(-scores[top], kind="stable")]]


def _cut_bytes(text: str, limit: int) -> str:
    return text.encode()[:limit].decode("utf-8", "ignore")


class Stopwatch:
    """A way to embed questions that keeps the milliseconds it took."""

    def __init__(self, encode: EncodeQuery) -> None:
        self._encode = encode
        self.spent_ms = 0.0

    def __call__(self, text: str) -> Floats:
        """See `EncodeQuery`."""
        start = time.perf_counter()
        vector = self._encode(text)
        self.spent_ms += (time.perf_counter() - start) * 1000
        return vector


class Trial:
    """One peer, built and asked."""

    def __init__(self, kind: type[Peer], encode: EncodeQuery, texts: Sequence[str], vectors: Floats) -> None:
        self._watch = Stopwatch(encode)
        self._peer = kind(self._watch)
        self._vectors = vectors
        start = time.perf_counter()
        try:
            self._peer.build(texts, vectors)
        except BaseException:
            self._peer.close()
            raise
        self.build_s = time.perf_counter() - start

    def ask(self, text: str, k: int) -> tuple[float, float]:
        """Milliseconds from a text to its ids, and those of them that the model took."""
        self._watch.spent_ms, start = 0.0, time.perf_counter()
        self._peer.search(text, k)
        return (time.perf_counter() - start) * 1000, self._watch.spent_ms

    def recall(self, asked: Floats, k: int) -> float:
        """Share of the truly nearest vectors that its vector half finds, on average.

        :param asked: float32 (q, d), of questions.
        """
        found = [len({*self._peer.dense(vector, k)} & {*best(self._vectors @ vector, k)}) for vector in asked]
        return sum(found) / (len(found) * min(k, len(self._vectors)))

    def close(self) -> None:
        """Give files and memory back."""
        self._peer.close()
