"""Forms (技术需求表 and the like) to tables: labels become columns, each filled form becomes one row.

A document is a row of blocks: paragraphs and grids of cells. A grid is either a list, with a header above its
rows, or a form, with labels beside or above their values. Which label begins the next form is told by the
title: each form has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

from matcher.readers import labels
from matcher.readers.aliases import FIELDS, label, normalise
from matcher.readers.base import MAX_COLUMNS, Parts, Refused, Row, Table, clean_cell
from matcher.readers.columns import guess_kind, map_columns
from matcher.readers.header import Header, locate


class Covered(Enum):
    """Stands in a place that a merged cell covers, by where that cell begins."""

    LEFT = auto()
    ABOVE = auto()


#: Cells by row.
Grid = list[list[str | Covered]]
Block = str | Grid

#: A form is recognised by this many known labels.
MIN_LABELS = 2
#: A longer value of a label that nobody knows is a sentence, where a body stands before it.
MAX_PLAIN_CHARS = 30
#: A longer paragraph is no heading that could tell the kind.
MAX_HEADING_CHARS = 60


class Pair:
    """A label and the lines of its value, which may be empty."""

    __slots__ = ("label", "lines")

    def __init__(self, label: str, value: str = "") -> None:
        self.label = label
        self.lines = [value] if value else []

    @property
    def value(self) -> str:
        """The lines together."""
        return "\n".join(self.lines)


def is_form(grid: Grid) -> bool:
    """Say whether a grid is a form rather than a list under a header."""
    rows = sum(any(map(labels.is_known, row)) for row in _texts(grid))
    if rows < MIN_LABELS or _list_header(grid) is not None:
        return False
    pairs: list[Pair] = []
    _add_grid(pairs, grid)
    return sum(labels.is_known(pair.label) for pair in pairs if pair.lines) >= MIN_LABELS


def read_forms(blocks: Iterable[Block], name: str, filename: str) -> Parts:
    """Give the forms of a document as one table, and each list in it as another.

    The line of a form's row is the number of the form; that of a list's row, the row's number in its grid.

    :param name: of the part, kept as it is for the forms; lists are numbered.
    :param filename: says the kind where neither labels nor headings do.
    """
    pairs: list[Pair] = []
    headings: list[str] = []
    open_list: _List | None = None
    lists: list[_List] = []
    for block in blocks:
        if isinstance(block, str):
            # A paragraph between two grids ends what continues over a page.
            open_list = None if clean_cell(block) else open_list
            _add_paragraph(pairs, headings, block)
        elif header := _list_header(block):
            open_list = _List(header, list(_list_rows(header, block, header.index + 1)))
            lists.append(open_list)
        elif open_list and open_list.rows and _continues(open_list, block):
            open_list.rows.extend(_list_rows(open_list.header, block, 0, open_list.rows[-1].line))
        else:
            open_list = None
            _add_grid(pairs, block)
    heading = next((text for text in headings if guess_kind([], text)), "") or filename
    known = {pair.label for pair in pairs if labels.is_known(pair.label)}
    if len(known) >= MIN_LABELS or (known and _title_labels(pairs, None)):
        yield _forms_table(pairs, name, heading)
    for number, each in enumerate(lists, start=1):
        own = f"表格{number}" if len(lists) > 1 or pairs else ""
        part = " ".join(filter(None, (name, own)))
        if not each.rows:
            yield Refused(part, "只有表头，没有数据")
            continue
        filled = {column for row in each.rows for column in row.values}
        named = zip(each.header.names, each.header.cells, strict=True)
        columns = tuple(column for column, cell in named if cell or column in filled)
        yield Table(columns, each.rows, part, guess_kind(columns, name) or guess_kind([], heading))


# ---------------------------------------------------------------- lists


class _List(NamedTuple):
    header: Header
    rows: list[Row]


def _list_header(grid: Grid) -> Header | None:
    """Find the header of a list: most of its cells are known names, and none of the cells below is one."""
    rows = _texts(grid)
    header = locate(rows)
    if header is None or len(header.names) > MAX_COLUMNS:
        return None
    filled = [cell for cell in header.cells if cell]
    below = [cell for cells in rows[header.index + 1 :] for cell in cells if cell]
    if header.known * 2 <= len(filled) or header.known < MIN_LABELS or not below:
        return None
    return None if any(map(labels.is_known, below)) else header


def _list_rows(header: Header, grid: Grid, first: int, before: int = 0) -> Iterator[Row]:
    for number, cells in enumerate(_texts(grid)[first:], start=before + first + 1):
        if values := header.values(cells):
            yield Row(number, values)


def _continues(before: _List, grid: Grid) -> bool:
    """Say whether a grid goes on with the list of the page before, whose header is not repeated."""
    width = len(before.header.names)
    return all(len(cells) == width for cells in grid) and not any(
        labels.is_known(cell) for cells in _texts(grid) for cell in cells if cell
    )


def _texts(grid: Grid) -> list[list[str]]:
    return [[cell if isinstance(cell, str) else "" for cell in cells] for cells in grid]


# ---------------------------------------------------------------- forms


def _add_grid(pairs: list[Pair], grid: Grid) -> None:
    """Add the labels of a grid with their values to those of the grids before it."""
    waiting = False  # for the value of a label that fills its row
    spans: dict[int, int] = {}  # column -> index of the pair whose label covers this row too
    for at, cells in enumerate(grid):
        filled = [(place, clean_cell(cell)) for place, cell in enumerate(cells) if isinstance(cell, str)]
        while filled and not filled[-1][1] and len(filled) % 2:
            filled.pop()
        texts = [text for _, text in filled if text]
        covering = [place for place in spans if place < len(cells) and cells[place] is Covered.ABOVE]
        spans = {place: spans[place] for place in covering}
        if not texts:
            continue
        if spans and not any(map(labels.is_known, texts)):
            pairs[spans[max(spans)]].lines.append(" ".join(texts))
            continue
        if len(texts) == 1:
            # Beside an empty cell stands the rest of the value above, as where a page ends within a row.
            goes_on = bool(pairs) and len(filled) > 1 and not filled[0][1]
            waiting = _single(pairs, texts[0], waiting or goes_on)
            continue
        waiting = False
        if _is_covered(grid, at + 1, filled[0][0]) and len(filled) > 2 and labels.looks_like(filled[1][1]):
            filled = filled[1:]  # the name of a section, beside its rows
        for place, pair in _row_pairs(filled):
            if _is_covered(grid, at + 1, place):
                spans[place] = len(pairs)
            pairs.append(pair)


def _single(pairs: list[Pair], text: str, waiting: bool) -> bool:
    """Take a row of one filled cell; says whether its label waits for a value in the next row."""
    if (divided := labels.divide(text)) and (labels.is_known(divided[0]) or not waiting):
        pairs.append(Pair(*divided))
        return not divided[1]
    if labels.is_known(text):
        pairs.append(Pair(labels.clean_label(text)))
        return True
    if waiting:
        pairs[-1].lines.append(text)
    return waiting


def _row_pairs(filled: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Pair]]:
    """Divide the cells of one row, empty ones among them, into labels and values."""
    at = 0
    while at < len(filled):
        place, text = filled[at]
        at += 1
        if not text:
            continue
        if divided := labels.divide(text):
            yield place, Pair(*divided)
        elif labels.looks_like(text) and at < len(filled):
            value = filled[at][1]
            # Two labels side by side: the first has no value, unless only two cells make the row.
            if len(filled) > 2 and labels.is_known(value) and labels.is_known(text):
                yield place, Pair(labels.clean_label(text))
                continue
            at += 1
            yield place, Pair(labels.clean_label(text), labels.ticked(value))
        elif labels.is_known(text):
            yield place, Pair(labels.clean_label(text))


def _is_covered(grid: Grid, at: int, place: int) -> bool:
    return at < len(grid) and place < len(grid[at]) and grid[at][place] is Covered.ABOVE


def _add_paragraph(pairs: list[Pair], headings: list[str], text: str) -> None:
    for line in clean_cell(text).split("\n"):
        for piece in labels.pieces(line):
            piece = clean_cell(piece)
            if not piece:
                continue
            if (divided := labels.divide(piece)) and not _is_prose(pairs, *divided):
                pairs.append(Pair(*divided))
            elif labels.is_known(piece) and not guess_kind([], piece):
                pairs.append(Pair(labels.clean_label(piece)))
            elif pairs and not (len(piece) <= MAX_HEADING_CHARS and guess_kind([], piece)):
                pairs[-1].lines.append(piece)
            else:
                headings.append(piece[:MAX_HEADING_CHARS])


def _is_prose(pairs: Sequence[Pair], label: str, value: str) -> bool:
    """Say whether `其次：…` is a sentence of the body before it rather than the next label."""
    if not pairs or labels.is_known(label) or labels.BODY.search(label):
        return False
    is_long = len(value) > MAX_PLAIN_CHARS or value.endswith(("。", "；", "，", ";"))
    return is_long and labels.BODY.search(pairs[-1].label) is not None


def _forms_table(pairs: Sequence[Pair], name: str, heading: str) -> Table:
    kind = guess_kind(dict.fromkeys(pair.label for pair in pairs), heading) or guess_kind([], heading)
    rows = []
    for number, form in enumerate(_divide(pairs, kind), start=1):
        values: dict[str, str] = {}
        for pair in form:
            if pair.lines:
                values.setdefault(pair.label, pair.value)
        if values:
            rows.append(Row(number, _gathered(values, kind)))
    columns = tuple(dict.fromkeys(column for row in rows for column in row.values))
    return Table(columns, rows, name, kind)


def _divide(pairs: Sequence[Pair], kind: str | None) -> list[list[Pair]]:
    """Divide the pairs of a document into its forms, each with one title.

    Where all forms begin with the same label, that label divides them. Otherwise the title does, and what
    stands above the first title, as the name of the enterprise, holds for all.
    """
    titles = _title_labels(pairs, kind)
    at_title = [at for at, pair in enumerate(pairs) if pair.label in titles and pair.lines]
    if len(at_title) < 2:
        return [list(pairs)]
    first = pairs[0].label
    starts = [0]
    for before, title in pairwise(at_title):
        again = [at for at in range(before + 1, title + 1) if pairs[at].label == first]
        starts.append(again[-1] if again else title)
    forms = [list(pairs[start:end]) for start, end in zip(starts, [*starts[1:], len(pairs)], strict=True)]
    head = list(pairs[: at_title[0]])
    if head and all(form[0].label != first for form in forms[1:]):
        ids = set(map(normalise, FIELDS[kind or "need"]["source_id"]))
        shared = [pair for pair in head if normalise(pair.label) not in ids]
        forms[1:] = [[*form, *shared] for form in forms[1:]]
    return forms


def _title_labels(pairs: Sequence[Pair], kind: str | None) -> set[str]:
    """Give the one label that is the title in this document, by the order of the title's names."""
    kinds = [kind] if kind else list(FIELDS)
    for each in kinds:
        present = list(dict.fromkeys(pair.label for pair in pairs))
        if column := map_columns(present, each).fields.get("title"):
            return {column}
    return set()


def _gathered(values: dict[str, str], kind: str | None) -> dict[str, str]:
    """Put together what a form asks for one by one: the parts of the body, and how to reach the person."""
    if kind is None:
        return values
    columns = map_columns(list(values), kind)
    contacts = set(map(normalise, FIELDS[kind]["contact"]))
    more = [column for column in columns.unused if labels.BODY.search(column)]
    reach = [column for column in columns.unused if normalise(column) in contacts]
    gathered = {column: value for column, value in values.items() if column not in (*more, *reach)}
    if more:
        body = columns.fields.get("abstract") or label(kind, "abstract")
        parts = [values.get(body, ""), *(f"{column}：{values[column]}" for column in more)]
        gathered[body] = "\n".join(filter(None, parts))
    if reach:
        contact = columns.fields["contact"]
        gathered[contact] = " ".join((values[contact], *(values[column] for column in reach)))
    return gathered
