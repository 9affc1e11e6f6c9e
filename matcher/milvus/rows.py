"""Documents as rows of a Milvus collection, and back.

Rows are never changed but in one field: `died`, the generation from which on they no longer count. So a
search that asks for rows born up to its generation and not dead in it sees that generation, whatever has
been written since.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.documents import PROVINCE_ORDER, VISIBILITY_ORDER, Filters, programme_bits
from matcher.records import KINDS, PROGRAMME_CODES
from matcher.segments import Hashes, Integers, Segment, hash_terms

# `died` of a row that is alive.
ALIVE = (1 << 62) - 1
# The most bytes of a VARCHAR in Milvus.
VARCHAR_BYTES = 65_535
# Strings of `VARCHAR_BYTES` that a document's arrays may fill. The longest text that a record may have
# (20,000 letters, no n-gram twice) fills four.
ARRAY_CAPACITY = 32
# A word in the title counts as so many in the body, as in the local index.
TITLE_REPEATS = 2
# Each word takes this many bytes of the full-text field, the blank included.
_WORD_BYTES = 8
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

# IVF_SQ8 is the one quantised index that milvus-lite and clusters both build, keeps filtered searches exact
# enough (measured on FAISS: .985 recall at 5 % selectivity) and needs a quarter of the floats' memory.
# 128 lists are what milvus-lite 3.2 makes whatever it is told (pymilvus 3 sends `nlist` where it does not look),
# so tests and clusters have the same. Half of them is searched: a sixty-fourth of 1,024 lists reached .987
# recall on 100,000 real vectors, but a server also has segments of 1,000 rows, whose lists say little.
VECTOR_INDEX = {"index_type": "IVF_SQ8", "metric_type": "IP", "params": {"nlist": 128}}
VECTOR_SEARCH = {"metric_type": "IP", "params": {"nprobe": 64}}
WORD_INDEX = {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "BM25"}
WORD_SEARCH = {"metric_type": "BM25"}
_SCALAR_INDEX = {"index_type": "INVERTED"}

FIELDS: tuple[Mapping[str, Any], ...] = (
    {"field_name": "row", "datatype": "INT64", "is_primary": True},
    {"field_name": "key", "datatype": "INT64"},
    {"field_name": "born", "datatype": "INT64"},
    {"field_name": "died", "datatype": "INT64"},
    {"field_name": "kind", "datatype": "INT8"},
    {"field_name": "programmes", "datatype": "INT8"},
    {"field_name": "province", "datatype": "INT16"},
    {"field_name": "visibility", "datatype": "INT8"},
    {"field_name": "owner", "datatype": "INT64"},
    {"field_name": "ends", "datatype": "INT32"},
    # Words come as `_word` writes them, between blanks: there is nothing left to analyse, on any server.
    {
        "field_name": "text",
        "datatype": "VARCHAR",
        "max_length": VARCHAR_BYTES,
        "enable_analyzer": True,
        "analyzer_params": {"tokenizer": "standard"},
    },
    {"field_name": "words", "datatype": "SPARSE_FLOAT_VECTOR", "bm25_of": "text"},
    {
        "field_name": "arrays",
        "datatype": "ARRAY",
        "element_type": "VARCHAR",
        "max_capacity": ARRAY_CAPACITY,
        "max_length": VARCHAR_BYTES,
    },
)
INDEXES: Mapping[str, Mapping[str, Any]] = {
    "title": VECTOR_INDEX,
    "body": VECTOR_INDEX,
    "words": WORD_INDEX,
    **dict.fromkeys(
        ("key", "born", "died", "kind", "programmes", "province", "visibility", "owner", "ends"), _SCALAR_INDEX
    ),
}
# What makes up a segment, and what a row must be written back with: all but the server's own `words`.
SEGMENT_FIELDS = ("key", "kind", "programmes", "province", "visibility", "owner", "ends", "title", "body", "arrays")
ROW_FIELDS = ("row", "born", "died", "text", *SEGMENT_FIELDS)


def fields(dimension: int) -> list[Mapping[str, Any]]:
    """The fields of a collection of documents whose vectors are `dimension` wide."""
    vectors = [{"field_name": name, "datatype": "FLOAT_VECTOR", "dim": dimension} for name in ("title", "body")]
    return [*FIELDS, *vectors]


def rows_of(
    segment: Segment, terms: Sequence[tuple[Sequence[str], Sequence[str]]], first: int, born: int
) -> list[dict[str, Any]]:
    """Rows to insert.

    :param terms: title terms and body terms of each document of `segment`.
    :param first: primary key of the first row.
    """
    rows = []
    for i, (title_terms, body_terms) in enumerate(terms):
        term_range = slice(segment.term_offsets[i], segment.term_offsets[i + 1])
        gram_range = slice(segment.gram_offsets[i], segment.gram_offsets[i + 1])
        counts = np.concatenate([segment.title_counts[term_range], segment.body_counts[term_range]])
        packed = pack_hashes(segment.terms[term_range]) + counts.tobytes() + pack_hashes(segment.grams[gram_range])
        header = np.array([len(counts) // 2, len(packed)], np.uint32).tobytes()
        rows.append(
            {
                "row": first + i,
                "key": int(segment.keys[i]),
                "born": born,
                "died": ALIVE,
                "kind": int(segment.kind[i]),
                "programmes": int(segment.programmes[i]),
                "province": int(segment.province[i]),
                "visibility": int(segment.visibility[i]),
                "owner": int(segment.owner[i]),
                "ends": int(segment.ends[i]),
                "title": segment.title[i],
                "body": segment.body[i],
                "text": text_of(title_terms, body_terms),
                "arrays": to_strings(header + packed),
            }
        )
    return rows


def segment_from(rows: Sequence[Mapping[str, Any]], dimension: int) -> Segment:
    """The arrays that `rows_of` wrote, in the order of the rows."""
    terms: list[Hashes] = []
    grams: list[Hashes] = []
    titles, bodies = [], []
    for row in rows:
        data = from_strings(row["arrays"])
        count = int(np.frombuffer(data, np.uint32, 1)[0])
        packed = data[8:]
        terms.append(unpack_hashes(packed[: 4 * count]))
        titles.append(np.frombuffer(packed, np.uint8, count, 4 * count))
        bodies.append(np.frombuffer(packed, np.uint8, count, 5 * count))
        grams.append(unpack_hashes(packed[6 * count :]))

    def column(name: str, dtype: type) -> NDArray[Any]:
        return np.array([row[name] for row in rows], dtype)

    def joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype), *parts])

    def offsets(parts: Sequence[Hashes]) -> Integers:
        return np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)

    return Segment(
        keys=column("key", np.int64),
        title=column("title", np.float32).reshape(-1, dimension),
        body=column("body", np.float32).reshape(-1, dimension),
        kind=column("kind", np.uint8),
        programmes=column("programmes", np.uint8),
        province=column("province", np.int16),
        visibility=column("visibility", np.uint8),
        owner=column("owner", np.int64),
        ends=column("ends", np.int32),
        term_offsets=offsets(terms),
        terms=joined(terms, np.uint32),
        title_counts=joined(titles, np.uint8),
        body_counts=joined(bodies, np.uint8),
        gram_offsets=offsets(grams),
        grams=joined(grams, np.uint32),
    )


def pack_hashes(hashes: Hashes) -> bytes:
    """Ascending uint32 as steps, all lowest bytes first: so they compress by a quarter."""
    return np.diff(hashes, prepend=np.uint32(0)).astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()


def unpack_hashes(data: bytes) -> Hashes:
    """What `pack_hashes` packed."""
    steps = np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(4, -1).T).view("<u4").ravel()
    return np.cumsum(steps, dtype=np.uint32)


def to_strings(data: bytes) -> list[str]:
    """Compress, and cut into strings that a VARCHAR can hold."""
    text = base64.b64encode(zlib.compress(data, 1)).decode("ascii")
    return [text[start : start + VARCHAR_BYTES] for start in range(0, len(text), VARCHAR_BYTES)]


def from_strings(strings: Sequence[str]) -> bytes:
    """What `to_strings` made strings of."""
    return zlib.decompress(base64.b64decode("".join(strings)))


def words(hashes: Hashes) -> list[str]:
    """Terms as the full-text field has them: their hashes, in letters and digits that no analyser takes apart.

    Analysers differ: one leaves Chinese words as they are, another makes each character a word.
    """
    return [_word(int(hash_)) for hash_ in hashes]


def _word(number: int) -> str:
    digits = ""
    for _ in range(_WORD_BYTES - 1):
        number, digit = divmod(number, 36)
        digits += _DIGITS[digit]
    return digits


def text_of(title_terms: Sequence[str], body_terms: Sequence[str]) -> str:
    """The full-text field of a document.

    Of a text with more words than fit, repetitions are left out first: BM25 makes little of the fourth.
    """
    every = [*title_terms] * TITLE_REPEATS + [*body_terms]
    room = (VARCHAR_BYTES + 1) // _WORD_BYTES
    counts = Counter(every)
    for most in (3, 1):
        if counts.total() > room:
            counts = Counter({term: min(count, most) for term, count in counts.items()})
    return " ".join(words(hash_terms(list(counts.elements())[:room])))


def condition(generation: int, filters: Filters) -> str | None:
    """The filters as Milvus reads them, for the documents of one generation; None where nothing can meet them."""
    provinces = [PROVINCE_ORDER.index(name) for name in filters.provinces if name in PROVINCE_ORDER]
    nothing = filters.among is not None and not filters.among
    if nothing or not (filters.visibilities or filters.owner) or (filters.provinces and not provinces):
        return None
    seen = _within("visibility", [VISIBILITY_ORDER.index(v) for v in filters.visibilities])
    if filters.owner:
        seen = f"({seen} or owner == {filters.owner})"
    parts = [alive(generation), seen, f"ends >= {filters.today}"]
    if filters.kinds:
        parts.append(_within("kind", [KINDS.index(kind) for kind in filters.kinds]))
    if filters.programmes:
        # Milvus cannot ask for bits: all the numbers that have one of them, 127 at most.
        asked = int(programme_bits(filters.programmes))
        parts.append(_within("programmes", [bits for bits in range(1 << len(PROGRAMME_CODES)) if bits & asked]))
    if provinces:
        parts.append(_within("province", provinces))
    if filters.among is not None:
        parts.append(with_keys(filters.among))
    return " and ".join(parts)


def alive(generation: int) -> str:
    """The condition that a row counts in a generation."""
    return f"born <= {generation} and died > {generation}"


def with_keys(keys: Sequence[int]) -> str:
    """The condition that a row is of one of these documents."""
    return _within("key", keys)


def _within(name: str, values: Sequence[int]) -> str:
    return f"{name} in [{', '.join(map(str, values))}]"
