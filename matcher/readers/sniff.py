"""Opens a file as a table: tells by its content, then by its suffix, which reader it is for."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from matcher.readers.base import Table, unreadable, unreadable_os
from matcher.readers.delimited import read_delimited
from matcher.readers.jsonl import read_json
from matcher.readers.xlsx import read_xlsx

#: Enough for every signature below, and for a page's first tag after its comments.
HEAD_BYTES = 4096

_JSON_SUFFIXES = {".json", ".jsonl", ".ndjson"}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_SAVE_AGAIN = "请用 Excel 或 WPS 打开后另存为 xlsx 或 csv 再导入"
_EXPORT = "请从原系统导出为 xlsx、csv 或 jsonl 再导入"
_NO_TABLE: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "这是旧版 Excel（.xls）或加了密码的 Office 文件", _SAVE_AGAIN),
    (b"%PDF", "这是 PDF 文档，不是表格", _EXPORT),
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
# An object or an array of objects. A table may begin with a bracket too, as in `[编号],名称`.
_JSON = re.compile(r"\{\s*[\"}]|\{\s*\Z|\[\s*[\[{\]]|\[\s*\Z")


def read_table(path: Path) -> Table:
    """Open a file as a table; its rows are read while they are iterated.

    :raises UnreadableFile: the file cannot be read as a table; the message says why and what to do.
    """
    head = _head(path)
    for magic, what, advice in _NO_TABLE:
        if head.startswith(magic):
            raise unreadable(path, what, advice)
    if head.startswith(_ZIP):
        return read_xlsx(path)
    start = _start_of_text(head)
    if _MARKUP.match(start):
        raise unreadable(path, "这是网页（HTML/XML），只是换了扩展名，不是真正的表格", _SAVE_AGAIN)
    if _JSON.match(start) or path.suffix.lower() in _JSON_SUFFIXES:
        return read_json(path)
    return read_delimited(path)


def _head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise unreadable(path, "这是一个文件夹", "请指定里面的某个文件")
        if path.exists() and not path.is_file():
            raise unreadable(path, "这不是普通文件", "请指定一个 xlsx、csv 或 jsonl 文件")
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
    return head.removeprefix(codecs.BOM_UTF8).decode("ascii", "replace").lstrip()
