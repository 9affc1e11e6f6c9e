"""Lines of delimited text to records of cells: quotes, cells over several lines, quotes never closed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from matcher.readers.base import MAX_CELL_CHARS, BadRow, bad_row
from matcher.readers.encoding import Line

#: A quoted cell over more lines is taken for an unclosed quote: long abstracts have some dozens of lines.
MAX_CELL_LINES = 1000
#: What remains of that in a file with many unclosed quotes; a guess.
MIN_CELL_LINES = 20

_UNCLOSED = "引号没有闭合，请检查这一行的英文双引号"
# From inside a quoted cell: everything up to the quote that is not doubled.
_UP_TO_QUOTE = re.compile(r'[^"]*+(?:""[^"]*+)*+"')
_OPEN = re.compile(r' *"[^"]*+(?:""[^"]*+)*+\Z')


class Record(NamedTuple):
    """The cells of one record and the line on which it starts."""

    line: int
    cells: list[str]


class _Block(NamedTuple):
    """A quoted cell read over several lines; `used` lines belong to it, `text` is None if it never closes."""

    used: list[Line]
    text: str | None


def records(lines: Iterable[Line], delimiter: str, width: int | None = None) -> Iterator[Record | BadRow]:
    """Cut lines into records.

    :param width: how many cells the header has, if known. It tells a stray quote inside a long cell from
        an unclosed one: where a line by itself is a whole record, the quote before it was never closed.
    """
    source = iter(lines)
    waiting: deque[Line] = deque()
    patience = MAX_CELL_LINES

    def following() -> Iterator[Line]:
        while True:
            line = waiting.popleft() if waiting else next(source, None)
            if line is None:
                return
            yield line

    for line in following():
        if line.fault is not None:
            yield bad_row(line.number, line.fault, line.text)
            continue
        cells, is_open = split(line.text, delimiter)
        size = len(line.text)
        if is_open:
            used, text = _block(line, following(), delimiter, width, patience)
            if text is None:
                if len(used) > patience:
                    # Each search in vain halves the next: a file full of stray quotes stays linear.
                    patience = max(MIN_CELL_LINES, patience // 2)
                waiting.extendleft(reversed(used[1:]))
                yield bad_row(line.number, _UNCLOSED, line.text)
                continue
            fault = next((each.fault for each in used if each.fault is not None), None)
            if fault is not None:
                yield bad_row(line.number, fault, line.text)
                continue
            cells, _ = split(text, delimiter)
            size = len(text)
        if size > MAX_CELL_CHARS and max(map(len, cells)) > MAX_CELL_CHARS:
            yield bad_row(line.number, f"有一格超过 {MAX_CELL_CHARS // 10_000} 万字，太长", line.text)
        else:
            yield Record(line.number, cells)


def split(text: str, delimiter: str) -> tuple[list[str], bool]:
    """Cut one line into cells and say whether its last cell is quoted and not closed on it.

    A quote counts only where it encloses a whole cell, so `"高效"节能` and `5" 管` stay as they are.
    """
    if '"' not in text:
        return text.split(delimiter), False
    quoted = _quoted(delimiter)
    cells: list[str] = []
    at = 0
    while True:
        if match := quoted.match(text, at):
            cells.append(match[1].replace('""', '"'))
            end = match.end()
        elif _OPEN.match(text, at):
            return cells, True
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            cells.append(text[at:end])
        if end >= len(text):
            return cells, False
        at = end + 1


def _block(
    first: Line,
    following: Iterator[Line],
    delimiter: str,
    width: int | None,
    patience: int,
) -> _Block:
    """Read on from a line with an open quote to the line that closes it, over at most `patience` lines."""
    used, texts, size = [first], [first.text], len(first.text)
    while len(used) <= patience and size <= MAX_CELL_CHARS:
        line = next(following, None)
        if line is None:
            break
        used.append(line)
        size += len(line.text)
        text, is_closed = _inside(line.text, delimiter, width)
        if text is None:
            break
        texts.append(text)
        if is_closed:
            whole = "\n".join(texts)
            if not split(whole, delimiter)[1]:
                return _Block(used, whole)
    return _Block(used, None)


def _inside(text: str, delimiter: str, width: int | None) -> tuple[str | None, bool]:
    """Read a line that begins inside a quoted cell: its text, stray quotes doubled, and whether it closes.

    The text is None where the line shows that the cell should have been closed before it.
    """
    after_cell = _after_cell(delimiter)
    pieces: list[str] = []
    at = 0
    while match := _UP_TO_QUOTE.match(text, at):
        pieces.append(match[0])
        at = match.end()
        if after_cell.match(text, at):
            return "".join(pieces) + text[at:], True
        if len(pieces) == 1 and _is_whole_record(text, delimiter, width):
            return None, False
        pieces.append('"')
    return "".join(pieces) + text[at:], False


def _is_whole_record(text: str, delimiter: str, width: int | None) -> bool:
    cells, is_open = split(text, delimiter)
    return not is_open and (len(cells) == width if width else len(cells) > 1)


@cache
def _quoted(delimiter: str) -> re.Pattern[str]:
    return re.compile(rf' *"([^"]*+(?:""[^"]*+)*+)" *(?={re.escape(delimiter)}|\Z)')


@cache
def _after_cell(delimiter: str) -> re.Pattern[str]:
    return re.compile(rf" *(?:{re.escape(delimiter)}|\Z)")
