"""What goes into an index and what is asked of it, whichever engine stands behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcher.life import NEVER, today
from matcher.records import KINDS, PROGRAMME_CODES, Kind, Visibility
from matcher.segments import Floats, Hashes, Integers, Segment, ragged_grams, ragged_terms
from matcher.text import char_ngrams
from matcher.values import PROVINCES

VISIBILITY_ORDER: tuple[Visibility, ...] = ("public", "intermediaries", "private")
PROVINCE_ORDER = tuple(PROVINCES.values())


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which documents a search may return; an empty tuple does not restrict.

    :param visibilities: what the caller may see; there is no default on purpose.
    :param owner: the account whose own documents it may return whatever their visibility; 0 for none.
    :param today: documents whose last day is before this one are over, see `matcher.life`.
    :param among: only documents with these keys; None does not restrict.
    """

    visibilities: tuple[Visibility, ...]
    owner: int = 0
    today: int = field(default_factory=today)
    kinds: tuple[Kind, ...] = ()
    programmes: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    among: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class IndexDocument:
    """One record as the index takes it in.

    :param title_vector: float32 (d,), unit length; `body_vector` likewise.
    :param owner: the account whose record it is, 0 for the operator's; `ends` its last day, see `matcher.life`.
    """

    key: int
    kind: Kind
    programmes: tuple[str, ...]
    province: str | None
    visibility: Visibility
    title_vector: Floats
    body_vector: Floats
    title: str
    abstract: str
    title_terms: Sequence[str]
    body_terms: Sequence[str]
    owner: int = 0
    ends: int = NEVER


@dataclass(frozen=True)
class IndexQuery:
    """A question as both engines understand it.

    :param title_vector: float32 (d,), of the question's title or its most telling part.
    :param body_vector: float32 (d,), of the whole question.
    :param terms: uint32, hashes of its terms, each once.
    """

    title_vector: Floats
    body_vector: Floats
    terms: Hashes


@dataclass(frozen=True)
class Listing:
    """All documents of an index, ascending by key, with what decides who may find them.

    :param keys: int64 (n,).
    :param kind: uint8 (n,), position in `records.KINDS`.
    :param visibility: uint8 (n,), position in `VISIBILITY_ORDER`.
    :param owner: int64 (n,), the account whose it is; `ends` int32 (n,), its last day.
    """

    keys: Integers
    kind: NDArray[np.uint8]
    visibility: NDArray[np.uint8]
    owner: Integers
    ends: NDArray[np.int32]


def listed(segments: Sequence[Segment], living: Integers | None = None) -> Listing:
    """The documents of several segments, or those at some rows of them all, ascending by key."""
    columns = [np.concatenate([getattr(s, name.name) for s in segments]) for name in fields(Listing)]
    if living is not None:
        columns = [column[living] for column in columns]
    order = np.argsort(columns[0], kind="stable")
    return Listing(*(column[order] for column in columns))


def passing(documents: Segment, filters: Filters) -> NDArray[np.bool_]:
    """Which documents the filters let through: bool (n,)."""
    visible = [VISIBILITY_ORDER.index(one) for one in filters.visibilities]
    mask = np.isin(documents.visibility, np.array(visible, documents.visibility.dtype))
    if filters.owner:
        mask |= documents.owner == filters.owner
    mask &= documents.ends >= filters.today
    wanted: list[tuple[NDArray[Any], Sequence[int]]] = []
    if filters.kinds:
        wanted.append((documents.kind, [KINDS.index(kind) for kind in filters.kinds]))
    if filters.provinces:
        known = [PROVINCE_ORDER.index(one) for one in filters.provinces if one in PROVINCE_ORDER]
        wanted.append((documents.province, known))
    for column, values in wanted:
        mask &= np.isin(column, np.array(values, column.dtype))
    if filters.among is not None:
        mask &= np.isin(documents.keys, np.array(filters.among, np.int64))
    if filters.programmes:
        mask &= (documents.programmes & programme_bits(filters.programmes)) != 0
    return mask


def programme_bits(codes: Sequence[str]) -> np.uint8:
    """Programme codes as one bit each."""
    return np.uint8(sum(1 << PROGRAMME_CODES.index(code) for code in codes))


def segment_of(documents: Sequence[IndexDocument], dimension: int) -> Segment:
    """The arrays of documents, in order; vectors are `dimension` wide."""
    term_offsets, terms, title_counts, body_counts = ragged_terms((d.title_terms, d.body_terms) for d in documents)
    gram_offsets, grams = ragged_grams(char_ngrams(d.title) + char_ngrams(d.abstract) for d in documents)
    provinces = [PROVINCE_ORDER.index(d.province) if d.province in PROVINCE_ORDER else -1 for d in documents]
    return Segment(
        keys=np.array([d.key for d in documents], np.int64),
        title=np.array([d.title_vector for d in documents], np.float32).reshape(-1, dimension),
        body=np.array([d.body_vector for d in documents], np.float32).reshape(-1, dimension),
        kind=np.array([KINDS.index(d.kind) for d in documents], np.uint8),
        programmes=np.array([programme_bits(d.programmes) for d in documents], np.uint8),
        province=np.array(provinces, np.int16),
        visibility=np.array([VISIBILITY_ORDER.index(d.visibility) for d in documents], np.uint8),
        owner=np.array([d.owner for d in documents], np.int64),
        ends=np.array([d.ends for d in documents], np.int32),
        term_offsets=term_offsets,
        terms=terms,
        title_counts=title_counts,
        body_counts=body_counts,
        gram_offsets=gram_offsets,
        grams=grams,
    )
