"""Opens a file as tables: tells by its content, then by its suffix, which reader it is for."""

from __future__ import annotations

import codecs
import re
import sys
from pathlib import Path

from matcher.readers.aliases import is_known
from matcher.readers.apart import read_apart
from matcher.readers.archive import read_archive
from matcher.readers.base import (
    MAX_FILE_BYTES,
    LazyRows,
    Parts,
    Refused,
    Table,
    size_text,
    unreadable,
    unreadable_os,
)
from matcher.readers.formats import FORMATS
from matcher.readers.jsonl import is_large_document
from matcher.readers.zips import open_zip

#: Enough for every signature below, and for a page's first tag after its comments.
HEAD_BYTES = 4096

_JSON_SUFFIXES = {".json", ".jsonl", ".ndjson"}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF = b"%PDF-"
_SAVE_AGAIN = "请用 Excel 或 WPS 打开后另存为 xlsx 或 csv 再导入"
_EXPORT = "请从原系统导出为 xlsx、csv 或 jsonl 再导入"
_NO_TABLE: tuple[tuple[bytes, str, str], ...] = (
    (b"\xff\xd8\xff", "这是 JPEG 图片，不是表格", _EXPORT),
    (b"\x89PNG", "这是 PNG 图片，不是表格", _EXPORT),
    (b"GIF8", "这是 GIF 图片，不是表格", _EXPORT),
    (b"{\\rtf", "这是 RTF 文档，不是表格", _EXPORT),
    (b"Rar!", "这是 RAR 压缩包，不是表格", "请先解压，再导入里面的表格"),
    (b"7z\xbc\xaf\x27\x1c", "这是 7z 压缩包，不是表格", "请先解压，再导入里面的表格"),
    (b"\x1f\x8b", "这是 gzip 压缩包，不是表格", "请先解压，再导入里面的表格"),
    (b"SQLite format 3\0", "这是 SQLite 数据库，不是表格", _EXPORT),
    (b"PAR1", "这是 Parquet 文件，暂不支持", _EXPORT),
)
_MARKUP = re.compile(r"<(?:!doctype|!--|\?xml|html|head|meta|body|table|style)\b|<!--", re.IGNORECASE)
_XML = re.compile(r"<\?xml\b|<(?:[\w-]+:)?[\w-]*patent[\w-]*[\s>]|<exchange-documents?[\s>]", re.IGNORECASE)
_HTML = re.compile(r"<html\b|<!doctype html", re.IGNORECASE)
# An object or an array of objects. A table may begin with a bracket too, as in `[编号],名称`.
_JSON = re.compile(r"\{\s*[\"}]|\{\s*\Z|\[\s*[\[{\]]|\[\s*\Z")


def read_tables(path: Path, max_bytes: int = MAX_FILE_BYTES) -> Parts:
    """Read a file part by part: each sheet, form and member of an archive that is a table, or why it is none.

    A table's rows can be read until the next part is asked for.

    :param max_bytes: of the file, and of an archive's members together, unpacked.
    :raises UnreadableFile: the file cannot be read; the message says why and what to do.
    """
    return _parts(path, max_bytes, is_member=False)


def read_table(path: Path) -> Table:
    """Open a file as one table; its rows are read while they are iterated.

    Of several tables it is the one whose header looks most like records, and those of the same header after it.

    :raises UnreadableFile: the file cannot be read as a table; the message says why and what to do.
    """
    if format_of(path) == "zip":
        raise unreadable(path, "这是压缩包，不是表格", "请先解压，再使用里面的表格")
    parts = list(read_tables(path))
    tables = [part for part in parts if isinstance(part, Table)]
    best = max(tables, key=lambda each: sum(map(is_known, each.columns)), default=None)
    if best is None:
        reasons = "；".join(part.reason for part in parts if isinstance(part, Refused))
        raise unreadable(path, f"里面没有表格（{reasons}）", _EXPORT)
    chosen = [each for each in tables if each.columns == best.columns]
    return Table(best.columns, LazyRows(lambda: (row for each in chosen for row in each.rows)))


def format_of(path: Path) -> str:
    """Tell the format of a file: a key of `FORMATS`, or `zip` for an archive of files.

    :raises UnreadableFile: it cannot be opened, or is of a format that is not read here.
    """
    head = _head(path)
    for magic, what, advice in _NO_TABLE:
        if head.startswith(magic):
            raise unreadable(path, what, advice)
    # Readers of PDF skip what a mail program or a server put before the mark.
    if _PDF in head[:1024]:
        return "pdf"
    if head.startswith(_OLE):
        return "workbook"
    if head.startswith(_ZIP):
        return _format_of_zip(path)
    start = _start_of_text(head)
    if _XML.match(start) and not _HTML.search(start):
        return "xml"
    if _MARKUP.match(start):
        raise unreadable(path, "这是网页（HTML/XML），只是换了扩展名，不是真正的表格", _SAVE_AGAIN)
    if _JSON.match(start) or path.suffix.lower() in _JSON_SUFFIXES:
        return "json" if is_large_document(path) else "jsonl"
    return "delimited"


def _parts(path: Path, max_bytes: int, is_member: bool) -> Parts:
    _head(path)
    size = path.stat().st_size
    if size > max_bytes:
        what = f"文件有 {size_text(size)}，超过 {size_text(max_bytes)} 的上限"
        raise unreadable(path, what, "请拆成几个文件，或由管理员调整设置 MATCHER_MAX_FILE_BYTES")
    format_name = format_of(path)
    if format_name == "zip":
        if is_member:
            raise unreadable(path, "压缩包里还有压缩包", "请解压后再导入")
        yield from read_archive(path, max_bytes, lambda member: _parts(member, max_bytes, is_member=True))
    elif FORMATS[format_name].limits:
        yield from read_apart(format_name, path)
    else:
        yield from FORMATS[format_name].read(path)


def _format_of_zip(path: Path) -> str:
    with open_zip(path, sys.maxsize) as archive:
        names = {name.replace("\\", "/").lower() for name in archive.namelist()}
    if "word/document.xml" in names:
        return "docx"
    if names & {"xl/workbook.xml", "xl/workbook.bin", "ppt/presentation.xml"} or {"mimetype", "content.xml"} <= names:
        return "workbook"
    return "zip"


def _head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise unreadable(path, "这是一个文件夹", "请指定里面的某个文件")
        if path.exists() and not path.is_file():
            raise unreadable(path, "这不是普通文件", "请指定一个 xlsx、csv、docx、pdf 或 zip 文件")
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable_os(path, error) from error
    except ValueError as error:  # a NUL in the path
        raise unreadable(path, "文件名无效", "请检查路径和文件名") from error
    if not head:
        raise unreadable(path, "文件是空的", "请重新导出后再试")
    return head


def _start_of_text(head: bytes) -> str:
    """Decode the beginning of a file so far that markup and JSON are seen, whatever the encoding."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", "replace").lstrip()
    if head[1::2].startswith(b"\0\0") and head[0]:
        return head.decode("utf-16-le", "replace").lstrip()
    if head[::2].startswith(b"\0\0") and len(head) > 1 and head[1]:
        return head.decode("utf-16-be", "replace").lstrip()
    return head.removeprefix(codecs.BOM_UTF8).decode("ascii", "replace").lstrip()
