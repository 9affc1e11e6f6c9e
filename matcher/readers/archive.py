"""Reads a ZIP archive: every member that is a table, one after the other, each told by its name."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from matcher.errors import MatcherError
from matcher.readers.base import Parts, Refused, Table, clean_cell, unreadable, unreadable_os
from matcher.readers.zips import open_zip

#: More members are not looked at: a collection of forms has some hundreds.
MAX_MEMBERS = 2000
#: Reading all members may take this long, not counting what the caller does with them meanwhile.
MAX_SECONDS = 1800
MAX_NAME_CHARS = 200

#: Between the name of a member and that of a part of it.
WITHIN = " › "

_UTF8_NAME = 0x800
# What packers and systems add on their own, and the lock files of Office.
_NOISE = re.compile(r"(?:^|/)(?:__MACOSX/|\.[^./][^/]*$|~\$|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)


def read_archive(path: Path, max_bytes: int, read: Callable[[Path], Parts]) -> Parts:
    """Read the members of an archive as far as they are tables; one that is none never stops the others.

    A member is unpacked to a folder of its own, which goes when the next part is asked for.

    :param max_bytes: of all members together, unpacked.
    :param read: reads one member.
    :raises UnreadableFile: the archive is damaged, too large or empty.
    """
    with open_zip(path, max_bytes) as archive:
        members = [(name, member) for member in archive.infolist() if (name := member_name(member))]
        if not members:
            raise unreadable(path, "压缩包里没有文件", "请检查后重新打包")
        if len(members) > MAX_MEMBERS:
            raise unreadable(path, f"压缩包里有 {len(members)} 个文件，超过 {MAX_MEMBERS} 个", "请分成几个压缩包")
        left = float(MAX_SECONDS)
        for name, member in members:
            if left <= 0:
                yield Refused(name, f"压缩包里前面的文件已经读了 {MAX_SECONDS // 60} 分钟，没有再读。请单独导入。")
                continue
            with tempfile.TemporaryDirectory(prefix="matcher-") as folder:
                parts = _member(archive, member, name, Path(folder), read)
                while True:
                    began = time.monotonic()
                    part = next(parts, None)
                    left -= time.monotonic() - began
                    if part is None:
                        break
                    yield part


def member_name(member: zipfile.ZipInfo) -> str:
    """Give the name of a member as its user wrote it, in whatever encoding; nothing for what is no file.

    Windows and WPS write names in GBK without saying so, and `zipfile` takes them for the PC's first alphabet.
    """
    name = member.filename
    if not member.flag_bits & _UTF8_NAME:
        raw = name.encode("cp437", "replace")
        for codec in ("utf-8", "gb18030"):
            try:
                name = raw.decode(codec)
                break
            except UnicodeDecodeError:
                continue
    name = clean_cell(name.replace("\\", "/")).replace("\n", " ")
    return "" if name.endswith("/") or _NOISE.search(name) else name[-MAX_NAME_CHARS:]


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, folder: Path, read: Callable[[Path], Parts]
) -> Parts:
    # Only the last part of the name, so that no member leaves the folder; long names are cut, not suffixes.
    target = folder / (PurePosixPath(name).name.strip(". ")[-60:] or "未命名")
    try:
        with archive.open(member) as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        for part in read(target):
            inner = f"{name}{WITHIN}{part.name}" if part.name else name
            yield replace(part, name=inner, member=name) if isinstance(part, Table) else replace(part, name=inner)
    except MatcherError as error:
        yield Refused(name, str(error))
    except OSError as error:
        yield Refused(name, str(unreadable_os(target, error)))
    # As many kinds as zlib and zipfile know; the other members are good.
    except Exception:
        yield Refused(name, str(unreadable(target, "压缩包里的这个文件已损坏，不能解压", "请重新打包后再试")))
