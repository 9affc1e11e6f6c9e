"""The cache that embeds nothing twice: vectors on disk by model and content hash."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from matcher.faults import room_for, sqlite_error

Vectors = NDArray[np.float32]
T = TypeVar("T")
logger = logging.getLogger(__name__)
# Hashes in one IN (...) clause.
ASKED_AT_ONCE = 500
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOG_FILES = ("-wal", "-shm")
_SET_ASIDE = "向量缓存 {path} 已损坏（{reason}），已另存为 {aside}；其中的向量会重新计算，记录不受影响。"


def text_hash(text: str) -> bytes:
    """By what the cache knows a text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


class VectorCache:
    """Holds hashes and vectors, never a text; safe for several threads and processes.

    Losing it costs time only, so a damaged file is set aside, with a warning in the log, and begun anew.
    """

    def __init__(self, path: Path) -> None:
        """:raises DiskFull, StoreUnavailable: if the file cannot be opened or made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                self._set_aside(error)

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, timeout=60, check_same_thread=False)
        self._inode = self._path.stat().st_ino
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS vectors"
            " (model TEXT, hash BLOB, vector BLOB, PRIMARY KEY (model, hash)) WITHOUT ROWID"
        )

    def get(self, model: str, hashes: Sequence[bytes]) -> dict[bytes, Vectors]:
        """The cached vectors among those asked for.

        :raises StoreUnavailable: if the file cannot be read.
        """

        def read(database: sqlite3.Connection) -> dict[bytes, Vectors]:
            found: dict[bytes, Vectors] = {}
            for start in range(0, len(hashes), ASKED_AT_ONCE):
                part = hashes[start : start + ASKED_AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = database.execute(
                    f"SELECT hash, vector FROM vectors WHERE model = ? AND hash IN ({marks})", (model, *part)
                )
                found.update((key, np.frombuffer(blob, np.float32)) for key, blob in rows if len(blob) % 4 == 0)
            return found

        return self._run(read)

    def put(self, model: str, vectors: dict[bytes, Vectors]) -> None:
        """Keep vectors; they survive a kill once this returns.

        :raises DiskFull, StoreUnavailable: if they cannot be kept.
        """
        rows = [(model, key, vector.tobytes()) for key, vector in vectors.items()]

        def write(database: sqlite3.Connection) -> None:
            with database:
                database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

        self._run(write)

    def forget(self, texts: Iterable[str]) -> int:
        """Remove the vectors of texts, of every model, and overwrite where they stood; how many there were.

        :raises StoreUnavailable: if the file cannot be written.
        """
        hashes = [text_hash(text) for text in texts]

        def remove(database: sqlite3.Connection) -> int:
            database.execute("PRAGMA secure_delete=ON")
            count, model = 0, ""
            following = "SELECT min(model) FROM vectors WHERE model > ?"
            while model := database.execute(following, (model,)).fetchone()[0]:
                with database:
                    gone = "DELETE FROM vectors WHERE model = ? AND hash = ?"
                    count += database.executemany(gone, [(model, one) for one in hashes]).rowcount
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return count

        return self._run(remove)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock, self._told():
            try:
                return work(self._database)
            except sqlite3.DatabaseError as error:
                self._set_aside(error)
                return work(self._database)

    @contextmanager
    def _told(self) -> Iterator[None]:
        kept = "已存入数据库的记录不受影响。"
        with room_for("向量缓存", self._path.parent, kept):
            try:
                yield
            except sqlite3.Error as error:
                told = sqlite_error(error, str(self._path))
                if told is None:
                    raise
                raise told from error

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Begin a new file if the error says that this one is damaged; raise it again if not."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            raise error
        with FileLock(self._path.with_suffix(".lock")):
            with suppress(sqlite3.Error):
                self._database.close()
            # Another process may have done it already, and theirs is good.
            if self._path.exists() and self._path.stat().st_ino == self._inode:
                aside = _free_name(self._path)
                self._path.rename(aside)
                for ending in _LOG_FILES:
                    self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
                logger.warning(_SET_ASIDE.format(path=self._path, reason=error, aside=aside.name))
            self._open()


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside
