"""A disk that fills up anywhere: one sentence, nothing acknowledged is lost, and with room again all goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matcher import adapter, e5, embed, index, indexing, ingest, nearest, postings, segments
from matcher.backup import back_up, restore
from matcher.batch import Matches
from matcher.documents import VISIBILITY_ORDER, Filters, IndexQuery
from matcher.embed import Embedder, prepare_default_model
from matcher.engine import Matcher
from matcher.errors import DiskFull
from matcher.faults import is_full
from matcher.records import Achievement
from matcher.segments import Segment, hash_terms
from matcher.settings import Settings
from matcher.store import Store
from matcher.vectors import VectorCache
from tests.fakes import FakeEncoder
from tests.faults.disks import Disk, small_disk

ROWS = 60
REJECTED = 40
PAGE = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 24) as mounted:
        yield mounted


class Untagged:
    """In place of the tagger, which would first have to be fitted to the fake encoder."""

    def tag(self, _: object) -> list[Any]:
        return []


@pytest.fixture(autouse=True, scope="module")
def small_steps() -> Iterator[None]:
    """So that everything is written several times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "BATCH", 15)
        patch.setattr(indexing, "BATCH", 30)
        patch.setattr(embed, "COMMIT_EVERY", 16)
        for name, value in (("QUANTISED_FROM", 20), ("LIST_SIZE", 5), ("COMPARED_ONE_BY_ONE", 0)):
            patch.setattr(nearest, name, value)
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good rows and bad ones in turn."""
    lines = ["成果名称,成果简介,完成单位,完成时间"]
    for number in range(ROWS):
        lines.append(
            f"第{number}种食用菌烘干装置,{'热泵除湿' * (number % 7 + 1)}第{number}号,研究所{number % 5},2023-01-02"
        )
    lines += [f"第{number}种写错的装置,{'内容' * 50},某单位,2023年13月45日" for number in range(REJECTED)]
    order = np.random.default_rng(1).permutation(len(lines) - 1) + 1
    path = tmp_path_factory.mktemp("rows") / "成果.csv"
    path.write_text("\n".join([lines[0], *(lines[i] for i in order)]) + "\n", encoding="utf-8")
    return path


def opened(home: Path) -> Matcher:
    """An installation with the fake encoder."""
    matcher = Matcher(Settings(home=home, threads=1))
    try:
        matcher.__dict__["embedder"] = Embedder(FakeEncoder(), VectorCache(home / "vectors.db"))
    except BaseException:
        matcher.close()
        raise
    matcher.__dict__["tagger"] = Untagged()
    return matcher


def work(home: Path, table: Path) -> None:
    """What `matcher ingest` does."""
    with closing(opened(home)) as matcher:
        matcher.ingest(table)
        matcher.catch_up()


def seen(home: Path) -> dict[str, Any]:
    """All that anybody can see of an installation, by the records' ids."""
    with closing(opened(home)) as matcher:
        stored = {one.id: one for one in matcher.store.records()}
        keys = {one.id: one.key for one in stored.values() if one.record.kind != "institution"}
        assert matcher.index.revision == matcher.store.revision()
        assert matcher.index.count(VISIBILITY_ORDER) == len(keys) == ROWS
        arrays = {
            id_: [
                getattr(matcher.index.documents(np.array([key])), f.name).tolist() for f in dataclasses.fields(Segment)
            ]
            for id_, key in keys.items()
        }
        contents = {id_: (one.record, one.institution_id, one.revision, one.key) for id_, one in stored.items()}
        return {"records": contents, "arrays": arrays}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, table: Path, small_steps: None) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("undisturbed")
    work(home, table)
    return seen(home)


STEPS: dict[str, tuple[Any, str, str]] = {
    "a batch of records": (Store, "_save", "数据库"),
    "a rejected row": (ingest._Rejects, "add", "(拒收文件|数据库)"),
    "vectors": (VectorCache, "put", "向量缓存"),
    "tags": (Store, "save_tags", "索引"),
    "an array": (segments, "write_array", "索引"),
    "words": (postings, "write", "索引"),
    "lists of vectors": (nearest, "_save", "索引"),
    "a generation": (index.LocalWriter, "_write_generation", "索引"),
    "the pointer": (index.LocalWriter, "_publish", "索引"),
}


@pytest.mark.parametrize(
    ("step", "time"), [*((step, 1) for step in STEPS), ("a batch of records", 2), ("an array", 20), ("the pointer", 2)]
)
def test_a_disk_that_fills_up_at_a_step_costs_nothing_that_was_acknowledged(
    disk: Disk, table: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch, step: str, time: int
) -> None:
    owner, name, what = STEPS[step]
    acknowledged, coming = [], 0
    real, upsert = getattr(owner, name), Store.upsert

    def filling(*arguments: Any, **options: Any) -> Any:
        nonlocal coming
        coming += 1
        if coming == time:
            disk.fill()
        return real(*arguments, **options)

    def counted(store: Store, items: Any, *more: Any, **options: Any) -> Any:
        outcomes = upsert(store, items, *more, **options)
        acknowledged.extend(record.id for record, _ in items)
        return outcomes

    home = disk.folder / "home"
    with monkeypatch.context() as patch:
        patch.setattr(Store, "upsert", counted)
        patch.setattr(owner, name, filling)
        with pytest.raises(DiskFull, match=f"磁盘已满：.*写不下{what}.*请腾出空间后再运行一次"):
            work(home, table)
    disk.empty()
    with closing(opened(home)) as matcher:
        assert {*acknowledged} <= {one.id for one in matcher.store.records()}
        assert list((home / "index").rglob("*.part")) == []
    work(home, table)
    assert seen(home) == undisturbed


@pytest.mark.parametrize("left", [0, 60_000, 400_000])
def test_whatever_room_is_left_the_end_is_the_same(disk: Disk, table: Path, undisturbed: Any, left: int) -> None:
    disk.fill(left)
    with pytest.raises(DiskFull, match="磁盘已满"):
        work(disk.folder / "home", table)
    disk.empty()
    work(disk.folder / "home", table)
    assert seen(disk.folder / "home") == undisturbed


def test_who_has_the_index_open_goes_on_answering_while_the_disk_is_full(disk: Disk, table: Path) -> None:
    home = disk.folder / "home"
    work(home, table)
    with closing(opened(home)) as serving, closing(opened(home)) as writing:
        question = IndexQuery(*serving.embedder.queries(["烘干", "食用菌烘干"]), hash_terms(["烘干"]))
        before = serving.index.search(question, Filters(visibilities=("public",)), 10)
        writing.store.upsert([(Achievement(source="乙", source_id="1", title="新来的装置"), None)])
        disk.fill()
        with pytest.raises(DiskFull):
            writing.catch_up()
        assert not serving.refresh(grace=60)
        found = serving.index.search(question, Filters(visibilities=("public",)), 10)
        assert {name: keys.tolist() for name, keys in found.items()} == {n: k.tolist() for n, k in before.items()}
        assert len(serving.store.by_key(before["title"].tolist())) == 10
        for _ in range(3):  # each attempt gives its room back
            with pytest.raises(DiskFull):
                writing.catch_up()
        disk.empty()
        assert serving.refresh(grace=0)
        assert serving.index.count() == ROWS + 1


def test_a_batch_says_so_from_whichever_process_and_goes_on(disk: Disk, table: Path) -> None:
    path = disk.folder / "1.npz"
    matches = Matches(*(np.zeros(30_000, kind) for kind in (np.int64, np.int64, np.float32, np.uint8)))
    disk.fill(PAGE)
    with pytest.raises(OSError) as failed:
        matches.save(path)
    assert is_full(failed.value)
    assert [path.name for path in disk.folder.iterdir()] == ["ballast"]
    disk.empty()
    matches.save(path)
    assert len(Matches.load(path)) == 30_000


def test_a_model_that_finds_no_room_is_told_and_leaves_none_taken(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5, "_tensors", lambda *_: {"much": np.zeros(10_000_000, np.float32)})
    monkeypatch.setattr(adapter, "correct", lambda *_: None)
    free = disk.free
    with pytest.raises(DiskFull, match="内置模型"):
        prepare_default_model(disk.folder)
    left = [path for path in (disk.folder / "model").iterdir() if path.is_dir()]
    assert left == []
    assert free - disk.free < 100_000


def test_a_back_up_or_a_restoring_that_finds_no_room_changes_nothing(
    disk: Disk, table: Path, tmp_path: Path, undisturbed: Any
) -> None:
    home = tmp_path / "home"
    work(home, table)
    with closing(opened(home)) as matcher:
        disk.fill(100_000)
        with pytest.raises(DiskFull, match="写不下备份"):
            back_up(matcher.store, matcher.settings, disk.folder / "a.zip")
        assert [path.name for path in disk.folder.glob("*.zip*")] == []
        made = back_up(matcher.store, matcher.settings, tmp_path / "a.zip")
    small = Settings(home=disk.folder / "home", threads=1)
    with pytest.raises(DiskFull, match="恢复的数据"):
        restore(made.path, small)
    assert not (small.home / "matcher.db").exists()
    disk.empty()
    restore(made.path, small)
    with closing(opened(small.home)) as matcher:
        matcher.reindex()
    assert seen(small.home) == undisturbed
