"""What is left of erased data in files beside the store: rejected rows, files handed in, interrupted runs."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from matcher.errors import Busy
from matcher.needle import Needle

_PART: Final = ".part"
# As `matcher.backup` and `matcher.vectors` name it.
_SET_ASIDE: Final = ("before-restore-*", "*.damaged-*")
# Seconds that an erasure waits for a file that is being read.
READ_WAIT: Final = 30.0


class Traces:
    """The folders of one installation."""

    def __init__(self, home: Path) -> None:
        """:param home: the data directory."""
        self._home = home
        self._rejects = home / "rejects"
        self._uploads = home / "uploads"
        self._batches = home / "batch"

    @contextmanager
    def held(self, ids: Sequence[str]) -> Iterator[None]:
        """Keep everybody from reading these files; who reads one now is waited for.

        :raises Busy: if that takes longer than `READ_WAIT` seconds.
        """
        with ExitStack() as locks:
            for id_ in ids:
                if (self._uploads / id_).is_dir():
                    try:
                        locks.enter_context(FileLock(self._uploads / id_ / "lock", timeout=READ_WAIT))
                    except Timeout as error:
                        raise Busy(
                            "账号已关闭，但它上传的文件正在处理，其余内容还没有删除。请几分钟后再运行一次。"
                        ) from error
            yield

    def forget_uploads(self, ids: Sequence[str]) -> int:
        """Remove files handed in, with the tables of what was refused of them; how many there were."""
        count = 0
        for id_ in ids:
            if (folder := self._uploads / id_).is_dir():
                count += sum(path.is_file() for path in folder.iterdir())
                shutil.rmtree(folder)
        return count

    def forget_person(self, needle: Needle, finished: Mapping[str, str]) -> int:
        """Take whoever is named out of the tables of refused rows, and remove the files that he may stand in.

        :param finished: uploads that have been read, by id, and the names of their files. Nobody needs these
            files any more, and what is in a packed one could not be told.
        :returns: how many files were changed or removed.
        """
        count = 0
        tables = [*self._rejects.glob("*.csv")]
        for id_, name in finished.items():
            folder = self._uploads / id_
            if (file := folder / name).is_file():
                file.unlink()
                count += 1
            tables += folder.glob("*.csv")
        return count + sum(_without(path, needle) for path in sorted(tables))

    def set_aside(self) -> list[Path]:
        """Data that a restore or a damaged file has left beside the present ones."""
        return sorted(path for pattern in _SET_ASIDE for path in self._home.glob(pattern))

    def forget_before(self, moment: float) -> int:
        """Remove tables of refused rows, and data set aside, of before a moment, in seconds since 1970."""
        old = [path for path in (*self._rejects.glob("*.csv"), *self.set_aside()) if path.stat().st_mtime < moment]
        for path in old:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        return len(old)

    def forget_batches(self) -> None:
        """Remove what interrupted batches have written; one that runs goes on."""
        for lock in self._batches.glob("*.lock"):
            try:
                with FileLock(lock, timeout=0):
                    for folder in self._batches.glob(f"{lock.stem}*/"):
                        shutil.rmtree(folder)
            except Timeout:
                continue


def _without(path: Path, needle: Needle) -> bool:
    """Write a table anew without the rows that name somebody; whether there were such rows."""
    part = path.with_suffix(_PART)
    dropped = 0
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with (
            path.open(encoding="utf-8-sig", newline="", errors="replace") as file,
            part.open("w", encoding="utf-8-sig", newline="", errors="replace") as target,
        ):
            writer = csv.writer(target)
            for row in csv.reader(file):
                if any(map(needle.names, row)):
                    dropped += 1
                else:
                    writer.writerow(row)
            target.flush()
            os.fsync(target.fileno())
        if dropped:
            part.replace(path)
    finally:
        csv.field_size_limit(limit)
        part.unlink(missing_ok=True)
    return dropped > 0
