"""The numbers the index keeps of its documents, as immutable array files that readers map into memory.

A segment is a folder of ``.npy`` files, one an array; row i of each belongs to document i. Terms and
n-grams are 32-bit hashes: ranking compares them by the thousand, and needs no vocabulary for it.
"""

from __future__ import annotations

import mmap
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Hashes = NDArray[np.uint32]
Bytes = NDArray[np.uint8]
Shorts = NDArray[np.int16]
_HEADER = re.compile(rb"\{'descr': '([^']+)', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \}\s*")
# Documents copied at a time when segments are merged: some 100 MB.
CHUNK = 1 << 14
# Arrays with several values a document, and where those of each begin.
_RAGGED = {
    "terms": "term_offsets",
    "title_counts": "term_offsets",
    "body_counts": "term_offsets",
    "grams": "gram_offsets",
}


def hash_terms(terms: Sequence[str]) -> Hashes:
    """CRC-32 of each term: uint32 (len(terms),)."""
    return np.fromiter((zlib.crc32(term.encode("utf-8", "replace")) for term in terms), np.uint32, len(terms))


@dataclass(frozen=True)
class Ragged:
    """A list of lists: list i is ``values[offsets[i]:offsets[i + 1]]``."""

    offsets: Integers
    values: Hashes

    def take(self, rows: Integers) -> tuple[Integers, Integers]:
        """Positions in `values` of the lists at `rows`, and for each the place of its list in `rows`."""
        starts, stops = self.offsets[rows], self.offsets[rows + 1]
        lengths = stops - starts
        owner = np.repeat(np.arange(len(rows)), lengths)
        first = np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.arange(len(owner)) - first + np.repeat(starts, lengths), owner


@dataclass(frozen=True)
class Segment:
    """Some documents' arrays.

    :param keys: int64 (n,), the store's numbers.
    :param title: float32 (n, d), unit vectors of the titles.
    :param body: float32 (n, d), unit vectors of title and abstract together.
    :param kind: uint8 (n,), position in `records.KINDS`.
    :param programmes: uint8 (n,), bit i for programme i.
    :param province: int16 (n,), position in `values.PROVINCES`, -1 for none.
    :param visibility: uint8 (n,), position in `matcher.documents.VISIBILITY_ORDER`.
    :param owner: int64 (n,), the account whose record it is, 0 for the operator's.
    :param ends: int32 (n,), the last day on which it takes part in matches, see `matcher.life`.
    :param term_offsets: int64 (n + 1,), bounds of each document's distinct terms.
    :param terms: uint32, hashes of the terms, ascending within a document.
    :param title_counts: uint8, how often each of `terms` stands in the title.
    :param body_counts: uint8, how often in the abstract.
    :param gram_offsets: int64 (n + 1,), bounds of each document's distinct character n-grams.
    :param grams: uint32, hashes of the n-grams of title and abstract.
    """

    keys: Integers
    title: Floats
    body: Floats
    kind: Bytes
    programmes: Bytes
    province: Shorts
    visibility: Bytes
    owner: Integers
    ends: NDArray[np.int32]
    term_offsets: Integers
    terms: Hashes
    title_counts: Bytes
    body_counts: Bytes
    gram_offsets: Integers
    grams: Hashes

    def __len__(self) -> int:
        return len(self.keys)

    def save(self, folder: Path) -> None:
        """Write the arrays and make them durable; `folder` must not exist."""
        write_merged([(self, np.arange(len(self)))], folder)

    @classmethod
    def load(cls, folder: Path) -> Segment:
        """Map the arrays; nothing is read before it is used.

        :raises OSError, ValueError: if a file is missing or damaged.
        """
        return cls(**{field.name: map_array(folder / f"{field.name}.npy") for field in fields(cls)})

    def select(self, rows: Integers) -> Segment:
        """The documents at `rows`, in that order."""
        parts: dict[str, NDArray[Any]] = {}
        for offsets in ("term_offsets", "gram_offsets"):
            own: Integers = getattr(self, offsets)
            starts, stops = own[rows], own[rows + 1]
            parts[offsets] = np.concatenate([[0], np.cumsum(stops - starts)]).astype(np.int64)
            bounds = list(zip(starts.tolist(), stops.tolist(), strict=True))
            for name in (name for name, of in _RAGGED.items() if of == offsets):
                values: NDArray[Any] = getattr(self, name)
                # Copied list by list: four times as fast as picking the values by their positions.
                parts[name] = np.concatenate([values[:0], *(values[start:stop] for start, stop in bounds)])
        for field in fields(self):
            if field.name not in parts:
                parts[field.name] = getattr(self, field.name)[rows]
        return Segment(**parts)


def concatenate(segments: Sequence[Segment]) -> Segment:
    """All documents of several segments, in order."""
    parts: dict[str, NDArray[np.generic]] = {}
    for field in fields(Segment):
        arrays = [np.asarray(getattr(segment, field.name)) for segment in segments]
        if field.name.endswith("_offsets"):
            ends = np.cumsum([0, *(array[-1] for array in arrays)])
            arrays = [array[1:] + end for array, end in zip(arrays, ends, strict=False)]
            arrays.insert(0, np.zeros(1, np.int64))
        parts[field.name] = np.concatenate(arrays)
    return Segment(**parts)  # type: ignore[arg-type]


def write_merged(parts: Sequence[tuple[Segment, Integers]], folder: Path) -> None:
    """Write the documents at `rows` of several segments as one, in order, and make it durable.

    Only some documents are in memory at a time, however large the whole.

    :param folder: must not exist.
    """
    folder.mkdir(parents=True)
    total = sum(len(rows) for _, rows in parts)
    for field in fields(Segment):
        first = getattr(parts[0][0], field.name)
        if field.name.endswith("_offsets"):
            lengths = [np.diff(getattr(segment, field.name))[rows] for segment, rows in parts]
            offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
            write_array(folder / f"{field.name}.npy", offsets.shape, offsets.dtype, [offsets])
        elif field.name in _RAGGED:
            bounds = [getattr(segment, _RAGGED[field.name]) for segment, _ in parts]
            size = sum(int(np.diff(own)[rows].sum()) for own, (_, rows) in zip(bounds, parts, strict=True))
            write_array(folder / f"{field.name}.npy", (size,), first.dtype, _ragged_chunks(parts, field.name))
        else:
            chunks = (getattr(segment, field.name)[rows] for segment, rows in _chunks(parts))
            write_array(folder / f"{field.name}.npy", (total, *first.shape[1:]), first.dtype, chunks)


def _chunks(parts: Sequence[tuple[Segment, Integers]]) -> Iterator[tuple[Segment, Integers]]:
    for segment, rows in parts:
        for start in range(0, len(rows), CHUNK):
            yield segment, rows[start : start + CHUNK]


def _ragged_chunks(parts: Sequence[tuple[Segment, Integers]], name: str) -> Iterator[NDArray[np.generic]]:
    for segment, rows in _chunks(parts):
        offsets, values = getattr(segment, _RAGGED[name]), getattr(segment, name)
        if len(rows) and (np.diff(rows) == 1).all():  # in a row, and so are the values
            yield values[offsets[rows[0]] : offsets[rows[-1] + 1]]
        else:
            yield values[Ragged(offsets, values).take(rows)[0]]


def write_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], chunks: Iterable[NDArray[Any]]) -> None:
    """Write a ``.npy`` file from its consecutive parts and make it durable."""
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk).data)
        file.flush()
        os.fsync(file.fileno())


def map_array(path: Path) -> NDArray[Any]:
    """A ``.npy`` file as a plain read-only array over the mapped file.

    numpy's own memmap type makes each slice several times slower.

    :raises OSError, ValueError: if the file is missing or damaged.
    """
    with path.open("rb") as file:
        shape, dtype = _read_header(file)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = int(np.prod(shape))
        if len(mapped) != file.tell() + size * dtype.itemsize:
            raise ValueError(f"{path} has not the length that its header says")
        return np.frombuffer(mapped, dtype, size, file.tell()).reshape(shape)


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of what `write_array` wrote.

    numpy's own reader takes the header for a Python expression, and CPython 3.11 fails at random when two
    threads parse one at the same time (SystemError, CPython issue 106905).
    """
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{file.name} is of another version")
    length = int.from_bytes(file.read(2), "little")
    found = _HEADER.fullmatch(file.read(length))
    if not found:
        raise ValueError(f"{file.name} has a damaged header")
    return tuple(int(part) for part in found[2].split(b",") if part.strip()), np.dtype(found[1].decode())


def ragged_terms(
    documents: Iterable[tuple[Sequence[str], Sequence[str]]],
) -> tuple[Integers, Hashes, Bytes, Bytes]:
    """Count terms: documents of (title terms, abstract terms) to the four arrays of `Segment`."""
    offsets, hashes, titles, bodies = [0], [], [], []
    for title_terms, body_terms in documents:
        in_title, in_body = Counter(title_terms), Counter(body_terms)
        terms = sorted((zlib.crc32(term.encode("utf-8", "replace")), term) for term in in_title.keys() | in_body.keys())
        hashes += [hash_ for hash_, _ in terms]
        titles += [min(in_title[term], 255) for _, term in terms]
        bodies += [min(in_body[term], 255) for _, term in terms]
        offsets.append(len(hashes))
    return (
        np.array(offsets, np.int64),
        np.array(hashes, np.uint32),
        np.array(titles, np.uint8),
        np.array(bodies, np.uint8),
    )


def ragged_grams(documents: Iterable[Sequence[str]]) -> tuple[Integers, Hashes]:
    """Distinct n-grams of each document, as hashes."""
    lists = [np.unique(hash_terms(grams)) for grams in documents]
    offsets = np.cumsum([0, *(len(grams) for grams in lists)]).astype(np.int64)
    return offsets, np.concatenate([np.empty(0, np.uint32), *lists])
