"""Opens ZIP archives that strangers made: what would cost too much memory or time is told before it is unpacked."""

from __future__ import annotations

import contextlib
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from matcher.errors import MatcherError
from matcher.readers.base import size_text, unreadable

#: A directory of this size names some 100,000 members; reading it takes ten times as much memory.
MAX_DIRECTORY_BYTES = 10_000_000
#: The methods of Excel, Word, WPS and the systems' own packers. LZMA may ask for a dictionary of 4 GB.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_ENCRYPTED = 0x1
# End of the central directory, its ZIP64 forms and where the size of the directory stands in them.
_END = b"PK\x05\x06"
_END_BYTES = 22
_MAX_COMMENT = 0xFFFF
_LOCATOR = b"PK\x06\x07"
_LOCATOR_BYTES = 20
_LOCAL_HEADER_BYTES = 30
_AGAIN = "请重新下载或重新导出后再试"


@contextlib.contextmanager
def open_zip(path: Path, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose members can be unpacked one after the other at a cost that is known.

    :param max_bytes: of all members together, unpacked.
    :raises UnreadableFile: damaged, too large, encrypted, with members that overlap, or packed in a way
        that no office program uses. What goes wrong inside the `with` is taken for damage too.
    """
    try:
        with path.open("rb") as stream:
            _check_directory(path, stream)
            with zipfile.ZipFile(stream) as archive:
                _check_members(path, archive.infolist(), max_bytes)
                yield archive
    except MatcherError:
        raise
    # zipfile and its decompressors raise some ten kinds of errors on damaged archives, no base in common.
    except Exception as error:
        raise unreadable(path, "文件已损坏，不能解压", _AGAIN) from error


def _check_directory(path: Path, stream: BinaryIO) -> None:
    """Refuse an archive whose list of members alone would fill the memory; `zipfile` reads it whole."""
    size = stream.seek(0, 2)
    tail_at = max(0, size - _END_BYTES - _MAX_COMMENT - _LOCATOR_BYTES)
    stream.seek(tail_at)
    tail = stream.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise unreadable(path, "文件已损坏，不能解压", _AGAIN)
    directory = struct.unpack_from("<L", tail, at + 12)[0]
    locator = tail[max(0, at - _LOCATOR_BYTES) : at]
    if locator.startswith(_LOCATOR):
        stream.seek(struct.unpack_from("<Q", locator, 8)[0])
        record = stream.read(56)
        directory = struct.unpack_from("<Q", record, 40)[0]
    if directory > MAX_DIRECTORY_BYTES:
        raise unreadable(path, "压缩包里的文件太多", "请分成几个压缩包，或直接导入里面的表格")


def _check_members(path: Path, members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    if sum(member.file_size for member in members) > max_bytes:
        raise unreadable(path, f"解压后超过 {size_text(max_bytes)}，太大", "请拆成几个文件，或另存为 csv 再导入")
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise unreadable(path, "压缩包里的文件互相重叠，这是伪造的压缩包", "请向提供者索取正常的文件")
        end = member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise unreadable(path, "压缩包加了密码", "请解压后再导入")
    if any(member.compress_type not in METHODS for member in members):
        raise unreadable(path, "压缩包用了少见的压缩方式", "请用系统自带的压缩功能重新打包")
