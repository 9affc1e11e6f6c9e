"""Back-ups: complete or not there, restored to the last contact, and never over somebody's data unasked."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from matcher import archive, backup, tables, transfer
from matcher.backup import STORE, VECTORS, back_up, restore
from matcher.errors import BackupError, Busy, StoreUnavailable
from matcher.outbox import Outbox
from matcher.records import Achievement, Institution, Need
from matcher.settings import Settings
from matcher.store import Store
from matcher.vectors import VectorCache
from tests.mail.support import fill as add_mails
from tests.mail.support import mail
from tests.postgresql import Server

PHONE = "13900001111"
SECRET = "geheim"


def fill(store: Store, count: int = 30) -> None:
    """Records of several kinds, changed, withdrawn, tagged and with contacts."""
    offers = [
        Achievement(
            source="甲", source_id=str(n), title=f"第{n}种烘干装置", institution=f"研究所{n % 3}", keywords=("热泵",)
        )
        for n in range(count)
    ]
    store.upsert([(offer, f"张某 {PHONE}") for offer in offers])
    store.upsert([(Institution(source="名录", source_id="x", title="食品研究所", aliases=("研究所0",)), None)])
    store.upsert([(Need(source="乙", source_id="n", title="银耳烘干", visibility="private"), PHONE)])
    store.withdraw(offers[3].id)
    store.save_tags({one.key: {"food": 0.25} for one in store.records("achievement")})


def contents(url: str) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with closing(Store(url)) as store, store.database.reading.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in tables.metadata.sorted_tables
        }


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Settings]:
    """A filled installation, its database open as a service has it."""
    settings = Settings(home=tmp_path / "home")
    with closing(Store(settings.store_url)) as store:
        fill(store)
        yield settings


@pytest.fixture
def made(home: Settings, tmp_path: Path) -> Path:
    """A back-up of it."""
    with closing(Store(home.store_url)) as store:
        return back_up(store, home, tmp_path / "back-up.zip").path


def fresh(tmp_path: Path, **settings: Any) -> Settings:
    return Settings(home=tmp_path / "fresh", **settings)


def test_everything_comes_back_as_it_was(home: Settings, made: Path, tmp_path: Path) -> None:
    restored = restore(made, fresh(tmp_path))
    assert restored.aside is None
    assert contents(fresh(tmp_path).store_url) == contents(home.store_url)
    with closing(Store(fresh(tmp_path).store_url)) as store:
        revision = store.revision()
        assert store.upsert([(Achievement(source="甲", source_id="new", title="新来的"), None)]) == ["added"]
        assert store.revision() == revision + 1
        # As before the back-up: what is known is known again.
        known = next(iter(store.records("achievement")))
        assert known.record.title == "第0种烘干装置"


def test_mails_that_waited_when_it_was_made_are_not_sent_a_second_time(home: Settings, tmp_path: Path) -> None:
    with closing(Store(home.store_url)) as store:
        sent, waiting = add_mails(store.database, 2)
        outbox = Outbox(store.database)
        key = mail(store.database, sent).key
        assert outbox.claim(key) and outbox.handed(key)
        outbox.sent(key)
        path = back_up(store, home, tmp_path / "mails.zip").path
    assert restore(path, fresh(tmp_path)).doubted == 1
    with closing(Store(fresh(tmp_path).store_url)) as store:
        outbox = Outbox(store.database)
        assert (outbox.counts()["waiting"], outbox.counts()["sent"]) == (0, 1)
        assert [(one.id, one.state) for one in outbox.troubled(10)] == [(waiting, "unconfirmed")]
        outbox.resend(waiting)
        assert outbox.counts()["waiting"] == 1


def test_the_manifest_says_what_is_in_it_and_nothing_that_gives_access(tmp_path: Path, home: Settings) -> None:
    settings = home.model_copy(
        update={
            "milvus_uri": f"http://name:{SECRET}@milvus:19530/db",
            "database_url": f"sqlite:///{tmp_path}/x?key={SECRET}",
        }
    )
    with closing(Store(home.store_url)) as store:
        made = back_up(store, settings, tmp_path / "b.zip")
    assert archive.read_manifest(made.path) == made.manifest
    manifest = made.manifest
    assert (manifest["schema"], manifest["database"]) == (store.version(), "sqlite")
    assert manifest["counts"]["records"] == 30 + 3 + 1 + 1
    assert manifest["counts"]["contacts"] == 31
    assert manifest["settings"]["milvus_uri"] == "http://milvus/db"
    assert SECRET not in json.dumps(manifest)
    assert str(tmp_path / "home") not in json.dumps(manifest)
    assert manifest["files"].keys() == {STORE}
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_vectors_come_along_and_join_those_that_are_there(home: Settings, tmp_path: Path) -> None:
    def cache(folder: Path) -> VectorCache:
        return VectorCache(folder / VECTORS)

    one, two, other = (np.full(4, value, np.float32) for value in (1, 2, 3))
    with closing(cache(home.home)) as vectors:
        vectors.put("m", {b"1": one, b"2": two})
    with closing(Store(home.store_url)) as store:
        made = back_up(store, home, tmp_path / "with.zip")
        without = back_up(store, home, tmp_path / "without.zip", vectors=False)
    assert made.manifest["files"].keys() == {STORE, VECTORS}
    assert without.manifest["files"].keys() == {STORE}
    restore(made.path, fresh(tmp_path))
    with closing(cache(tmp_path / "fresh")) as vectors:
        assert {key: list(value) for key, value in vectors.get("m", [b"1", b"2"]).items()} == {
            b"1": [1] * 4,
            b"2": [2] * 4,
        }
        vectors.put("m", {b"3": other})
    restore(made.path, fresh(tmp_path), force=True)
    with closing(cache(tmp_path / "fresh")) as vectors:
        assert vectors.get("m", [b"1", b"2", b"3"]).keys() == {b"1", b"2", b"3"}


def test_damaged_vectors_are_left_out_and_told(home: Settings, tmp_path: Path) -> None:
    (home.home / VECTORS).write_bytes(b"no database" * 1000)
    with closing(Store(home.store_url)) as store:
        made = back_up(store, home, tmp_path / "b.zip")
    assert made.without.keys() == {VECTORS}
    assert made.manifest["files"].keys() == {STORE}


def test_a_damaged_store_is_not_backed_up(home: Settings, tmp_path: Path) -> None:
    with closing(Store(home.store_url)) as store:
        fill(store, 300)
    with closing(sqlite3.connect(home.home / STORE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (home.home / STORE).open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xa5" * 4096 * 5)
    with closing(Store(home.store_url)) as store, pytest.raises(StoreUnavailable, match="已损坏"):
        back_up(store, home, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_back_up_is_never_written_over_another(home: Settings, made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    with closing(Store(home.store_url)) as store:
        with pytest.raises(BackupError, match="不会覆盖"):
            back_up(store, home, made)
        paths = {back_up(store, home, folder).path for _ in range(3)}
    assert len(paths) == 3
    assert all(path.parent == folder and path.suffix == ".zip" for path in paths)


def test_data_that_is_there_is_replaced_only_when_asked_and_kept_aside(
    home: Settings, made: Path, tmp_path: Path
) -> None:
    target = fresh(tmp_path)
    with closing(Store(target.store_url)) as store:
        store.upsert([(Achievement(source="丙", source_id="1", title="另一家的成果"), PHONE)])
    (target.home / "index" / "some").mkdir(parents=True)
    (target.home / "batch").mkdir()
    before = contents(target.store_url)
    with pytest.raises(BackupError, match=r"--force.*另存"):
        restore(made, target)
    assert contents(target.store_url) == before
    assert (target.home / "index" / "some").exists()
    restored = restore(made, target, force=True)
    assert contents(target.store_url) == contents(home.store_url)
    assert restored.aside
    assert contents(f"sqlite:///{restored.aside / STORE}") == before
    assert (restored.aside / "index" / "some").exists()
    # What was found in the old store must not count for the new one.
    assert not (target.home / "index").exists()
    assert not (target.home / "batch").exists()
    assert restore(made, target, force=True).aside != restored.aside


def test_an_empty_store_needs_no_force(made: Path, home: Settings, tmp_path: Path) -> None:
    Store(fresh(tmp_path).store_url).close()
    assert restore(made, fresh(tmp_path)).aside is None
    assert contents(fresh(tmp_path).store_url) == contents(home.store_url)


def test_a_store_in_use_is_not_replaced(made: Path, tmp_path: Path) -> None:
    target = fresh(tmp_path)
    with closing(Store(target.store_url)) as store:
        store.upsert([(Achievement(source="丙", source_id="1", title="另一家的成果"), None)])
        with pytest.raises(Busy, match=r"请先停止 matcher serve"):
            restore(made, target, force=True)
        assert store.counts() == {"achievement": 1}
        assert store.upsert([(Achievement(source="丙", source_id="2", title="还能写"), None)]) == ["added"]
    restore(made, target, force=True)


def test_a_damaged_store_is_replaced_when_asked_and_kept_aside(home: Settings, made: Path, tmp_path: Path) -> None:
    target = fresh(tmp_path)
    target.home.mkdir()
    damaged = b"SQLite format 3\0" + b"\xa5" * 20_000
    (target.home / STORE).write_bytes(damaged)
    with pytest.raises(StoreUnavailable, match="已损坏"):
        restore(made, target)
    restored = restore(made, target, force=True)
    assert restored.aside
    assert (restored.aside / STORE).read_bytes() == damaged
    assert contents(target.store_url) == contents(home.store_url)


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The same archive with another content."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    change(parts)
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return changed


def with_manifest(parts: dict[str, bytes], **values: Any) -> None:
    parts[archive.MANIFEST] = json.dumps(json.loads(parts[archive.MANIFEST]) | values).encode()


DAMAGES: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "no manifest": (lambda parts: parts.pop(archive.MANIFEST) and None, "不是.*完整备份"),
    "a manifest of another kind": (lambda parts: parts.update({archive.MANIFEST: b"[]"}), "不是.*完整备份"),
    "no database": (lambda parts: parts.pop(STORE) and None, "不是.*完整备份"),
    "another database": (lambda parts: parts.update({STORE: parts[STORE] + b"x"}), "校验和"),
    "a flipped bit": (lambda parts: parts.update({STORE: parts[STORE][:-1] + b"\x01"}), "校验和"),
    "other counts": (lambda parts: with_manifest(parts, counts={"records": 1}), "清单上是 1 行"),
    "a newer format": (lambda parts: with_manifest(parts, format=99), "升级程序"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_back_up_is_refused_and_changes_nothing(made: Path, tmp_path: Path, damage: str) -> None:
    change, says = DAMAGES[damage]
    target = fresh(tmp_path)
    with closing(Store(target.store_url)) as store:
        store.upsert([(Achievement(source="丙", source_id="1", title="另一家的成果"), PHONE)])
    before = contents(target.store_url)
    with pytest.raises(BackupError, match=says):
        restore(rewrite(made, change), target, force=True)
    assert contents(target.store_url) == before
    assert [path.name for path in target.home.glob("before-*")] == []


@pytest.mark.parametrize("size", [0, 10, 1000, -1])
def test_a_back_up_that_is_cut_short_is_refused(made: Path, tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.zip"
    cut.write_bytes(made.read_bytes()[:size])
    with pytest.raises(BackupError, match=r"不是.*完整备份"):
        restore(cut, fresh(tmp_path))
    with pytest.raises(BackupError, match="没有备份文件"):
        restore(tmp_path / "missing.zip", fresh(tmp_path))


def test_a_back_up_of_a_newer_program_is_refused(made: Path, tmp_path: Path) -> None:
    def newer(parts: dict[str, bytes]) -> None:
        path = tmp_path / "newer.db"
        path.write_bytes(parts[STORE])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        parts[STORE] = path.read_bytes()
        entry = {"bytes": len(parts[STORE]), "sha256": hashlib.sha256(parts[STORE]).hexdigest()}
        with_manifest(parts, files={STORE: entry})

    with pytest.raises(Exception, match="9999"):
        restore(rewrite(made, newer), fresh(tmp_path))
    assert not (fresh(tmp_path).home / STORE).exists()


def die_at(owner: Any, name: str, coming: int, work: Callable[..., object], *arguments: Any) -> None:
    """In a process of its own: end by SIGKILL when something is done for the n-th time."""
    real, count = getattr(owner, name), 0

    def dying(*given: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == coming:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **options)

    setattr(owner, name, dying)
    work(*arguments)


def back_up_home(settings: Settings, path: Path) -> None:
    with closing(Store(settings.store_url)) as store:
        back_up(store, settings, path)


def killed(owner: Any, name: str, coming: int, work: Callable[..., object], *arguments: Any) -> bool:
    """Whether it came to that."""
    process = multiprocessing.get_context("fork").Process(target=die_at, args=(owner, name, coming, work, *arguments))
    process.start()
    process.join(60)
    return process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("owner", "name", "coming"),
    [(transfer.sqlite3, "connect", 2), (backup, "_described", 1), (archive, "_copy", 1), (Path, "replace", 1)],
)
def test_a_killed_back_up_is_never_taken_for_a_complete_one(
    home: Settings, tmp_path: Path, owner: Any, name: str, coming: int
) -> None:
    folder = tmp_path / "back-ups"
    folder.mkdir()
    assert killed(owner, name, coming, back_up_home, home, folder / "a.zip")
    assert list(folder.glob("*.zip")) == []
    back_up_home(home, folder / "a.zip")
    restore(folder / "a.zip", fresh(tmp_path))
    assert contents(fresh(tmp_path).store_url) == contents(home.store_url)
    # What the dead one had begun is gone too.
    assert {path.name for path in folder.iterdir()} == {"a.zip", ".matcher-backup.lock"}


@pytest.mark.parametrize(
    ("owner", "name", "coming"),
    [
        (archive, "_copy", 1),
        (backup, "_check_and_migrate", 1),
        (backup, "_clear_derived", 1),
        (backup, "_link", 1),
        (Path, "replace", 1),
        (backup, "sync", 1),
    ],
)
def test_a_killed_restoring_leaves_the_old_store_or_the_new_one(
    home: Settings, made: Path, tmp_path: Path, owner: Any, name: str, coming: int
) -> None:
    target = fresh(tmp_path)
    with closing(Store(target.store_url)) as store:
        store.upsert([(Achievement(source="丙", source_id="1", title="另一家的成果"), PHONE)])
    old, new = contents(target.store_url), contents(home.store_url)
    assert killed(owner, name, coming, restore, made, target, True)
    assert contents(target.store_url) == (new if name == "sync" else old)
    restore(made, target, force=True)
    assert contents(target.store_url) == new
    assert not (target.home / ".matcher-unfinished").exists()


def test_two_back_ups_into_one_folder_at_once_wait_their_turn(home: Settings, tmp_path: Path) -> None:
    with (
        closing(Store(home.store_url)) as store,
        backup._workshop(tmp_path),
        pytest.raises(Busy, match="另一个进程"),
    ):
        back_up(store, home, tmp_path / "b.zip")


@pytest.fixture
def server_store(postgresql: Server) -> Iterator[str]:
    url = postgresql.create(migrated=True)
    yield url
    postgresql.drop(url)


def test_a_store_on_a_server_comes_back_into_a_file_and_into_a_server(
    postgresql: Server, server_store: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home", database_url=server_store)
    with closing(Store(server_store)) as store:
        fill(store)
        made = back_up(store, settings, tmp_path / "b.zip")
    assert made.manifest["database"] == "postgresql"
    expected = contents(server_store)
    restore(made.path, fresh(tmp_path))
    assert contents(fresh(tmp_path).store_url) == expected

    other = postgresql.create(migrated=True)
    target = Settings(home=tmp_path / "other", database_url=other)
    restore(made.path, target)
    assert contents(other) == expected
    with closing(Store(other)) as store:  # numbers go on where they were
        assert store.upsert([(Achievement(source="甲", source_id="new", title="新来的"), None)]) == ["added"]
    with pytest.raises(BackupError, match="--force"):
        restore(made.path, target)
    before = contents(other)
    restored = restore(made.path, target, force=True)
    assert contents(other) == expected
    assert restored.aside
    restore(restored.aside / "before.zip", target, force=True)
    assert contents(other) == before
    postgresql.drop(other)
