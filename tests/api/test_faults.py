"""What a caller meets while something under the service fails: 503 with Retry-After, and then answers again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.errors import UNAVAILABLE
from matcher.backup import back_up
from matcher.engine import Matcher
from matcher.errors import DiskFull, MatcherError
from matcher.records import Achievement
from matcher.settings import Settings
from matcher.store import Store
from tests.api.support import DRYING, assert_problem, ready, titles, wait_for
from tests.faults.disks import small_disk

# Matches the question DRYING.
OFFER = Achievement(
    source="甲",
    source_id="1",
    title="鲜银耳热泵烘干工艺",
    abstract="以闭路热泵代替燃煤烘房，耳基不发黄，能耗低。",
)
SOMEBODY = {"Authorization": "Bearer mk_0123456789abcdef"}
OTHER = Achievement(source="甲", source_id="2", title="银耳烘干余热回收装置", abstract="回收烘房排湿的余热预热新风。")


def installation(home: Path, model_home: Path) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "model").symlink_to(model_home / "model")
    settings = Settings(home=home, refresh_seconds=0.05, threads=1)
    matcher = Matcher(settings)
    matcher.store.upsert([(OFFER, None)])
    matcher.catch_up()
    matcher.close()
    return settings


@contextmanager
def serving(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        ready(client)
        assert titles(client, DRYING) == [OFFER.title]
        yield client


@pytest.fixture
def own(model_home: Path, tmp_path: Path) -> Settings:
    return installation(tmp_path / "home", model_home)


def ask(client: TestClient) -> Any:
    return client.post("/v1/match", json={"text": DRYING, "min_level": 1})


def assert_unavailable(answer: Any, says: str) -> None:
    problem = assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert says in problem["detail"]
    for secret in ("matcher.db", "/tmp", "Error", "sqlite", "SQL"):
        assert secret not in answer.text


def answers_again(client: TestClient) -> None:
    wait_for(lambda: ask(client).status_code == 200, 20)
    assert titles(client, DRYING)[0] == OFFER.title


@pytest.mark.parametrize("kind", UNAVAILABLE)
def test_each_failure_that_may_pass_is_told_apart_without_a_secret(
    matcher: Matcher, client: TestClient, monkeypatch: pytest.MonkeyPatch, kind: type[MatcherError]
) -> None:
    def fail(*_: Any) -> None:
        raise kind("/srv/secret/matcher.db")

    monkeypatch.setattr(matcher, "match_many", fail)
    assert_unavailable(ask(client), UNAVAILABLE[kind])


def test_a_full_disk_under_any_route_is_no_server_error(
    matcher: Matcher, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device", "/srv/secret")

    monkeypatch.setattr(matcher, "match_many", fail)
    assert_unavailable(ask(client), "磁盘已满")


def test_a_damaged_database_is_unavailable_until_it_is_mended(own: Settings, tmp_path: Path) -> None:
    file, whole = own.home / "matcher.db", tmp_path / "whole.db"
    with serving(own) as client:
        store = Store(own.store_url)
        made = back_up(store, own, tmp_path / "b.zip", vectors=False)
        store.close()
        shutil.unpack_archive(made.path, tmp_path / "unpacked")
        shutil.copy(tmp_path / "unpacked" / "matcher.db", whole)
        damaged = tmp_path / "damaged.db"
        damaged.write_bytes(whole.read_bytes()[:100] + b"\xa5" * (whole.stat().st_size - 100))
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
        damaged.replace(file)
        assert_unavailable(ask(client), "数据库暂不可用")
        assert_unavailable(client.get("/v1/records/ach-x", headers=SOMEBODY), "数据库暂不可用")
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics").status_code == 200
        whole.replace(file)
        answers_again(client)


def test_a_database_that_is_moved_away_is_unavailable_until_it_is_back(own: Settings, tmp_path: Path) -> None:
    file = own.home / "matcher.db"
    with serving(own) as client:
        file.rename(tmp_path / "elsewhere.db")
        assert_unavailable(ask(client), "数据库暂不可用")
        assert not file.exists()
        (tmp_path / "elsewhere.db").rename(file)
        answers_again(client)


def test_an_index_that_is_cut_short_is_unavailable_until_it_is_rebuilt(own: Settings) -> None:
    with serving(own) as client:
        for path in own.home.glob("index/*/segments/*/*.npy"):
            os.truncate(path, path.stat().st_size // 2)
        wait_for(lambda: ask(client).status_code == 503)
        assert_unavailable(ask(client), "索引暂不可用")
        assert_unavailable(client.get("/readyz"), "索引暂不可用")
        assert client.get("/metrics").status_code == 200
        other = Matcher(own)
        other.reindex()
        other.close()
        answers_again(client)


def test_an_index_that_is_removed_or_has_lost_its_pointer_serves_on_and_takes_up_the_next(own: Settings) -> None:
    with serving(own) as client:
        (folder,) = (own.home / "index").iterdir()
        (folder / "CURRENT").write_text("第三代", encoding="utf-8")
        assert titles(client, DRYING) == [OFFER.title]
        shutil.rmtree(own.home / "index")
        assert titles(client, DRYING) == [OFFER.title]
        other = Matcher(own)
        other.store.upsert([(OTHER, None)])
        other.reindex()
        other.close()
        wait_for(lambda: {*titles(client, DRYING)} == {OFFER.title, OTHER.title}, 20)


def test_a_full_disk_stops_no_answer_and_when_there_is_room_what_was_stored_is_found(
    model_home: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        settings = installation(disk.folder / "home", model_home)
        with serving(settings) as client:
            store = Store(settings.store_url)
            disk.fill(160_000)
            store.upsert([(OTHER, None)])  # there is room for this, and for no index
            disk.fill()
            wait_for(lambda: "matcher_refresh_failures_total 0.0" not in client.get("/metrics").text)
            assert titles(client, DRYING) == [OFFER.title]
            with pytest.raises(DiskFull):
                for number in range(100):
                    store.upsert([(Achievement(source="乙", source_id=str(number), title="别的" * 500), None)])
            assert titles(client, DRYING) == [OFFER.title]
            disk.empty()
            wait_for(lambda: {*titles(client, DRYING)} >= {OFFER.title, OTHER.title}, 30)
            store.close()
