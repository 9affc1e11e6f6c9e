"""What goes wrong outside the program, told in a sentence: full disks and databases that fail.

Libraries say it in their own ways, some of them only in a text. Here each becomes one error of the tree.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matcher.errors import Busy, DiskFull, MatcherError, StoreUnavailable

# What somebody else mends: the same work succeeds when it is tried again.
PASSING = (Busy, DiskFull, StoreUnavailable)
# Of the system: no room, a quota used up, a file larger than it may be.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How libraries in C++ and Rust (FAISS, safetensors) say the same; numpy says only that it wrote too little.
_FULL_TEXT = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|os error (28|122|27)\b|\d+ requested and \d+ written"
)
# Bytes below which a disk counts as full where SQLite only says that something failed: one of its pages and
# those of its index of the log do not fit in less.
_LEAST_ROOM = 1 << 16
_GO_ON = "请腾出空间后再运行一次，程序会接着做。"
_WAIT = "另一个进程长时间占用数据库，这次没有写入。请等它结束后重试。"
_LOST = (
    "连不上数据库服务器，或连接中断（{reason}）。已确认写入的记录不会丢失。"
    "请确认数据库在运行、网络通畅、MATCHER_DATABASE_URL 正确，然后再运行一次，程序会接着做。"
)
_DAMAGED = (
    "数据库文件 {file} 已损坏，或者不是 SQLite 数据库（{reason}）。程序不会改写它。"
    "请先停止所有 matcher 进程，再用 matcher restore 备份文件 --force 从备份恢复（原文件会另存）；"
    "如果是 MATCHER_DATABASE_URL 写错了，请改正。"
)
_READ_ONLY = "数据库 {file} 只能读不能写，这次没有写入。请检查文件和目录的权限、磁盘是否以只读方式挂载，然后重试。"
_CLOSED = (
    "打不开数据库文件 {file}（{reason}）。请检查它和所在的目录是否还在、是否有权限读写，"
    "MATCHER_DATABASE_URL 是否正确，然后重试。"
)
_BROKEN = "读写数据库 {file} 时出错（{reason}）。已确认写入的记录不会丢失。请检查磁盘和系统日志，然后重试。"
_SERVER_DAMAGED = "数据库服务器报告数据已损坏（{reason}）。请让数据库管理员检查，必要时从备份恢复。"


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that no room is left, or was raised because of one that does."""
    while error is not None:
        if isinstance(error, DiskFull):
            return True
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        if isinstance(error, Exception) and not isinstance(error, MatcherError) and _FULL_TEXT.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def room_for(what: str, folder: Path, kept: str = "已确认写入的记录不会丢失。") -> Iterator[None]:
    """Say in a sentence when there is no room for something.

    :param what: that is being written, in Chinese.
    :param folder: where.
    :param kept: what the user need not worry about, a sentence.
    :raises DiskFull: in place of whatever says so.
    """
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise DiskFull(f"磁盘已满：{folder.absolute()} 所在的磁盘写不下{what}。{kept}{_GO_ON}") from error
        raise


def system_error(error: OSError) -> str:
    """What the operating system refused, as a sentence for a user who can do something about it."""
    place = f" {error.filename}" if error.filename else ""
    if is_full(error):
        return f"磁盘已满：写不下{place or '文件'}。已确认写入的记录不会丢失。{_GO_ON}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"没有权限读写{place or '文件'}。请检查权限，以及磁盘是否以只读方式挂载。"
    if error.errno == errno.EMFILE:
        return "打开的文件过多。请用 ulimit -n 调高上限后重试。"
    return f"读写{place or '文件'}时出错（{error.strerror or error}）。请检查该文件和磁盘后重试。"


def sqlite_error(error: BaseException, file: str | None) -> MatcherError | None:
    """What SQLite's error means to a user; None where it is the program's own mistake.

    :param file: the database's path.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    reason, shown = getattr(error, "sqlite_errorname", str(error)), file or "（内存）"
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL or (
        primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _no_room(file)
    ):
        folder = Path(file).parent if file else Path()
        return DiskFull(
            f"磁盘已满：{folder} 所在的磁盘写不下数据库的改动，这次的没有写入。此前已确认写入的记录不会丢失。{_GO_ON}"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(_WAIT)
    sentence = {
        sqlite3.SQLITE_CORRUPT: _DAMAGED,
        sqlite3.SQLITE_NOTADB: _DAMAGED,
        sqlite3.SQLITE_READONLY: _READ_ONLY,
        sqlite3.SQLITE_PERM: _CLOSED,
        sqlite3.SQLITE_CANTOPEN: _CLOSED,
        sqlite3.SQLITE_IOERR: _BROKEN,
        sqlite3.SQLITE_PROTOCOL: _BROKEN,
    }.get(primary)
    return StoreUnavailable(sentence.format(file=shown, reason=reason)) if sentence else None


def postgresql_error(error: BaseException, disconnected: bool) -> MatcherError | None:
    """What PostgreSQL's error means to a user; None where it is the program's own mistake.

    :param disconnected: whether the connection is gone, as SQLAlchemy sees it.
    """
    state: str | None = getattr(error, "sqlstate", None)
    reason = " ".join(str(error).split())[:200]
    if state == "53100":
        return DiskFull(f"磁盘已满：数据库服务器没有空间了，这次没有写入。此前已确认写入的记录不会丢失。{_GO_ON}")
    if state in ("55P03", "40001", "40P01"):
        return Busy(_WAIT)
    if state == "25006":
        return StoreUnavailable(_READ_ONLY.format(file="（MATCHER_DATABASE_URL）"))
    if state and state.startswith("XX0"):
        return StoreUnavailable(_SERVER_DAMAGED.format(reason=reason))
    # 08: the connection; 53: too many of them, or no memory; 57P: the server is ending or starting; 58: its disk.
    unavailable = state is not None and state.startswith(("08", "53", "57P", "58"))
    if disconnected or unavailable or (state is None and type(error).__name__ == "OperationalError"):
        return StoreUnavailable(_LOST.format(reason=reason))
    return None


def _no_room(file: str | None) -> bool:
    if not file:
        return False
    try:
        room = os.statvfs(Path(file).parent)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _LEAST_ROOM
