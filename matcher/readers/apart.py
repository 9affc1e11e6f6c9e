"""Reads a file in a process of its own, bounded in memory and time, and hands its parts on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from matcher.errors import UnreadableFile
from matcher.readers.base import BadRow, LazyRows, Parts, Refused, Row, Table, size_text, unreadable
from matcher.readers.formats import FORMATS, Limits

#: Read at a time from what the process wrote.
CHUNK_BYTES = 1024 * 1024
#: The process ends what it writes with the place of the index, in so many digits.
PLACE_DIGITS = 20
#: Exit codes of the process: Python could not start it, its output reached the limit or filled the disk.
NOT_STARTED, TOO_MUCH, DISK_FULL = 1, 3, 4
#: A process may take this many times its CPU seconds by the clock, when others use the machine too.
PATIENCE = 3

_SPLIT = "请拆成几个文件，或另存为 csv 再导入"
_SAVE_AGAIN = "请用 Office 或 WPS 打开后另存一次，或向提供者索取正常的文件"


def read_apart(name: str, path: Path) -> Parts:
    """Read a file of this format, which has limits, in a process of its own.

    :raises UnreadableFile: it holds no table, or reading it broke a limit or the parser.
    """
    limits = FORMATS[name].limits
    assert limits is not None
    spool = _Spool()
    command = [sys.executable, "-P", "-m", "matcher.readers.worker", name, str(path.absolute())]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=spool.descriptor,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            timeout=PATIENCE * limits.cpu_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_slow(path, limits) from error
    if done.returncode:
        raise _broken(path, done.returncode, limits)
    index = spool.index()
    if "refused" in index:
        raise UnreadableFile(index["refused"])
    if "fault" in index:
        raise _fault(path, index["fault"], limits)
    parts = [_part(spool, entry) for entry in index["parts"]]
    # A part that is all there is needs no name.
    yield from [replace(parts[0], name="")] if len(parts) == 1 else parts


def _environment() -> dict[str, str]:
    """Give what the process needs of this one's environment, which may hold passwords."""
    kept = {name: value for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if (value := os.environ.get(name))}
    own = str(Path(__file__).parents[2])
    # Where this code was found through the working directory, the process would find another or none.
    folders = [*([] if own in sys.path else [own]), *filter(None, sys.path)]
    return {**kept, "PYTHONPATH": os.pathsep.join(folders), "PYTHONUTF8": "1"}


def _part(spool: _Spool, entry: dict[str, Any]) -> Table | Refused:
    if "reason" in entry:
        return Refused(entry["name"], entry["reason"])
    rows = LazyRows(lambda: spool.rows(entry["start"], entry["end"]))
    return Table(tuple(entry["columns"]), rows, entry["name"], entry["kind"], entry["note"])


class _Spool:
    """A file without a name that goes when nobody holds it: rows are read from it as often as asked."""

    def __init__(self) -> None:
        self.descriptor, name = tempfile.mkstemp(prefix="matcher-")
        Path(name).unlink()
        weakref.finalize(self, os.close, self.descriptor)

    def index(self) -> dict[str, Any]:
        end = os.fstat(self.descriptor).st_size - PLACE_DIGITS
        start = int(os.pread(self.descriptor, PLACE_DIGITS, end))
        index: dict[str, Any] = json.loads(os.pread(self.descriptor, end - start, start))
        return index

    def rows(self, start: int, end: int) -> Iterator[Row | BadRow]:
        rest = b""
        while start < end:
            chunk = os.pread(self.descriptor, min(CHUNK_BYTES, end - start), start)
            start += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                item = orjson.loads(line)
                yield BadRow(*item) if len(item) > 2 else Row(*item)


def _too_slow(path: Path, limits: Limits) -> UnreadableFile:
    what = f"读了 {limits.cpu_seconds} 秒还没有读完，内容太复杂，或者是有意做成这样的"
    return unreadable(path, what, _SPLIT)


def _too_hungry(path: Path, limits: Limits) -> UnreadableFile:
    what = f"读取它需要的内存超过 {size_text(limits.memory_bytes)}，文件太大、已损坏，或者是有意做成这样的"
    return unreadable(path, what, _SPLIT)


def _broken(path: Path, code: int, limits: Limits) -> UnreadableFile:
    """Tell from how the process ended what was wrong: a parser in Rust or C aborts where memory ends."""
    if code == TOO_MUCH:
        return unreadable(path, "展开后的内容太多", _SPLIT)
    if code == DISK_FULL:
        return unreadable(path, "临时目录所在的磁盘已满", "请腾出空间，或用环境变量 TMPDIR 换一个目录")
    if -code == signal.SIGXCPU:
        return _too_slow(path, limits)
    if -code in (signal.SIGABRT, signal.SIGKILL):
        return _too_hungry(path, limits)
    if code == NOT_STARTED:
        return unreadable(path, "读取它的程序没有启动", "请检查 matcher 是否安装完整")
    return unreadable(path, "文件已损坏，读取程序无法处理", _SAVE_AGAIN)


def _fault(path: Path, fault: str, limits: Limits) -> UnreadableFile:
    if fault == "memory":
        return _too_hungry(path, limits)
    return unreadable(path, f"文件已损坏或不合规范，读取时出错（{fault}）", _SAVE_AGAIN)
