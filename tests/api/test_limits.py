from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.limits import access_logger, log_access_somewhere
from matcher.engine import Matcher
from tests.api.support import DRYING, assert_problem

JSON = {"Content-Type": "application/json"}
CHUNK = b"x" * 10_000


def test_a_body_above_the_limit_is_refused(client: TestClient) -> None:
    problem = assert_problem(client.post("/v1/match", json={"text": "甲" * 100_000}), 413)
    assert "200000" in problem["detail"]


def test_a_body_that_comes_in_pieces_is_refused_as_soon_as_it_passes_the_limit(matcher: Matcher) -> None:
    """The length is not announced, and what comes after the limit is never read."""
    app = create_app(matcher=matcher)
    taken = 0
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": CHUNK, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/match",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    anyio.run(app, scope, receive, send)
    assert taken == 200_000 // len(CHUNK) + 1
    assert sent[0]["status"] == 413
    assert (b"content-type", b"application/problem+json") in sent[0]["headers"]


def test_a_streamed_body_above_the_limit_is_a_problem(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield from [CHUNK] * 30

    assert_problem(client.post("/v1/tag", content=chunks(), headers=JSON), 413)


def test_a_streamed_body_below_the_limit_is_answered(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"text": "'
        yield DRYING.encode()
        yield b'"}'

    assert client.post("/v1/match", content=chunks(), headers=JSON).status_code == 200


def test_a_body_that_announces_less_than_it_sends_is_still_limited(client: TestClient) -> None:
    answer = client.post("/v1/match", content=CHUNK * 30, headers=JSON | {"Content-Length": "10"})
    assert_problem(answer, 413)


@pytest.mark.parametrize("length", ["9" * 5000, "٣" * 30])
def test_an_absurd_announced_length_is_refused(client: TestClient, length: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", length.encode())]
    answer = client.post("/v1/match", content=b'{"text": "x"}', headers=headers)
    assert answer.status_code in (200, 413)


def test_every_answer_has_an_id_of_its_own(client: TestClient) -> None:
    ids = [client.get("/healthz").headers["x-request-id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{32}", id_) for id_ in ids)


def test_a_sane_id_that_comes_in_goes_out(client: TestClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "gw-7.a_B"}).headers["x-request-id"] == "gw-7.a_B"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, '{"a":1}', "é".encode("latin-1"), "-x"])
def test_any_other_id_is_replaced(client: TestClient, given: str | bytes) -> None:
    raw = given if isinstance(given, bytes) else given.encode()
    answered = client.get("/healthz", headers={b"X-Request-ID": raw}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", answered)


def test_one_line_a_request_and_nothing_of_what_was_asked(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "api.access"):
        client.post("/v1/match?q=私密", json={"text": DRYING, "enterprise": "某某公司"}, headers={"X-Request-ID": "r1"})
        client.get("/v1/records/ach-secret", headers={"X-Request-ID": "r2"})
        client.get("/who/is/张三", headers={"X-Request-ID": "r3"})
    lines = [json.loads(record.message) for record in caplog.records if record.name == "api.access"]
    assert [(line["request_id"], line["method"], line["route"], line["status"]) for line in lines] == [
        ("r1", "POST", "/v1/match", 200),
        ("r2", "GET", "/v1/records/{id}", 404),
        ("r3", "GET", "-", 404),
    ]
    assert all(set(line) == {"time", "request_id", "method", "route", "status", "ms"} for line in lines)
    for word in ("银耳", "私密", "某某", "secret", "张三"):
        assert word not in caplog.text


def test_the_access_log_goes_to_standard_error_where_nobody_set_up_logging(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(access_logger, "parent", None)
    monkeypatch.setattr(access_logger, "handlers", [])
    monkeypatch.setattr(access_logger, "level", logging.NOTSET)
    log_access_somewhere()
    log_access_somewhere()
    access_logger.info("one line")
    assert capsys.readouterr().err == "one line\n"
