"""How the service starts, stays fresh, tells how it is, and ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.service import LOADING, LOADING_FAILED
from matcher.engine import Matcher
from matcher.errors import ModelError, SettingError
from matcher.settings import Settings
from matcher.store import Store
from tests.api.conftest import Key, ingest
from tests.api.support import DRYING, assert_problem, ready, titles, wait_for


def figure(client: TestClient, name: str, **labels: str) -> float:
    """One sample of /metrics; 0 where it is not there yet."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return 0


def refreshers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "matcher-refresh"]


def test_importing_the_application_starts_nothing() -> None:
    code = "import sys, api.app; print([m for m in ('torch', 'faiss', 'onnxruntime') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_it_is_alive_at_once_and_ready_when_everything_is_loaded(
    matcher: Matcher, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = threading.Event()
    match = matcher.match

    def slowly(query: Any) -> Any:
        loaded.wait(20)
        return match(query)

    monkeypatch.setattr(matcher, "match", slowly)
    with TestClient(create_app(matcher=matcher), headers=key("enterprise")) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        answer = client.get("/readyz")
        assert assert_problem(answer, 503)["detail"] == LOADING
        assert answer.headers["retry-after"]
        for path, body in (("match", {"text": DRYING}), ("partners", {"text": DRYING}), ("tag", {"items": []})):
            assert_problem(client.post(f"/v1/{path}", json=body), 503)
        assert client.get("/v1/programmes").status_code == 200
        assert figure(client, "matcher_ready") == 0
        loaded.set()
        ready(client)
        state = client.get("/readyz").json()
        assert state == {
            "status": "ready",
            "index": {"generation": matcher.index.generation, "records": matcher.index.count(("public",))},
        }
        assert figure(client, "matcher_ready") == 1


def test_what_cannot_be_loaded_is_tried_again(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = True
    match = matcher.match

    def load(query: Any) -> Any:
        if broken:
            raise ModelError("模型目录 /srv/secret 不完整")
        return match(query)

    monkeypatch.setattr(matcher, "match", load)
    with TestClient(create_app(matcher=matcher)) as client:
        wait_for(lambda: client.get("/readyz").json()["detail"] == LOADING_FAILED)
        wait_for(lambda: figure(client, "matcher_refresh_failures_total") >= 3)
        broken = False
        ready(client)
    # One line a failure, not one a try.
    assert caplog.text.count("loading or refreshing the index failed") == 1


def test_a_failing_refresh_is_counted_and_the_old_index_keeps_serving(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(create_app(matcher=matcher)) as client:
        ready(client)
        before = titles(client, DRYING)

        def fail(*_: Any) -> bool:
            raise OSError("disk gone")

        monkeypatch.setattr(matcher, "refresh", fail)
        wait_for(lambda: figure(client, "matcher_refresh_failures_total") >= 2)
        assert titles(client, DRYING) == before
        assert client.get("/readyz").status_code == 200
        assert "disk gone" in caplog.text


def test_a_record_that_another_process_stores_is_found_soon(
    client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    title, text = "香菇脆片低温真空油炸工艺", "香菇脆片含油率太高，求低温真空油炸和脱油工艺"
    assert title not in titles(client, text)
    generation = client.get("/readyz").json()["index"]["generation"]
    other = Matcher(settings)
    row = {"source_id": "B1", "title": title, "abstract": "真空油炸后离心脱油，香菇脆片含油率低于百分之十八。"}
    ingest(other, tmp_path, "achievement", [row], "另一个进程")
    # It dies before it indexes anything: the service does that.
    other.close()
    wait_for(lambda: title in titles(client, text), 5)
    assert client.get("/readyz").json()["index"]["generation"] > generation
    wait_for(lambda: figure(client, "matcher_index_behind") == 0)


def test_a_record_that_another_process_indexes_is_found_soon(
    client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    title, text = "井下套管腐蚀电感探针在线监测", "油井套管壁厚损失在线监测，腐蚀探针"
    other = Matcher(settings)
    row = {"source_id": "C1", "title": title, "abstract": "电感探针测量套管壁厚损失，分辨率一微米，数据上传井口。"}
    ingest(other, tmp_path, "achievement", [row], "又一个进程")
    other.catch_up()
    other.close()
    wait_for(lambda: title in titles(client, text), 5)


def test_a_record_that_is_withdrawn_is_gone_at_once(client: TestClient, settings: Settings, tmp_path: Path) -> None:
    title, text = "魔芋葡甘聚糖湿法提纯工艺", "魔芋葡甘聚糖提纯，乙醇用量高"
    other = Matcher(settings)
    row = {"source_id": "D1", "title": title, "abstract": "魔芋粉湿法研磨，低度乙醇阻溶，葡甘聚糖纯度九成二。"}
    ingest(other, tmp_path, "achievement", [row], "第三个进程")
    wait_for(lambda: title in titles(client, text), 5)
    other.store.withdraw(next(s.id for s in other.store.records() if s.record.title == title))
    assert title not in titles(client, text)
    other.close()


def test_metrics_count_requests_by_route_and_time_every_step(client: TestClient, matcher: Matcher) -> None:
    labels = {"route": "/v1/match", "method": "POST", "status": "200"}
    before = figure(client, "matcher_requests_total", **labels)
    steps = figure(client, "matcher_match_step_seconds_count", step="embed")
    titles(client, DRYING)
    assert figure(client, "matcher_requests_total", **labels) == before + 1
    assert figure(client, "matcher_match_step_seconds_count", step="embed") == steps + 1
    for step in ("embed", "tag", "recall", "rank", "fetch", "explain"):
        assert figure(client, "matcher_match_step_seconds_count", step=step) > 0
    assert figure(client, "matcher_request_seconds_count", route="/v1/match") > 0
    # The refresher may be loading what an earlier test has stored.
    wait_for(lambda: figure(client, "matcher_index_generation") == matcher.index.generation)
    wait_for(lambda: figure(client, "matcher_index_records") == matcher.index.count(("public",)))
    assert figure(client, "process_resident_memory_bytes") > 0


def test_addresses_and_methods_that_do_not_exist_make_no_series_of_their_own(client: TestClient) -> None:
    for number in range(3):
        client.request(f"X{number}", f"/nowhere/{number}")
    text = client.get("/metrics").text
    assert "nowhere" not in text
    assert figure(client, "matcher_requests_total", route="-", method="OTHER", status="404") >= 3


def test_two_applications_in_one_process_count_apart(client: TestClient, matcher: Matcher) -> None:
    titles(client, DRYING)
    with TestClient(create_app(matcher=matcher)) as other:
        assert figure(other, "matcher_requests_total", route="/v1/match") == 0


def test_it_answers_at_once_while_questions_are_computed(
    matcher: Matcher, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, begun = threading.Event(), threading.Event()
    with TestClient(create_app(matcher=matcher), headers=key("enterprise")) as client:
        ready(client)
        match_many = matcher.match_many

        def slowly(queries: Any) -> Any:
            begun.set()
            released.wait(20)
            return match_many(queries)

        monkeypatch.setattr(matcher, "match_many", slowly)
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(client.post, "/v1/match", json={"text": DRYING}) for _ in range(3)]
            assert begun.wait(10)
            began = time.perf_counter()
            for path in ("/healthz", "/readyz", "/v1/programmes", "/metrics"):
                assert client.get(path).status_code == 200
            assert time.perf_counter() - began < 2
            released.set()
            assert [answer.result().status_code for answer in waiting] == [200] * 3


def test_one_thread_refreshes_and_ends_with_the_application(matcher: Matcher) -> None:
    before = len(refreshers())
    with TestClient(create_app(matcher=matcher)) as client:
        ready(client)
        assert len(refreshers()) == before + 1
    assert len(refreshers()) == before


def test_it_ends_in_the_middle_of_long_indexing(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = threading.Event()

    def endless(progress: Callable[[int, int], None], _grace: float) -> bool:
        while True:
            busy.set()
            progress(1, 1000)
            time.sleep(0.01)

    monkeypatch.setattr(matcher, "refresh", endless)
    with TestClient(create_app(matcher=matcher)):
        assert busy.wait(10)
    assert not [thread for thread in refreshers() if not thread.is_alive()]


def test_an_engine_that_was_given_stays_open(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Matcher] = []
    monkeypatch.setattr(Matcher, "close", closed.append)
    with TestClient(create_app(matcher=matcher)):
        pass
    assert closed == []


def test_an_engine_of_its_own_is_opened_from_the_environment_and_closed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHER_HOME", str(settings.home))
    closed: list[Store] = []
    close = Store.close

    def counted(store: Store) -> None:
        closed.append(store)
        close(store)

    monkeypatch.setattr(Store, "close", counted)
    with TestClient(create_app()) as client:
        ready(client)
        assert titles(client, DRYING)
    assert len(closed) == 1


def test_a_wrong_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHER_MAX_BODY_BYTES", "many")
    with pytest.raises(SettingError, match="MATCHER_MAX_BODY_BYTES"):
        create_app()


def test_an_empty_installation_says_that_there_is_nothing_to_match(model_home: Path, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(model_home / "model")
    with TestClient(create_app(Settings(home=tmp_path))) as client:
        ready(client)
        answer = client.post("/v1/match", json={"text": DRYING}).json()
        assert answer["matches"] == []
        assert "matcher ingest" in answer["message"]
        assert answer["index"] == {"generation": 0, "records": 0}
