"""Reads Word documents (.docx, .docm): the paragraphs and tables of the body, as forms and lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lxml import etree

from matcher.readers.base import Parts, Table, unreadable
from matcher.readers.forms import Block, Covered, Grid, read_forms
from matcher.readers.zips import open_zip

#: All parts of a document together, pictures among them.
MAX_UNPACKED_BYTES = 500_000_000
#: The part with the text: 30 million characters would stay below.
MAX_TEXT_BYTES = 64_000_000
#: Columns that cells claim to span; Word itself allows 63.
MAX_SPAN = 63
MAX_CELLS = 200_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_W_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_BODY = "word/document.xml"
_MACROS = "文件带有宏；宏没有运行，也没有读入。"
_SAVE_AGAIN = "请用 Word 或 WPS 打开后另存为 docx 再导入"
# Text that is no longer there, the text box's second copy for old programs, and notes.
_LEFT_OUT = {"del", "moveFrom", "Fallback", "instrText", "pPr", "rPr", "tblPr", "tcPr", "trPr", "sdtPr"}


def read_docx(path: Path) -> Parts:
    """Read the forms and lists of a document.

    :raises UnreadableFile: damaged, too large, with a DTD, or without any form or list.
    """
    with open_zip(path, MAX_UNPACKED_BYTES) as archive:
        names = set(archive.namelist())
        if archive.getinfo(_BODY).file_size > MAX_TEXT_BYTES:
            raise unreadable(path, "文档正文太大", "请拆成几个文件再导入")
        content = archive.read(_BODY)
    note = _MACROS if "word/vbaProject.bin" in names else ""
    is_empty = True
    for part in read_forms(_blocks(path, content), "", path.name):
        is_empty = False
        yield replace(part, note=note) if isinstance(part, Table) else part
    if is_empty:
        advice = "请确认每项都写成“标签：内容”，或放在“标签｜内容”的表格里，例如“需求名称”"
        raise unreadable(path, "这个 Word 文档里没有找到需求表或成果表", advice)


def _blocks(path: Path, content: bytes) -> Iterator[Block]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise unreadable(path, "这个 Word 文档已损坏", _SAVE_AGAIN) from error
    if root.getroottree().docinfo.doctype:
        # No office program writes one; it can only be there to define entities.
        raise unreadable(path, "这个 Word 文档里夹带了 DTD 定义", _SAVE_AGAIN)
    cells = 0
    for element in _content(root):
        if _name(element) == "p":
            yield _paragraph(element)
        else:
            grid = _grid(element)
            cells += sum(map(len, grid))
            if cells > MAX_CELLS:
                raise unreadable(path, f"表格超过 {MAX_CELLS // 10_000} 万格", "请另存为 xlsx 或 csv 再导入")
            yield grid


def _content(element: etree._Element, wanted: tuple[str, ...] = ("p", "tbl")) -> Iterator[etree._Element]:
    """Find the nearest elements of these names, whatever wraps them: content controls, revisions, sections."""
    waiting = list(reversed(element))
    while waiting:
        child = waiting.pop()
        name = _name(child)
        if name in wanted:
            yield child
        elif name not in _LEFT_OUT:
            waiting.extend(reversed(child))


def _grid(table: etree._Element) -> Grid:
    grid: Grid = []
    for row in _content(table, ("tr",)):
        cells: list[str | Covered] = [""] * min(_number(row, "trPr/gridBefore"), MAX_SPAN)
        for cell in _content(row, ("tc",)):
            merged = cell.find(_path(cell, "tcPr/vMerge"))
            continues = merged is not None and merged.get(f"{_space(cell)}val", "continue") == "continue"
            cells.append(Covered.ABOVE if continues else _cell(cell))
            more = min(_number(cell, "tcPr/gridSpan"), MAX_SPAN) - 1
            cells.extend([Covered.ABOVE if continues else Covered.LEFT] * more)
        grid.append(cells)
    return grid


def _cell(cell: etree._Element) -> str:
    # A table within a cell is read as the lines of text it shows.
    return "\n".join(filter(None, map(_paragraph, _content(cell, ("p",)))))


def _paragraph(paragraph: etree._Element) -> str:
    """Give the text of a paragraph as it shows."""
    texts: list[str] = []
    waiting = list(reversed(paragraph))
    while waiting:
        element = waiting.pop()
        name = _name(element)
        if name == "t":
            texts.append(element.text or "")
        elif name in ("br", "cr"):
            texts.append("\n")
        elif name == "tab":
            texts.append("\t")
        elif name == "checkBox":
            texts.append("☑" if _is_checked(element) else "□")
        elif name == "sym":
            texts.append(_symbol(element))
        elif name not in _LEFT_OUT:
            waiting.extend(reversed(element))
    return "".join(texts)


def _is_checked(box: etree._Element) -> bool:
    for name in ("checked", "default"):
        state = box.find(_path(box, name))
        if state is not None:
            return state.get(f"{_space(box)}val", "1") not in ("0", "false", "off")
    return False


def _symbol(element: etree._Element) -> str:
    """Give the box that a sign of the font Wingdings shows; other signs of such fonts say nothing."""
    code = element.get(f"{_space(element)}char", "")[-2:].upper()
    return {"A8": "□", "6F": "□", "FE": "☑", "FC": "✔", "FD": "☒", "52": "☑"}.get(code, "")


def _number(element: etree._Element, path: str) -> int:
    found = element.find(_path(element, path))
    text = found.get(f"{_space(element)}val", "") if found is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _path(element: etree._Element, path: str) -> str:
    return "/".join(_space(element) + name for name in path.split("/"))


def _space(element: etree._Element) -> str:
    return _W_STRICT if str(element.tag).startswith(_W_STRICT) else _W


def _name(element: etree._Element) -> str:
    """Give the local name of an element; nothing for a comment or an entity."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
