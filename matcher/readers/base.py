"""What every reader gives back: tables of rows, each of them text, and how a cell becomes clean text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from matcher.errors import UnreadableFile

#: How much of a bad row is kept for the rejects file: enough to recognise it, not enough to fill a disk.
RAW_LIMIT = 500

#: A larger file is refused where the caller sets no other limit: `MATCHER_MAX_FILE_BYTES`.
MAX_FILE_BYTES = 1_000_000_000

#: A longer cell is a bad row: no text of a record comes near.
MAX_CELL_CHARS = 1_000_000

#: More columns are no table of records: the widest exports of patents have some 150.
MAX_COLUMNS = 1000

#: Stands in `BadRow.field` where the fault is not in one cell.
WHOLE_ROW = "整行"

_NEWLINES = re.compile(r"\r\n?|\u2028|\u2029")
# Control and zero-width characters, and halves of surrogate pairs, which no database accepts as text.
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2060\ufeff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line where a user finds it, from 1, and its non-empty cells by column name."""

    line: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read at all, with the reason in Chinese and the beginning of its raw text."""

    line: int
    field: str
    reason: str
    raw: str


@dataclass(frozen=True)
class Table:
    """The columns of a file and its rows, which are read while they are iterated, as often as asked.

    A cell whose column has no name stands in its row as `列N`; `columns` lists such a column only where
    the beginning of the file has data in it.

    :param name: which part of the file it is: a sheet, a member of an archive; empty where it is all of it.
    :param kind: of its records, where the format tells; None otherwise.
    :param member: the file of an archive that it came from; empty outside of archives.
    :param note: what the user should know of how it was read, as a Chinese sentence; mostly empty.
    """

    columns: tuple[str, ...]
    rows: Iterable[Row | BadRow]
    name: str = ""
    kind: str | None = None
    note: str = ""
    member: str = ""


@dataclass(frozen=True)
class Refused:
    """A part of a file that is no table, and the Chinese sentence that says why; its other parts may be."""

    name: str
    reason: str


#: What the parts of a file turn out to be, one after the other. The rows of a table can be read until the
#: next part is asked for.
Parts = Iterator[Table | Refused]


@dataclass(frozen=True)
class LazyRows:
    """Rows that are read anew by each iteration."""

    start: Callable[[], Iterator[Row | BadRow]]

    def __iter__(self) -> Iterator[Row | BadRow]:
        return self.start()


def bad_row(line: int, reason: str, raw: str) -> BadRow:
    """Give a bad row whose fault is not in one cell, its raw text cut to `RAW_LIMIT`."""
    return BadRow(line, WHOLE_ROW, reason, clean_cell(raw[:RAW_LIMIT]))


def clean_cell(text: str) -> str:
    r"""Strip a cell, drop its invisible characters, turn tabs into spaces and any line end into `\n`."""
    if text.isprintable():
        return text.strip()
    text = _NEWLINES.sub("\n", text).replace("\t", " ")
    return _INVISIBLE.sub("", text).strip()


def unreadable(path: Path, what: str, advice: str) -> UnreadableFile:
    """Give the error that says which file, what is wrong with it and what to do."""
    # A file name in another encoding than the system's holds half surrogates, which cannot be printed.
    name = path.name.encode("utf-8", "replace").decode()
    return UnreadableFile(f"读不了文件“{name}”：{what}。{advice}。")


def too_wide(path: Path, count: int) -> UnreadableFile:
    """Give the error for a table with more than `MAX_COLUMNS` columns."""
    what = f"表头有 {count} 列，超过 {MAX_COLUMNS} 列的上限"
    return unreadable(path, what, "请只保留记录需要的列再导入")


def size_text(size: int) -> str:
    """Give a number of bytes as people say it: 1.5 GB, 20 MB, 800 字节."""
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= bytes_:
            return f"{size / bytes_:.3g} {unit}"
    return f"{size} 字节"


def unreadable_os(path: Path, error: OSError) -> UnreadableFile:
    """Give the error for a file that the operating system does not hand out."""
    if isinstance(error, PermissionError):
        return unreadable(path, "没有读取它的权限", "请检查文件权限，或换一个有权限的账户再试")
    if isinstance(error, FileNotFoundError):
        return unreadable(path, "文件不存在", "请检查路径和文件名")
    return unreadable(path, f"系统读取时出错（{error.strerror or error}）", "请检查磁盘和路径后再试")
