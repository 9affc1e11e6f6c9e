"""Reads delimited text: CSV, TSV and their relatives, in any encoding that Chinese offices use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from matcher.readers.base import MAX_COLUMNS, BadRow, LazyRows, Parts, Row, Table, bad_row, too_wide, unreadable
from matcher.readers.encoding import TOO_LONG, Encoding, Line, detect, lines
from matcher.readers.header import Header, locate
from matcher.readers.records import Record, records

#: Tried in this order; the Chinese `，` stands inside sentences and never delimits.
DELIMITERS = (",", "\t", ";", "|")
#: "Delimits" a table of one column: lines never hold it, for NUL bytes are dropped on reading.
NO_DELIMITER = "\0"
#: The delimiter, the header and the unnamed columns are decided on this many lines of at most that many
#: characters together: enough to see past titles and notes, and read in a moment.
SAMPLE_LINES = 200
SAMPLE_CHARS = 4_000_000
#: Without a single known column name, this share of the rows has to have as many cells as the header:
#: prose with commas falls below, tables with a few ragged rows stay above.
MIN_EVEN_SHARE = 0.5

_ADVICE = "请用 Excel 或 WPS 打开后另存为 xlsx，或另存为 UTF-8 编码的 csv，再导入"
# Spreadsheets are made to keep leading zeros by writing ="007".
_FORMULA_TEXT = re.compile(r'\A="([^"]*)"\s*\Z')


class _Layout(NamedTuple):
    delimiter: str
    header: Header
    header_line: int
    sample: list[Record]
    even_share: float


def read_parts(path: Path) -> Parts:
    """Give a delimited text file as its one part.

    :raises UnreadableFile: as `read_delimited` does.
    """
    yield read_delimited(path)


def read_delimited(path: Path) -> Table:
    """Open a delimited text file as a table.

    :raises UnreadableFile: it is no text, has no header that could be found, or nothing below the header.
    """
    encoding = detect(path)
    if encoding is None:
        raise unreadable(path, "内容不是文字表格，或者编码无法识别", _ADVICE)
    layout = _layout(path, encoding)
    if layout is None:
        what = "里面没有找到表头，看不出是一张表（第一行应是用逗号或制表符隔开的列名）"
        raise unreadable(path, what, _ADVICE)
    rows = LazyRows(lambda: _rows(path, encoding, layout))
    if next(iter(rows), None) is None:
        raise unreadable(path, "只有表头，没有数据", "请确认导出时选中了数据行")
    return Table(layout.header.columns(record.cells for record in layout.sample), rows)


def _rows(path: Path, encoding: Encoding, layout: _Layout) -> Iterator[Row | BadRow]:
    header = layout.header
    width = len(header.names)
    for item in records(lines(path, encoding), layout.delimiter, width):
        if item.line <= layout.header_line:
            continue
        if isinstance(item, BadRow):
            yield item
            continue
        if not any(item.cells):
            continue
        cells = [_FORMULA_TEXT.sub(r"\1", cell) if cell.startswith("=") else cell for cell in item.cells]
        if header.surplus(cells):
            reason = f"这一行有 {len(cells)} 格，表头只有 {width} 列，请检查是否有多余的分隔符"
            yield bad_row(item.line, reason, layout.delimiter.join(cells))
        elif values := header.values(cells):
            yield Row(item.line, values)


def _layout(path: Path, encoding: Encoding) -> _Layout | None:
    sample = _sample(path, encoding)
    first, fault = next(((line.text, line.fault) for line in sample if line.text.strip()), ("", None))
    if fault == TOO_LONG:
        raise unreadable(path, f"第一行就有错：{fault}", _ADVICE)
    if (widest := max(len(first.rstrip(f"{each} ").split(each)) for each in DELIMITERS)) > MAX_COLUMNS:
        raise too_wide(path, widest)
    found = [layout for each in DELIMITERS if (layout := _try(sample, each)) and _is_credible(layout)]
    if found:
        # max keeps the first of equals, which is the more usual delimiter.
        return max(found, key=lambda layout: (layout.header.known, layout.even_share))
    # Without a delimiter, only the suffix tells a list with a known title from prose with a heading.
    return _try(sample, NO_DELIMITER) if path.suffix.lower() in {".csv", ".tsv"} else None


def _sample(path: Path, encoding: Encoding) -> list[Line]:
    sample: list[Line] = []
    size = 0
    for line in lines(path, encoding):
        sample.append(line)
        size += len(line.text)
        if len(sample) >= SAMPLE_LINES or size >= SAMPLE_CHARS:
            break
    return sample


def _try(sample: list[Line], delimiter: str) -> _Layout | None:
    found = [item for item in records(sample, delimiter) if isinstance(item, Record)]
    header = locate([record.cells for record in found], allow_single=delimiter == NO_DELIMITER)
    if header is None:
        return None
    top = found[header.index]
    below = [record for record in found[header.index + 1 :] if any(record.cells)]
    even = sum(len(record.cells) == len(header.names) for record in below)
    share = even / len(below) if below else 1.0
    return _Layout(delimiter, header, top.line, below, share)


def _is_credible(layout: _Layout) -> bool:
    if len(layout.header.names) > MAX_COLUMNS:
        return False
    return layout.header.known > 1 or layout.even_share >= MIN_EVEN_SHARE
