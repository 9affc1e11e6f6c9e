from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.errors import REASONS, field_name, reason
from matcher.engine import Matcher
from matcher.errors import Busy, DamagedIndex, MatcherError, ModelError, RankerMismatch, SettingError
from tests.api.support import assert_problem, ready

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/", "/nope", "/v1", "/v1/match/", "/v1/records/a/b", "/%00", "/银耳"])
def test_an_unknown_address_is_a_problem(client: TestClient, path: str) -> None:
    problem = assert_problem(client.get(path), 404)
    assert problem["instance"].isascii()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/match", "POST"),
        ("DELETE", "/v1/programmes", "GET"),
        ("POST", "/healthz", "GET"),
        ("PROPFIND", "/v1/tag", "POST"),
    ],
)
def test_a_wrong_method_is_a_problem_that_names_the_right_one(
    client: TestClient, method: str, path: str, allowed: str
) -> None:
    answer = client.request(method, path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "raw",
    [b"{", b"{'text': 1}", b'{"text": "x",}', b"\xff\xfe\x00", b'{"text": "\xb2\xe2"}', b"[" * 50_000, b"9" * 5000],
)
def test_a_body_that_is_no_json_is_a_problem(client: TestClient, raw: bytes) -> None:
    for path in ("/v1/match", "/v1/partners", "/v1/tag"):
        answer = client.post(path, content=raw, headers=JSON)
        assert_problem(answer, 422 if answer.status_code == 422 else 400)


def test_a_broken_body_is_told_where_it_breaks(client: TestClient) -> None:
    problem = assert_problem(client.post("/v1/match", content='{"text" "x"}', headers=JSON), 400)
    assert "第 9 个字符" in problem["detail"]


def test_an_empty_body_is_a_problem(client: TestClient) -> None:
    assert_problem(client.post("/v1/match", headers=JSON), 422)


@pytest.mark.parametrize(
    "declared", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
def test_a_body_that_is_not_declared_as_json_is_a_problem(client: TestClient, declared: str | None) -> None:
    headers = {"Content-Type": declared} if declared else {}
    problem = assert_problem(client.post("/v1/match", content=b'{"text": "x"}', headers=headers), 415)
    assert "Content-Type: application/json" in problem["detail"]


@pytest.mark.parametrize("declared", ["application/json; charset=utf-8", "Application/JSON", "application/ld+json"])
def test_json_may_be_declared_in_several_ways(client: TestClient, declared: str) -> None:
    answer = client.post("/v1/match", content='{"text": "银耳"}'.encode(), headers={"Content-Type": declared})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Busy("另一个进程正在写入 /srv/secret"), 503),
        (DamagedIndex("索引已损坏 /srv/secret"), 503),
        (ModelError("模型目录 /srv/secret 不完整"), 503),
        (RankerMismatch("排序器 /srv/secret 不一致"), 503),
        (SettingError("设置 /srv/secret 不可用"), 500),
        (MatcherError("/srv/secret"), 500),
        (RuntimeError("/srv/secret"), 500),
        (MemoryError("/srv/secret"), 500),
    ],
)
def test_what_goes_wrong_inside_is_not_shown(
    matcher: Matcher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    with TestClient(create_app(matcher=matcher)) as client:
        ready(client)
        monkeypatch.setattr(matcher, "match_many", fail)
        answer = client.post("/v1/match", json={"text": "银耳"}, headers={"X-Request-ID": "abc-1"})
    problem = assert_problem(answer, status)
    assert answer.headers["x-request-id"] == "abc-1"
    assert "secret" not in answer.text
    assert type(error).__name__ not in answer.text
    assert "/srv/secret" in caplog.text
    if not isinstance(error, MatcherError):
        assert "abc-1" in problem["detail"]


def test_an_error_after_the_answer_has_begun_is_not_answered_twice(
    matcher: Matcher, caplog: pytest.LogCaptureFixture
) -> None:
    from fastapi.responses import StreamingResponse

    def broken() -> Any:
        yield b"one"
        raise RuntimeError("broken off")

    app = create_app(matcher=matcher)
    app.add_api_route("/broken", lambda: StreamingResponse(broken()))
    with TestClient(app) as client, pytest.raises(RuntimeError, match="broken off"):
        client.get("/broken")
    assert any(record.levelno == logging.ERROR for record in caplog.records)


@pytest.mark.parametrize("kind", REASONS)
def test_every_known_reason_can_be_said(kind: str) -> None:
    context = dict.fromkeys(("max_length", "min_length", "ge", "le"), 7)
    assert "{" not in reason({"type": kind, "ctx": context, "msg": "English"})


def test_an_unknown_reason_is_still_chinese() -> None:
    assert reason({"type": "decimal_whole_digits", "ctx": {}, "msg": "English"}) == "值不可用"


def test_places_are_named_as_people_write_them() -> None:
    assert field_name(("body", "items", 3, "text")) == "items[3].text"
    assert field_name(("body",)) == "请求体"
    assert field_name(("path", "id")) == "id"
