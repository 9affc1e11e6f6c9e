"""Reads PDF documents with pdfplumber: ruled tables and the lines between them, as forms and lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from matcher.readers import labels
from matcher.readers.base import Parts, unreadable
from matcher.readers.forms import Block, Covered, Grid, read_forms

#: More pages are no collection of forms; it takes some 0.1 s to read one.
MAX_PAGES = 300
#: Letters, lines and rectangles of one page: a drawing has more, a page of text some 2,000.
MAX_OBJECTS = 50_000

# A wrapped line ends at most this many times its height before the edge: punctuation may not begin a line.
_RAGGED = 2.5
# Points within which two lines meet.
_NEAR = 3.0
_PAGE_NUMBER = re.compile(r"\s*(?:第?\s*\d{1,4}\s*页?(?:\s*[/,，共]+\s*\d{1,4}\s*页?)?|[-—]\s*\d{1,4}\s*[-—])\s*")
_ADVICE = "请提供原来的 Word 或 Excel 文件，或把内容填到 xlsx、csv 里再导入"
# Where a cell's or paragraph's line was only wrapped: no end of a sentence, no next item of a list.
_WRAP = re.compile(r"(?<=[^\s。；;！？!?])\n(?!\s*(?:[（(]?\d{1,2}[)）.、]|[一二三四五六七八九十]{1,2}、|[•·●◆①-⑳]))")
_LATIN_WRAP = re.compile(r"(?<=[A-Za-z0-9,])\n(?=[A-Za-z0-9])")


def read_pdf(path: Path) -> Parts:
    """Read the forms and lists of a document.

    :raises UnreadableFile: damaged, protected, too long, only pictures, or without any form or list.
    """
    is_empty = True
    for part in read_forms(list(_blocks(path)), "", path.name):
        is_empty = False
        yield part
    if is_empty:
        raise unreadable(path, "这个 PDF 里没有找到需求表或成果表", _ADVICE)


def _blocks(path: Path) -> Iterator[Block]:
    import pdfplumber
    from pdfplumber.utils.exceptions import PdfminerException

    has_text = False
    try:
        with pdfplumber.open(path) as document:
            pages = list(islice(document.pages, MAX_PAGES + 1))
            if len(pages) > MAX_PAGES:
                raise unreadable(path, f"这个 PDF 超过 {MAX_PAGES} 页", "请只导入其中的表格部分")
            for page in pages:
                if sum(map(len, page.objects.values())) > MAX_OBJECTS:
                    raise unreadable(path, f"这个 PDF 的第 {page.page_number} 页内容太密，像是图纸", _ADVICE)
                for block in _page(page):
                    has_text = True
                    yield block
                page.close()
    except PdfminerException as error:
        if error.args and isinstance(error.args[0], MemoryError):
            raise error.args[0] from error
        if "Password" in repr(error):
            raise unreadable(path, "这个 PDF 带有密码", "请去掉密码，另存后再导入") from error
        raise unreadable(path, "这个 PDF 已损坏", _ADVICE) from error
    if not has_text:
        raise unreadable(path, "这个 PDF 里没有文字，可能是扫描的图片", _ADVICE)


def _page(page: Any) -> list[Block]:
    """Give the tables of a page and the lines outside of them, from top to bottom."""
    # A frame around the page is a table of one cell; what it holds are lines.
    found = page.find_tables({"explicit_horizontal_lines": _missing_edges(page)})
    tables = [table for table in found if len(table.cells) > 1]
    boxes = [table.bbox for table in tables]
    placed: list[tuple[float, Block]] = [(table.bbox[1], _grid(table)) for table in tables]
    outside = page.filter(lambda item: item.get("object_type") != "char" or not _is_within(item, boxes))
    lines = outside.extract_text_lines(return_chars=False)
    placed += _paragraphs([line for line in lines if not _PAGE_NUMBER.fullmatch(line["text"])], page.width / 2)
    return [block for _, block in sorted(placed, key=lambda each: each[0]) if block]


def _missing_edges(page: Any) -> list[float]:
    """Give where the upright lines of a page begin and end without a line across: a row goes on over pages."""
    upright = [edge for edge in page.edges if edge["orientation"] == "v"]
    across = [edge["top"] for edge in page.edges if edge["orientation"] == "h"]
    if not upright:
        return []
    ends = (min(edge["top"] for edge in upright), max(edge["bottom"] for edge in upright))
    return [end for end in ends if all(abs(end - place) > _NEAR for place in across)]


def _paragraphs(lines: list[dict[str, Any]], shortest: float) -> Iterator[tuple[float, Block]]:
    """Join the lines that were only wrapped: long ones that reach the edge, and no label begins the next."""
    edge = max((line["x1"] for line in lines), default=0.0)
    text, top, goes_on = "", 0.0, False
    for line in lines:
        new = str(line["text"]).strip()
        if goes_on and not labels.divide(labels.pieces(new)[0]):
            text = _unwrapped(f"{text}\n{new}")
        else:
            yield top, text
            text, top = new, float(line["top"])
        height = line["bottom"] - line["top"]
        goes_on = line["x1"] - line["x0"] > shortest and line["x1"] > edge - _RAGGED * height
    yield top, text


def _grid(table: Any) -> Grid:
    """Give the cells of a table; one that is not there is covered by the cell above if that reaches down to it."""
    grid: Grid = []
    for row, texts in zip(table.rows, table.extract(), strict=True):
        top, bottom = row.bbox[1], row.bbox[3]
        middle = (top + bottom) / 2
        cells: list[str | Covered] = []
        for box, text, column in zip(row.cells, texts, table.columns, strict=True):
            if box is not None:
                cells.append(_unwrapped(text or ""))
                continue
            x = (column.bbox[0] + column.bbox[2]) / 2
            above = (each for each in table.cells if each[0] <= x <= each[2] and each[1] < top - 1)
            reaches = any(each[3] > middle for each in above)
            cells.append(Covered.ABOVE if reaches else Covered.LEFT)
        grid.append(cells)
    return grid


def _unwrapped(text: str) -> str:
    return _WRAP.sub("", _LATIN_WRAP.sub(" ", text))


def _is_within(item: dict[str, Any], boxes: list[tuple[float, float, float, float]]) -> bool:
    x, y = (item["x0"] + item["x1"]) / 2, (item["top"] + item["bottom"]) / 2
    return any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)
