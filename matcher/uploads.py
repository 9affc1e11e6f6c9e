"""Files handed in over the API: kept on disk until they are read, by whichever process comes to it first.

A file counts as handed in once its row is written; by then its bytes are safe. A process that dies while it
reads one loses its lock, and another reads the file again: rows that are stored already are unchanged then.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from sqlalchemy import Row, func, insert, select, update

from matcher import tables
from matcher.accounts import Accounts
from matcher.audit import now
from matcher.database import Database
from matcher.errors import MatcherError, NotFound
from matcher.faults import PASSING
from matcher.ingest import ingest_file
from matcher.readers import MAX_FILE_BYTES
from matcher.records import Kind, Visibility
from matcher.store import Store

Status = Literal["waiting", "running", "done", "failed"]
# File systems take 255; a rejects file is named after its file, with the time.
FILE_NAME_BYTES = 200
ENDING_LIMIT = 10
# Files of one account that wait to be read: nobody may fill the disk faster than files are read.
UNREAD_LIMIT = 50
_BROKEN = "读取该文件时出错，原因已记入平台日志。请联系平台管理员，或换一种格式再上传。"
_UNSAFE = re.compile(r"[^\w.()（）\-]+")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upload:
    """A file, and how far it has been read.

    :param report: what `IngestReport.as_json` gave, without the machine's paths; None before the end.
    :param rejects: the name of the rejects file within the upload's folder, if rows were rejected.
    """

    id: str
    account: int
    file_name: str
    kind: Kind | None
    visibility: Visibility
    mapping: Mapping[str, str]
    status: Status
    message: str | None
    report: Mapping[str, Any] | None
    rejects: str | None
    created_at: str
    finished_at: str | None


class Uploads:
    """The files of one installation."""

    def __init__(self, store: Store, accounts: Accounts, folder: Path, max_bytes: int = MAX_FILE_BYTES) -> None:
        """Nothing is read before `work`.

        :param folder: for the files; all processes that read uploads must share it.
        :param max_bytes: of a file, and of an archive's members together, unpacked.
        """
        self._store = store
        self._database: Database = store.database
        self._accounts = accounts
        self._folder = folder
        self._max_bytes = max_bytes

    def receive(self, name: str) -> tuple[str, Path]:
        """A place for a file that is about to come.

        :returns: the upload's id, and where to write the file.
        """
        id_ = f"up-{secrets.token_hex(8)}"
        folder = self._folder / id_
        folder.mkdir(parents=True)
        return id_, folder / safe_name(name)

    def add(
        self,
        account: int,
        id_: str,
        path: Path,
        kind: Kind | None = None,
        visibility: Visibility = "public",
        mapping: Mapping[str, str] | None = None,
    ) -> Upload:
        """Take over a file that `receive` gave a place to; from now on it will be read, whatever happens."""
        for place in (path, path.parent, path.parent.parent):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        row = {
            "id": id_,
            "account": account,
            "file_name": path.name,
            "kind": kind,
            "visibility": visibility,
            "mapping": dict(mapping or {}),
            "status": "waiting",
            "created_at": now(),
        }
        with self._database.writing() as connection:
            connection.execute(insert(tables.uploads).values(row))
        return self.get(account, id_)

    def discard(self, id_: str) -> None:
        """Remove a file that was not taken over."""
        shutil.rmtree(self._folder / id_, ignore_errors=True)

    def get(self, account: int, id_: str) -> Upload:
        """An account's upload.

        :raises NotFound: if it has none with this id.
        """
        u = tables.uploads.c
        with self._database.reading.connect() as connection:
            query = select(tables.uploads).where(u.id == id_, u.account == account)
            row = connection.execute(query).one_or_none() if id_.isprintable() else None
        if row is None:
            raise NotFound(f"没有编号为“{id_[:40]}”的上传。")
        return _upload(row)

    def page(self, account: int, limit: int, before: str | None = None) -> list[Upload]:
        """An account's uploads, latest first.

        :param before: the id of the last one of the page before this one.
        """
        u = tables.uploads.c
        query = select(tables.uploads).where(u.account == account)
        if before is not None:
            own = select(u.key).where(u.id == before, u.account == account)
            query = query.where(u.key < own.scalar_subquery())
        with self._database.reading.connect() as connection:
            return [_upload(row) for row in connection.execute(query.order_by(u.key.desc()).limit(limit))]

    def unread(self, account: int) -> int:
        """How many of an account's files have not been read yet."""
        u = tables.uploads.c
        query = select(func.count()).where(u.account == account, u.finished_at.is_(None))
        with self._database.reading.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def rejects_file(self, upload: Upload) -> Path:
        """The table of the rows that were refused.

        :raises NotFound: if none was, or the file has not been read yet.
        """
        path = self._folder / upload.id / upload.rejects if upload.rejects else None
        if path is None or not path.exists():
            raise NotFound("这次上传没有被拒收的行，或文件还没有处理完。")
        return path

    def work(self) -> bool:
        """Read the oldest file that nobody reads.

        :returns: whether there was one.
        :raises Busy, DiskFull, StoreUnavailable, OSError: if what failed was not the file. It waits, and those
            behind it have had their turn.
        """
        u = tables.uploads.c
        query = select(tables.uploads).where(u.status.in_(("waiting", "running"))).order_by(u.key)
        with self._database.reading.connect() as connection:
            waiting = [_upload(row) for row in connection.execute(query)]
        failure: Exception | None = None
        for upload in waiting:
            folder = self._folder / upload.id
            if not folder.exists():
                continue  # another machine's
            try:
                with FileLock(folder / "lock", timeout=0):
                    if self.get(upload.account, upload.id).finished_at is None:
                        self._read(upload, folder)
                        return True
            except Timeout:
                continue
            except (*PASSING, OSError) as error:
                failure = failure or error
        if failure:
            raise failure
        return False

    def _read(self, upload: Upload, folder: Path) -> None:
        self._mark(upload.id, status="running")
        account = self._accounts.by_key(upload.account)
        try:
            report = ingest_file(
                self._store,
                folder / upload.file_name,
                folder,
                upload.kind,
                upload.mapping,
                source=f"{account.id}/{Path(upload.file_name).stem}",
                owner=account.key,
                visibility=upload.visibility,
                allowed=KINDS_OF_ACCOUNTS if account.role != "admin" else None,
                max_bytes=self._max_bytes,
            )
            told = {name: value for name, value in report.as_json().items() if name != "rejects_file"}
            rejects = report.rejects_file.name if report.rejects_file else None
            self._mark(upload.id, status="done", report=told, rejects=rejects, finished_at=now())
        except (*PASSING, OSError):  # nothing is wrong with the file: it is read again later
            raise
        except MatcherError as error:
            self._mark(upload.id, status="failed", message=str(error), finished_at=now())
        except Exception:  # a file that breaks its reader would do so again
            logger.exception("upload %s could not be read", upload.id)
            self._mark(upload.id, status="failed", message=_BROKEN, finished_at=now())
        (folder / upload.file_name).unlink(missing_ok=True)

    def _mark(self, id_: str, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(update(tables.uploads).where(tables.uploads.c.id == id_).values(values))


# Institutions are known by their names alone, so one account's would overwrite another's.
KINDS_OF_ACCOUNTS: tuple[Kind, ...] = ("achievement", "patent", "need")


def safe_name(name: str) -> str:
    """A file name of somebody else's as one that is a name in any folder, its ending kept."""
    plain = _UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip("._") or "file"
    if len(plain.encode()) <= FILE_NAME_BYTES:
        return plain
    stem, dot, ending = plain.rpartition(".")
    ending = f"{dot}{ending[:ENDING_LIMIT]}" if stem else ""
    return (stem or plain).encode()[: FILE_NAME_BYTES - len(ending.encode())].decode("utf-8", "ignore") + ending


def _upload(row: Row[Any]) -> Upload:
    return Upload(
        row.id,
        row.account,
        row.file_name,
        row.kind,
        row.visibility,
        row.mapping,
        row.status,
        row.message,
        row.report,
        row.rejects,
        row.created_at,
        row.finished_at,
    )
