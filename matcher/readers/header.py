"""Finds the header row below titles and notes, and turns the cells of the other rows into values by name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matcher.readers.aliases import is_known
from matcher.readers.base import MAX_COLUMNS, clean_cell

#: The header is looked for in this many rows: forms carry a title and filling notes, never pages of them.
HEADER_ROWS = 30
#: A longer cell is a sentence, not a column name.
MAX_NAME_CHARS = 40

_REQUIRED = re.compile(r"^[*:]+|(?:[*:]|\((?:必填|必填项|选填|required)\))+$")
_NOTE = re.compile(r"^(?:填表|填报|注意|提示)|:.")
_NUMBER = re.compile(r"[-+\d.,%/: ]+")


@dataclass(frozen=True)
class Header:
    """The header row: where it stands, its cleaned cells, and a name for every position.

    :param index: its place among the rows that were looked at, from 0.
    :param names: one more than `MAX_COLUMNS` where there are too many; readers refuse such a table.
    :param known: how many of its cells are names that some kind of record knows.
    """

    index: int
    cells: tuple[str, ...]
    names: tuple[str, ...]
    known: int

    def columns(self, sample: Iterable[Sequence[str]]) -> tuple[str, ...]:
        """Name the columns: those with a name, and those without one that have data in the sample."""
        filled = {at for cells in sample for at, cell in enumerate(cells) if clean_cell(cell)}
        return tuple(name for at, name in enumerate(self.names) if self.cells[at] or at in filled)

    def values(self, cells: Sequence[str]) -> dict[str, str]:
        """Give the non-empty cells by column name; nothing for an empty row and for the header repeated."""
        values = {name: text for name, cell in zip(self.names, cells, strict=False) if (text := clean_cell(cell))}
        return {} if values and self._is_repeated(values) else values

    def surplus(self, cells: Sequence[str]) -> bool:
        """Say whether a row has data beyond the last position of the header."""
        return len(cells) > len(self.names) and any(cell and clean_cell(cell) for cell in cells[len(self.names) :])

    def _is_repeated(self, values: dict[str, str]) -> bool:
        return all(cell == clean_name(values.get(name, "")) for name, cell in zip(self.names, self.cells, strict=True))


def clean_name(cell: str) -> str:
    """Clean a column name: NFKC, no white space, no marks of a required column."""
    name = "".join(unicodedata.normalize("NFKC", clean_cell(cell)).split())
    return _REQUIRED.sub("", name)


def locate(rows: Sequence[Sequence[str]], allow_single: bool = False) -> Header | None:
    """Find the header among the first rows of a table.

    It is the row with most known names, if two or more; else the first that looks like names.

    :param allow_single: also accept a table of one column, if the name of that column is known.
    """
    looked_at = [[clean_name(cell) for cell in _narrow(cells)] for cells in rows[:HEADER_ROWS]]
    known = [sum(map(is_known, set(cells))) for cells in looked_at]
    best = max(range(len(known)), key=lambda at: (known[at], -at), default=-1)
    if best < 0:
        return None
    if known[best] < 2 and not (known[best] == 1 and _looks_like_names(looked_at[best])):
        best = next((at for at, cells in enumerate(looked_at) if _looks_like_names(cells)), -1)
    if best < 0 and allow_single:
        best = _single_name(looked_at)
    if best < 0:
        return None
    cells = _with_upper_names(looked_at, best)
    return Header(best, cells, _distinct(cells), known[best])


def _narrow(cells: Sequence[str]) -> Sequence[str]:
    """Cut a row that is too wide to one cell more than is allowed, not counting empty cells at its end."""
    if len(cells) <= MAX_COLUMNS:
        return cells
    end = next((at for at in range(len(cells), 0, -1) if cells[at - 1].strip()), 0)
    return cells[: min(max(end, 1), MAX_COLUMNS + 1)]


def _looks_like_names(cells: Sequence[str]) -> bool:
    names = {cell for cell in cells if cell}
    return len(names) > 1 and all(map(_looks_like_name, names))


def _looks_like_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_CHARS and not _NUMBER.fullmatch(name) and not _NOTE.search(name)


def _single_name(rows: Sequence[Sequence[str]]) -> int:
    first = next((at for at, cells in enumerate(rows) if any(cells)), -1)
    is_single = all(sum(map(bool, cells)) <= 1 for cells in rows)
    return first if is_single and first >= 0 and any(map(is_known, rows[first])) else -1


def _with_upper_names(rows: Sequence[Sequence[str]], at: int) -> tuple[str, ...]:
    """Give the cells of the header; an empty one takes the name above it, as in headers of two rows."""
    cells = list(rows[at])
    above = rows[at - 1] if at else ()
    if sum(map(bool, above)) > 1:
        for place, name in enumerate(above[: len(cells)]):
            if not cells[place] and _looks_like_name(name):
                cells[place] = name
    return tuple(cells)


def _distinct(cells: Sequence[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    taken = set(cells)
    numbers: Counter[str] = Counter()
    for at, cell in enumerate(cells):
        name = base = cell or f"列{at + 1}"
        while name in names or (name != cell and name in taken):
            numbers[base] += 1
            name = f"{base}_{numbers[base] + 1}"
        names[name] = None
    return tuple(names)
