"""How often somebody may call: counted by minute, for all processes of a machine together."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from pathlib import Path

# Seconds of a window.
MINUTE = 60
# Windows that are over are swept away once in so many calls.
_SWEEP_EVERY = 1000

logger = logging.getLogger(__name__)


class Rates:
    """Counts calls in a small database of its own, which may be lost at any time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self._calls = 0
        try:
            self._open()
        except sqlite3.Error as error:
            self._failed(error)

    def _open(self) -> None:
        self._connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=OFF"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS calls (subject TEXT, window INTEGER, count INTEGER,"
            " PRIMARY KEY (subject, window)) WITHOUT ROWID"
        )

    def _failed(self, error: sqlite3.Error) -> None:
        """Begin anew: the file is damaged, or was never made because the disk was full."""
        logger.warning("calls could not be counted: %s", error)
        with contextlib.suppress(sqlite3.Error, OSError):
            self._connection.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                for ending in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            self._open()

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def wait(self, subject: str, limit: int) -> int:
        """Count one call.

        :returns: seconds until the subject may call again, 0 if it may now.
        """
        now = time.time()
        window = int(now // MINUTE)
        try:
            with self._lock:
                row = self._connection.execute(
                    "INSERT INTO calls VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count",
                    (subject, window),
                ).fetchone()
                self._calls += 1
                if self._calls % _SWEEP_EVERY == 0:
                    # Those of the future too, in case the clock was put back.
                    self._connection.execute("DELETE FROM calls WHERE window NOT IN (?, ?)", (window - 1, window))
        except sqlite3.Error as error:
            # Not to count for a while is better than not to answer.
            with self._lock:
                self._failed(error)
            return 0
        return 0 if row[0] <= limit else max(1, round((window + 1) * MINUTE - now))
