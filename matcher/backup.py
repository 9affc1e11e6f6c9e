"""Back-ups: the store as it was at one moment, in one file that is complete or not there; and back again.

The store is kept in it as an SQLite database, whichever it came from, so that it can be restored into either.
Index and model are made again from it; the vectors come along so that nothing has to be embedded again.
"""

from __future__ import annotations

import datetime
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from pydantic import SecretStr
from sqlalchemy.engine import make_url

import matcher
from matcher import archive
from matcher.errors import BackupError, Busy, StoreUnavailable
from matcher.faults import room_for, sqlite_error
from matcher.outbox import Outbox
from matcher.seal import sync
from matcher.settings import Settings
from matcher.store import Store
from matcher.transfer import check_file, copy_file, copy_tables, row_counts

STORE, VECTORS, UPLOADS = "matcher.db", "vectors.db", "uploads"
# What is taken out of an archive stays where it belongs.
_UPLOADED = re.compile(rf"{UPLOADS}/[0-9a-z-]+/(?!\.)[^/\\]+")
# Tables that a new database has rows in.
_NEVER_EMPTY = ("counters",)
# What is made from the store, and would not fit another.
_DERIVED = ("index", "batch")
_IN_USE = "有其他 matcher 进程正在使用数据库 {file}，没有恢复。请先停止 matcher serve 和正在运行的命令，再重试。"
_NOT_EMPTY = (
    "{place} 中已有数据，没有恢复。如果确实要用备份替换它，请加上 --force；现有的数据会另存在数据目录中，不会删除。"
)


@dataclass(frozen=True)
class Backup:
    """A finished back-up.

    :param without: files left out although they were asked for, with the reason.
    """

    path: Path
    manifest: dict[str, Any]
    without: dict[str, str]


@dataclass(frozen=True)
class Restored:
    """What became of a restoring.

    :param aside: where the data is kept that was there before; None if there was none.
    :param doubted: mails that were to be sent when the back-up was made, and may have been sent since.
    """

    manifest: dict[str, Any]
    aside: Path | None
    doubted: int


def back_up(store: Store, settings: Settings, target: Path, vectors: bool = True) -> Backup:
    """Write a back-up while others read and write.

    :param target: a file that does not exist yet, or a folder, in which it is named for the time.
    :param vectors: whether the cache of vectors comes along; large, and restoring without it embeds anew.
    :raises BackupError: if the file exists; Busy: if another back-up is being written to that folder.
    :raises DiskFull: if there is no room; nothing is left then.
    :raises StoreUnavailable: if the store cannot be read.
    """
    now = datetime.datetime.now(datetime.UTC)
    path = _free_name(target, now) if target.is_dir() else target
    if path.exists():
        raise BackupError(f"文件 {path} 已经存在，不会覆盖。请换一个文件名，或给出一个目录，程序会按时间命名。")
    without: dict[str, str] = {}
    with room_for("备份", path.parent, "现有数据不受影响，没有写完的备份已删除。"), _workshop(path.parent) as work:
        files = {STORE: work / STORE}
        files |= _copy_with_uploads(store, files[STORE], settings.home / UPLOADS, work)
        if vectors and (settings.home / VECTORS).exists():
            try:
                copy_file(settings.home / VECTORS, work / VECTORS)
                files[VECTORS] = work / VECTORS
            except StoreUnavailable as error:  # only a cache
                without[VECTORS] = str(error)
        manifest = {
            "program": matcher.__version__,
            "created": now.isoformat(timespec="seconds"),
            "database": store.database.reading.dialect.name,
            "settings": _shown(settings),
            **_described(files[STORE]),
        }
        whole = archive.write(work / "archive", files, manifest)
        # Under its name only when it is complete.
        (work / "archive").replace(path)
        sync(path.parent)
        return Backup(path, whole, without)


def restore(path: Path, settings: Settings, force: bool = False) -> Restored:
    """Put a back-up in the place of the store; the index must be rebuilt afterwards.

    Whoever is killed in between leaves the old store or the new one, never a part of either.

    :param force: replace data that is there; it is kept aside in MATCHER_HOME.
    :raises BackupError: if the file is no whole back-up, or there is data and no `force`.
    :raises Busy: if other processes use an SQLite store.
    :raises SettingError: if a newer program wrote the back-up.
    :raises DiskFull: if there is no room; the old data is untouched then.
    """
    manifest = archive.read_manifest(path)
    settings.home.mkdir(parents=True, exist_ok=True)
    with room_for("恢复的数据", settings.home, "原有数据不受影响。"), _workshop(settings.home) as work:
        for name in manifest["files"]:
            if name not in (STORE, VECTORS) and not _UPLOADED.fullmatch(name):
                raise BackupError(f"备份 {path} 中有不认识的文件“{name[:60]}”。请换用另一个备份文件。")
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            archive.extract(path, manifest, name, work / name)
        doubted = _check_and_migrate(work / STORE, manifest, path)
        _add_uploads(work / UPLOADS, settings.home / UPLOADS)
        url = make_url(settings.store_url)
        if url.get_backend_name() == "sqlite" and url.database:
            aside = _replace_file(work / STORE, Path(url.database), settings, force)
        else:
            aside = _replace_rows(work / STORE, settings, force)
        if VECTORS in manifest["files"]:
            _add_vectors(work / VECTORS, settings.home / VECTORS)
    return Restored(manifest, aside, doubted)


def _copy_with_uploads(store: Store, copy: Path, uploads: Path, work: Path) -> dict[str, Path]:
    """Copy the store, and the files handed in that it has not read yet.

    :returns: name in the archive to path.
    """
    while True:
        copy.unlink(missing_ok=True)
        _keep_uploads(uploads, work / UPLOADS)
        _copy_store(store, copy)
        _keep_uploads(uploads, work / UPLOADS)
        with closing(sqlite3.connect(copy)) as connection:
            query = "SELECT id, file_name, rejects FROM uploads WHERE status IN ('waiting', 'running')"
            names = [f"{UPLOADS}/{id_}/{name}" for id_, name, _ in connection.execute(query)]
            query = "SELECT id, rejects FROM uploads WHERE rejects IS NOT NULL"
            rejects = [f"{UPLOADS}/{id_}/{name}" for id_, name in connection.execute(query)]
        # One that came and was read while the store was copied is missing: the next copy knows that it was read.
        # On several machines with one database, each has files of its own.
        lost = [name for name in names if not (work / name).exists() and (uploads.parent / name).parent.exists()]
        if not lost:
            return {name: work / name for name in (*names, *rejects) if (work / name).exists()}


def _keep_uploads(source: Path, target: Path) -> None:
    """Keep hold of the files as they are: they are written once, and removed when they have been read."""
    for path in source.glob("*/*") if source.exists() else ():
        kept = target / path.parent.name / path.name
        if path.name != "lock" and not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                _link(path, kept)


def _copy_store(store: Store, target: Path) -> None:
    if store.database.file:
        copy_file(Path(store.database.file), target)
        return
    with closing(Store(f"sqlite:///{target}")) as copy:
        _take_over(store, copy)
    _make_single(target)


def _take_over(source: Store, target: Store) -> None:
    with source.database.reading.connect() as origin, target.database.writing() as connection:
        copy_tables(origin, connection)


def _described(copy: Path) -> dict[str, Any]:
    with closing(Store(f"sqlite:///{copy}")) as store, store.database.reading.connect() as connection:
        described = {"schema": store.version(), "revision": store.revision(), "counts": row_counts(connection)}
    _make_single(copy)
    return described


def _make_single(file: Path) -> None:
    """Write the log beside a database into it, so that the one file is all."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _shown(settings: Settings) -> dict[str, Any]:
    """The settings without what gives access to anything."""
    shown: dict[str, Any] = {}
    for name, value in settings.model_dump().items():
        if value is None or isinstance(value, SecretStr) or name == "home":
            continue
        text = str(value) if isinstance(value, Path) else value
        if isinstance(text, str) and "://" in text:
            address = urlsplit(text)
            text = f"{address.scheme}://{address.hostname or ''}{address.path}"
        shown[name] = text
    return shown


def _check_and_migrate(copy: Path, manifest: dict[str, Any], path: Path) -> int:
    """:returns: mails that nobody knows to have been sent or not."""
    with closing(sqlite3.connect(copy)) as connection:
        check_file(connection, path)
        for table, count in manifest["counts"].items():
            (found,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            if found != count:
                raise BackupError(
                    f"备份 {path} 中的表 {table} 有 {found} 行，清单上是 {count} 行。请换用另一个备份文件。"
                )
    with closing(Store(f"sqlite:///{copy}")) as store:
        doubted = Outbox(store.database).doubt()
    _make_single(copy)
    return doubted


def _replace_file(new: Path, file: Path, settings: Settings, force: bool) -> Path | None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        _clear_derived(settings, None)
        new.replace(file)
        sync(file.parent)
        return None
    with _alone(file, force) as empty:
        if not (empty or force):
            raise BackupError(_NOT_EMPTY.format(place=file))
        aside = None if empty else _new_aside(settings.home)
        # The index first: who is killed here leaves the old store, and an index that is made anew from it.
        _clear_derived(settings, aside)
        if aside:
            for ending in ("", "-wal", "-shm"):
                if (old := file.with_name(file.name + ending)).exists():
                    _link(old, aside / old.name)
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
        new.replace(file)
        sync(file.parent)
        return aside


@contextmanager
def _alone(file: Path, force: bool) -> Iterator[bool]:
    """Keep all others from an SQLite database; yield whether it is empty.

    :raises Busy: if others have it open.
    """
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        try:
            # Refused as long as anybody else has the database open.
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            empty = _is_empty(connection)
        except sqlite3.Error as error:
            told = sqlite_error(error, str(file))
            if isinstance(told, Busy):
                raise Busy(_IN_USE.format(file=file)) from error
            if not isinstance(told, StoreUnavailable):
                raise
            if not force:
                raise told from error
            empty = False  # damaged: nobody can use it
        yield empty


def _is_empty(connection: sqlite3.Connection) -> bool:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    skipped = ("alembic_version", "sqlite_sequence", *_NEVER_EMPTY)
    return not any(
        connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in names if name not in skipped
    )


def _replace_rows(new: Path, settings: Settings, force: bool) -> Path | None:
    with closing(Store(settings.store_url)) as store, closing(Store(f"sqlite:///{new}")) as copy:
        with store.database.reading.connect() as connection:
            counts = row_counts(connection)
        aside = None
        if any(count for name, count in counts.items() if name not in _NEVER_EMPTY):
            if not force:
                raise BackupError(_NOT_EMPTY.format(place="MATCHER_DATABASE_URL 所指的数据库"))
            aside = _new_aside(settings.home)
            back_up(store, settings, aside / "before.zip", vectors=False)
        _clear_derived(settings, aside)
        _take_over(copy, store)
    return aside


def _clear_derived(settings: Settings, aside: Path | None) -> None:
    for name in _DERIVED:
        folder = settings.home / name
        if folder.exists():
            if aside:
                folder.rename(aside / name)
            else:
                shutil.rmtree(folder)


def _add_uploads(new: Path, folder: Path) -> None:
    # Before the store: a file that no row names does no harm.
    for path in new.glob("*/*") if new.exists() else ():
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            path.replace(target)


def _add_vectors(new: Path, file: Path) -> None:
    if not file.exists():
        new.replace(file)
        return
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(file, timeout=60)) as connection,
    ):  # a cache; see matcher.vectors
        connection.execute("ATTACH ? AS restored", (str(new),))
        with connection:
            connection.execute("INSERT OR IGNORE INTO vectors SELECT * FROM restored.vectors")


def _new_aside(home: Path) -> Path:
    number = 1
    while True:
        folder = home / f"before-restore-{number}"
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
        number += 1


def _free_name(folder: Path, now: datetime.datetime) -> Path:
    """Named for the time; with a number where the clock was set back."""
    stamp = f"matcher-{now:%Y%m%d-%H%M%S}"
    number, path = 1, folder / f"{stamp}.zip"
    while path.exists():
        number += 1
        path = folder / f"{stamp}-{number}.zip"
    return path


def _link(old: Path, new: Path) -> None:
    try:
        new.hardlink_to(old)
    except OSError:  # some file systems have no links
        shutil.copy2(old, new)


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A folder for unfinished things, on the same disk; what killed processes have left is removed.

    :raises Busy: if another process works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / ".matcher-unfinished"
    try:
        with FileLock(folder / ".matcher-backup.lock", timeout=0):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(mode=0o700)
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except Timeout as error:
        raise Busy(f"另一个进程正在 {folder} 中备份或恢复。请等它结束后重试。") from error
