"""Clocks that jump: nothing is overwritten, lost or left undone because of the time of day."""

from __future__ import annotations

import datetime
from contextlib import closing
from pathlib import Path

import pytest
import time_machine

from matcher.backup import back_up, restore
from matcher.embed import Embedder
from matcher.engine import Matcher
from matcher.integrity import check
from matcher.milvus.writer import RETENTION_SECONDS
from matcher.partners import suggest
from matcher.records import Achievement
from matcher.settings import Settings
from matcher.store import Store
from matcher.vectors import VectorCache
from tests.faults.test_disk_full import Untagged
from tests.faults.test_integrity import Default
from tests.index.support import MilvusOpener, keys_of, mushroom, write

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
# The end of a battery, a typing error, summer time in the wrong direction.
JUMPS = {
    "to 1970": datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC),
    "to 2001": datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC),
    "back an hour": NOW - datetime.timedelta(hours=1),
    "on an hour": NOW + datetime.timedelta(hours=1),
    "to 2090": datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC),
}


def opened(home: Path) -> Matcher:
    matcher = Matcher(Settings(home=home, threads=1))
    matcher.__dict__["embedder"] = Embedder(Default(), VectorCache(home / "vectors.db"))
    matcher.__dict__["tagger"] = Untagged()
    return matcher


def offer(number: int) -> Achievement:
    return Achievement(
        source="甲", source_id=str(number), title=f"第{number}种装置", institution="研究所", date="2024-05-06"
    )


@pytest.mark.parametrize("jump", JUMPS)
def test_what_is_stored_is_found_however_the_clock_jumps_in_between(tmp_path: Path, jump: str) -> None:
    with time_machine.travel(NOW, tick=False) as clock, closing(opened(tmp_path)) as matcher:
        matcher.store.upsert([(offer(1), None)])
        matcher.catch_up()
        generation = matcher.index.generation
        clock.move_to(JUMPS[jump])
        # What another process has stored is taken up, with the service's patience and without.
        with closing(opened(tmp_path)) as other:
            other.store.upsert([(offer(2), None), (offer(1), "电话")])
        assert not matcher.refresh(grace=60)
        assert matcher.refresh(grace=0)
        assert matcher.index.generation > generation
        assert matcher.index.count() == 2
        clock.move_to(NOW)
        matcher.store.withdraw(next(one.id for one in matcher.store.records("achievement")))
        assert matcher.refresh(grace=0)
        assert matcher.index.count() == 1
        with closing(opened(tmp_path)) as again:
            assert again.index.count() == 1
        assert check(matcher.settings).findings == ()


def test_the_patience_with_other_processes_is_not_measured_by_the_time_of_day(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as matcher, closing(opened(tmp_path)) as other:
        other.store.upsert([(offer(1), None)])
        assert not matcher.refresh(grace=3600)
        with time_machine.travel(NOW + datetime.timedelta(days=400)):
            assert not matcher.refresh(grace=3600)
        with time_machine.travel(NOW - datetime.timedelta(days=400)):
            assert not matcher.refresh(grace=3600)
            assert matcher.refresh(grace=0)


def test_two_rejects_files_of_the_same_moment_are_two_files(tmp_path: Path) -> None:
    table = tmp_path / "成果.csv"
    table.write_text("成果名称,完成时间\n好的装置,2023-01-02\n坏的装置,2023年13月45日\n", encoding="utf-8")
    with time_machine.travel(NOW, tick=False), closing(opened(tmp_path / "home")) as matcher:
        paths = [matcher.ingest(table).rejects_file for _ in range(3)]
    assert all(path and path.exists() and "坏的装置" in path.read_text("utf-8-sig") for path in paths)
    assert len({*paths}) == 3


def test_two_back_ups_of_the_same_moment_are_two_files_and_can_be_restored_at_any_time(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    folder = tmp_path / "back-ups"
    folder.mkdir()
    with closing(Store(settings.store_url)) as store:
        store.upsert([(offer(1), None)])
        with time_machine.travel(NOW, tick=False):
            first = back_up(store, settings, folder)
            second = back_up(store, settings, folder)
        with time_machine.travel(JUMPS["to 2001"], tick=False):
            third = back_up(store, settings, folder)
    assert len({first.path, second.path, third.path}) == 3
    for number, made in enumerate((first, second, third)):
        with time_machine.travel(JUMPS["to 2001"]):
            restore(made.path, Settings(home=tmp_path / f"restored{number}"))


@pytest.mark.parametrize("year", [1970, 2024, 2090])
def test_an_institution_is_suggested_whatever_year_it_is_said_to_be(tmp_path: Path, year: int) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'matcher.db'}")) as store:
        store.upsert([(offer(1), None)])
        (stored,) = store.records("achievement")
    (partner,) = suggest([(stored, 4, 0.9)], None, "需要一种装置", year, 5)
    assert 0 < partner.score < 1


def test_old_rows_on_milvus_outlive_a_clock_that_is_set_back(
    open_milvus: MilvusOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = 1_000_000.0
    monkeypatch.setattr("matcher.milvus.writer.now", lambda: time)
    write(open_milvus(), [mushroom(1)], revision=1)
    reader = open_milvus()
    for number, jump in enumerate((-10 * RETENTION_SECONDS, 5.0, 5.0), 2):
        time += jump
        write(open_milvus(), [mushroom(number)], revision=number)
        # A reader of an earlier generation still finds all of it.
        assert keys_of(reader) == {1}
        assert keys_of(open_milvus()) == {*range(1, number + 1)}
