"""Looks into a workbook before it is parsed: the parser lays a sheet out cell by cell, however far they lie.

One cell in the last column of the last row makes calamine ask for 512 GB, which ends the process: no error
can be caught then, so such a file must be told before.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

from matcher.readers.base import unreadable
from matcher.readers.zips import open_zip

#: Cells of the smallest rectangle around all cells of a sheet; calamine needs 32 bytes for each (1.2 GB).
MAX_CELLS = 40_000_000
#: Unpacked size of all parts; a million rows of full abstracts stay below.
MAX_UNPACKED_BYTES = 2 * 1024**3
#: Read at a time.
CHUNK_BYTES = 1024 * 1024

_SAVE_AGAIN = "请用 Excel 或 WPS 打开后另存为 xlsx 或 csv 再导入"
_OLE_NAMES = ("Workbook", "Book", "WordDocument", "EncryptedPackage", "EncryptionInfo", "_VBA_PROJECT_CUR")
_OLE_ENTRY_BYTES = 128
# Rows and cells that hold something; `<c .../>` is only formatted and costs nothing.
_ELEMENT = re.compile(rb"<(?:\w+:)?(?:(row)|c)(?=[\s>])([^>]*)(?<!/)>")
_PLACE = re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]{0,3})(\d{1,9})")
# No element that matters here is longer; the end of a chunk is kept back so that none is cut.
_OVERLAP_BYTES = 1024


def check_workbook(path: Path) -> bool:
    """Refuse what is no workbook, is damaged, or would need too much memory.

    :returns: whether it has macros. They are never run: the parser does not know how.
    :raises UnreadableFile: with the reason.
    """
    with open_zip(path, MAX_UNPACKED_BYTES) as archive:
        members = archive.infolist()
        names = {member.filename.replace("\\", "/").lower() for member in members}
        if "xl/workbook.xml" not in names:
            raise unreadable(path, _what_else(names), _SAVE_AGAIN)
        for member in members:
            with archive.open(member) as part:
                if _extent(part) > MAX_CELLS:
                    what = "工作表的范围太大，很远的行列里还有零星内容"
                    raise unreadable(path, what, "请删去数据区以外的行和列，或另存为 csv 再导入")
        return "xl/vbaproject.bin" in names


def check_old_workbook(path: Path) -> bool:
    """Refuse an OLE file that is no workbook, by the names of its streams.

    What its records claim is not checked here: where they ask for too much, the parser's own process ends.

    :returns: whether it has macros. They are never run: the parser does not know how.
    :raises UnreadableFile: with the reason.
    """
    names = _stream_names(path)
    if names & {"EncryptedPackage", "EncryptionInfo"}:
        raise unreadable(path, "这个 Office 文件加了密码", "请打开后去掉密码，保存后再导入")
    if "WordDocument" in names:
        raise unreadable(path, "这是旧版 Word 文档（.doc）", "请用 Word 或 WPS 打开后另存为 docx 再导入")
    if not names & {"Workbook", "Book"}:
        raise unreadable(path, "这是旧版 Office 文件，里面没有工作簿，或者文件已损坏", _SAVE_AGAIN)
    return "_VBA_PROJECT_CUR" in names


def _stream_names(path: Path) -> set[str]:
    """Find the names above in an OLE file; each stands in UTF-16 at the beginning of a block of 128 bytes."""
    found = set()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            for name in _OLE_NAMES:
                raw = name.encode("utf-16-le") + b"\0\0"
                at = chunk.find(raw)
                while at >= 0 and at % _OLE_ENTRY_BYTES:
                    at = chunk.find(raw, at + 1)
                if at >= 0:
                    found.add(name)
    return found


def _what_else(names: set[str]) -> str:
    if any(name.startswith("ppt/") for name in names):
        return "这是演示文稿，不是表格"
    return "这种表格格式（xlsb、ods）暂不支持"


def _extent(part: IO[bytes]) -> int:
    """Count the cells of the rectangle from the first cell of a sheet to its farthest; 0 for other parts."""
    row = column = last_row = last_column = 0
    rest = b""
    while chunk := part.read(CHUNK_BYTES):
        chunk = rest + chunk
        # Only up to the last element begun, which may be cut.
        end = chunk.rfind(b"<")
        end = len(chunk) if end < len(chunk) - _OVERLAP_BYTES else end
        for is_row, attributes in _ELEMENT.findall(chunk, 0, end):
            place = _PLACE.search(attributes)
            if is_row:
                row, column = int(place[2]) if place else row + 1, 0
                continue
            # Cells and rows without a place stand next to the one before.
            column = _column_number(place[1]) if place else column + 1
            row = int(place[2]) if place else row
            last_row, last_column = max(last_row, row), max(last_column, column)
        rest = chunk[end:]
    return last_row * last_column


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number
