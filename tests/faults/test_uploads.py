"""Files handed in over the API: acknowledged is acknowledged, whatever fails before they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from matcher import archive, backup, uploads
from matcher.accounts import Account
from matcher.backup import back_up, restore
from matcher.engine import Matcher
from matcher.errors import BackupError, Busy, DiskFull, StoreUnavailable
from matcher.settings import Settings
from matcher.store import Store
from matcher.uploads import Upload
from tests.faults.test_backup import rewrite, with_manifest

ROWS = "成果名称,完成时间\n好的装置,2023-01-02\n坏的装置,2023年13月45日\n"


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    opened = Matcher(Settings(home=tmp_path / "home", threads=1))
    yield opened
    opened.close()


@pytest.fixture
def account(matcher: Matcher) -> Account:
    return matcher.accounts.add("某大学", "institution")


def hand_in(matcher: Matcher, account: Account, text: str = ROWS) -> Upload:
    id_, path = matcher.uploads.receive("成果.csv")
    path.write_text(text, encoding="utf-8")
    return matcher.uploads.add(account.key, id_, path)


@pytest.mark.parametrize("failure", [DiskFull("满"), StoreUnavailable("连不上"), Busy("忙")])
def test_what_may_pass_does_not_fail_a_file_that_was_handed_in(
    matcher: Matcher, account: Account, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    upload = hand_in(matcher, account)

    def fail(*_: object, **__: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "ingest_file", fail)
        with pytest.raises(type(failure)):
            matcher.uploads.work()
    assert matcher.uploads.get(account.key, upload.id).status == "running"
    assert matcher.uploads.work()
    done = matcher.uploads.get(account.key, upload.id)
    assert (done.status, done.report and done.report["added"]) == ("done", 1)
    assert not matcher.uploads.work()


def test_files_that_wait_and_rows_that_were_refused_come_along_with_a_back_up(
    matcher: Matcher, account: Account, tmp_path: Path
) -> None:
    read = hand_in(matcher, account)
    assert matcher.uploads.work()
    waits = hand_in(matcher, account, "成果名称\n等着的装置\n")
    made = back_up(matcher.store, matcher.settings, tmp_path / "b.zip")
    # The original goes on: what it reads afterwards does not matter to the back-up.
    assert matcher.uploads.work()
    restore(made.path, Settings(home=tmp_path / "fresh"))
    with closing(Matcher(Settings(home=tmp_path / "fresh", threads=1))) as restored:
        rejected = restored.uploads.rejects_file(restored.uploads.get(account.key, read.id))
        assert "坏的装置" in rejected.read_text("utf-8-sig")
        assert restored.uploads.get(account.key, waits.id).status == "waiting"
        assert restored.uploads.work()
        assert restored.uploads.get(account.key, waits.id).status == "done"
        assert {one.record.title for one in restored.store.records("achievement")} == {"好的装置", "等着的装置"}


def test_a_file_that_comes_and_is_read_while_the_store_is_copied_is_not_forgotten(
    matcher: Matcher, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_store, copies = backup._copy_store, 0

    def meanwhile(store: Store, target: Path) -> None:
        nonlocal copies
        copies += 1
        if copies == 1:
            hand_in(matcher, account)
        copy_store(store, target)
        if copies == 1:
            matcher.uploads.work()

    monkeypatch.setattr(backup, "_copy_store", meanwhile)
    made = back_up(matcher.store, matcher.settings, tmp_path / "b.zip")
    assert copies == 2
    restore(made.path, Settings(home=tmp_path / "fresh"))
    with closing(Store(Settings(home=tmp_path / "fresh").store_url)) as store:
        assert store.counts()["achievement"] == 1


@pytest.mark.parametrize("name", ["../x", "uploads/../../x", "uploads/up-1/..", "uploads/up-1/a/b", "/etc/x", "other"])
def test_nothing_is_taken_out_of_an_archive_to_another_place(matcher: Matcher, tmp_path: Path, name: str) -> None:
    made = back_up(matcher.store, matcher.settings, tmp_path / "b.zip")
    entry = {"bytes": 1, "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}

    def change(parts: dict[str, bytes]) -> None:
        parts[name] = b"x"
        with_manifest(parts, files={**made.manifest["files"], name: entry})

    with pytest.raises(BackupError, match="不认识的文件"):
        restore(rewrite(made.path, change), Settings(home=tmp_path / "deep" / "fresh"))
    assert archive.MANIFEST not in {path.name for path in tmp_path.rglob("*")}
    assert not [path for path in tmp_path.rglob("x") if path.is_file()]
