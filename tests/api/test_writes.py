"""Records that their owners write: whose they are, entity tags, requests that are sent again."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from matcher import replies
from matcher.errors import Busy
from tests.api.fresh import NEED, OFFER, Fresh
from tests.api.support import assert_problem, wait_for


def test_a_record_is_read_as_it_was_written(fresh: Fresh) -> None:
    headers = fresh.key()
    answer = fresh.client.post(
        "/v1/records", json=NEED | {"deadline": "2099-12-31", "budget": "50万元"}, headers=headers
    )
    written = answer.json()
    assert answer.headers["location"] == f"/v1/records/{written['id']}"
    assert (written["title"], written["deadline"], written["budget_min"]) == (NEED["title"], "2099-12-31", 500_000)
    assert written["own"] == {"visibility": "public", "contact": "厂办", "source_id": written["own"]["source_id"]}
    read = fresh.client.get(f"/v1/records/{written['id']}", headers=headers)
    assert read.json() == written
    assert read.headers["etag"] == answer.headers["etag"]
    assert read.headers["cache-control"] == "private, no-cache"


def test_the_same_number_of_ones_own_is_an_update_and_anothers_is_another_record(fresh: Fresh) -> None:
    mine, theirs = fresh.key(), fresh.key()
    first = fresh.write(mine, source_id="7")
    assert fresh.write(mine, source_id="7", title="银耳烘干降耗")["id"] == first["id"]
    assert fresh.write(theirs, source_id="7")["id"] != first["id"]


@pytest.mark.parametrize("visibility", ["public", "intermediaries", "private"])
def test_anothers_record_is_not_there_to_be_changed(fresh: Fresh, visibility: str) -> None:
    id_ = fresh.write(fresh.key(), visibility=visibility)["id"]
    for role in ("enterprise", "admin"):
        other = fresh.key(role)
        missing = assert_problem(fresh.client.put("/v1/records/need-aaaaaaaaaaaaa", json=NEED, headers=other), 404)
        for method, path, body in (
            ("PUT", "", NEED),
            ("PUT", "", OFFER),
            ("DELETE", "", None),
            ("GET", "/history", None),
        ):
            answer = fresh.client.request(method, f"/v1/records/{id_}{path}", json=body, headers=other)
            problem = assert_problem(answer, 404)
            assert problem["detail"] == missing["detail"].replace("need-aaaaaaaaaaaaa", id_)
    hidden = fresh.key("institution")
    for path in ("", "/matches", "/similar", "/partners"):
        expected = 200 if visibility == "public" else 404
        assert fresh.client.get(f"/v1/records/{id_}{path}", headers=hidden).status_code == expected


def test_what_is_withdrawn_is_left_to_its_owner_who_restores_it(fresh: Fresh) -> None:
    mine, theirs = fresh.key(), fresh.key("admin")
    id_ = fresh.write(mine)["id"]
    assert fresh.client.delete(f"/v1/records/{id_}", headers=mine).status_code == 204
    assert fresh.client.get(f"/v1/records/{id_}", headers=mine).json()["state"] == "withdrawn"
    assert_problem(fresh.client.get(f"/v1/records/{id_}", headers=theirs), 404)
    assert_problem(fresh.client.delete(f"/v1/records/{id_}", headers=mine), 404)
    assert fresh.client.put(f"/v1/records/{id_}", json=NEED, headers=mine).json()["state"] == "active"
    assert fresh.client.get(f"/v1/records/{id_}", headers=theirs).status_code == 200
    changes = fresh.client.get(f"/v1/records/{id_}/history", headers=mine).json()["changes"]
    assert [change["action"] for change in changes] == ["update", "withdraw", "add"]
    assert {change["by"] for change in changes} == {"您"}


def test_what_has_ended_leaves_the_matches_and_lists_and_can_still_be_read(fresh: Fresh) -> None:
    mine, theirs = fresh.key(), fresh.key()
    id_ = fresh.write(mine, deadline="2020-01-01")["id"]
    assert fresh.client.get(f"/v1/records/{id_}", headers=theirs).json()["state"] == "ended"
    assert fresh.client.get("/v1/records", headers=theirs).json()["records"] == []
    assert [r["id"] for r in fresh.client.get("/v1/records?mine=true", headers=mine).json()["records"]] == [id_]


def test_a_change_says_nothing_of_the_contact_unless_it_does(fresh: Fresh) -> None:
    headers = fresh.key()
    id_ = fresh.write(headers, contact="厂办 0827-1234567")["id"]
    without = {name: value for name, value in NEED.items() if name != "contact"}
    for contact, expected in ((None, "厂办 0827-1234567"), ("新的", "新的"), ("", None)):
        changed = fresh.client.put(f"/v1/records/{id_}", json=without | {"contact": contact}, headers=headers).json()
        assert changed["own"]["contact"] == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "patent", "title": "一种烘房"}, "kind"),
        (NEED | {"source_id": "another"}, "source_id"),
        (NEED | {"deadline": "2026年13月"}, "截止日期"),
        (NEED | {"title": "  "}, "标题"),
    ],
)
def test_what_cannot_be_changed_is_named(fresh: Fresh, change: dict[str, Any], field: str) -> None:
    headers = fresh.key()
    id_ = fresh.write(headers, source_id="1")["id"]
    problem = assert_problem(fresh.client.put(f"/v1/records/{id_}", json=change, headers=headers), 422)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_institutions_are_public(fresh: Fresh) -> None:
    admin = fresh.key("admin")
    hidden = {"kind": "institution", "title": "蜀北大学", "visibility": "private"}
    assert_problem(fresh.client.post("/v1/records", json=hidden, headers=admin), 422)
    made = fresh.write(admin, kind="institution", title="蜀北大学", abstract="", contact=None)
    assert_problem(fresh.client.put(f"/v1/records/{made['id']}", json=hidden, headers=admin), 422)
    again = fresh.client.put(
        f"/v1/records/{made['id']}", json=hidden | {"visibility": "public"}, headers=fresh.key("admin")
    )
    assert again.status_code == 200


@pytest.mark.parametrize("text", ["\x00银耳", "银\ud83d耳", "银耳\u202e", "<script>alert(1)</script>银耳", "=1+1银耳"])
def test_odd_texts_are_written_without_harm(fresh: Fresh, text: str) -> None:
    headers = fresh.key()
    raw = json.dumps(NEED | {"title": text, "city": text, "industry": text}).encode()
    answer = fresh.client.post("/v1/records", content=raw, headers=headers | {"Content-Type": "application/json"})
    assert answer.status_code in (201, 422)
    assert "\x00" not in fresh.client.get("/v1/export", headers=headers).text


# ------------------------------------------------------------ entity tags


def test_an_unchanged_record_is_not_sent_again(fresh: Fresh) -> None:
    mine, theirs = fresh.key(), fresh.key()
    id_ = fresh.write(mine)["id"]
    path = f"/v1/records/{id_}"
    tag = fresh.client.get(path, headers=mine).headers["etag"]
    assert fresh.client.get(path, headers=theirs).headers["etag"] != tag  # they read something else
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = fresh.client.get(path, headers=mine | {"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
    fresh.client.put(path, json=NEED | {"title": "另一个标题"}, headers=mine)
    answer = fresh.client.get(path, headers=mine | {"If-None-Match": tag})
    assert (answer.status_code, answer.json()["title"]) == (200, "另一个标题")


def test_what_somebody_changed_meanwhile_is_not_overwritten(fresh: Fresh) -> None:
    headers = fresh.key()
    id_ = fresh.write(headers)["id"]
    path = f"/v1/records/{id_}"
    tag = fresh.client.get(path, headers=headers).headers["etag"]
    first = fresh.client.put(path, json=NEED | {"title": "第一次"}, headers=headers | {"If-Match": tag})
    assert first.status_code == 200
    assert_problem(fresh.client.put(path, json=NEED | {"title": "第二次"}, headers=headers | {"If-Match": tag}), 412)
    assert_problem(fresh.client.delete(path, headers=headers | {"If-Match": tag}), 412)
    assert fresh.client.get(path, headers=headers).json()["title"] == "第一次"
    assert_problem(fresh.client.put(path, json=NEED, headers=headers | {"If-Match": '"forged"'}), 422)
    assert fresh.client.put(path, json=NEED, headers=headers | {"If-Match": "*"}).status_code == 200
    tag = fresh.client.get(path, headers=headers).headers["etag"]
    assert fresh.client.delete(path, headers=headers | {"If-Match": tag}).status_code == 204


# ------------------------------------------------------------ requests that are sent again


def test_a_request_sent_again_gets_the_first_answer_and_writes_once(fresh: Fresh) -> None:
    headers = fresh.key() | {"Idempotency-Key": "n-1"}
    answers = [fresh.client.post("/v1/records", json=NEED, headers=headers) for _ in range(3)]
    assert len({(answer.status_code, answer.text, answer.headers["etag"]) for answer in answers}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true", "true"]
    assert len(fresh.client.get("/v1/records", headers=headers).json()["records"]) == 1
    id_ = answers[0].json()["id"]
    for _ in range(2):
        gone = fresh.client.delete(f"/v1/records/{id_}", headers=headers | {"Idempotency-Key": "n-2"})
        assert (gone.status_code, gone.content) == (204, b"")


def test_a_key_stands_for_one_request_of_one_account(fresh: Fresh) -> None:
    name = {"Idempotency-Key": "n-1"}
    mine, theirs = fresh.key() | name, fresh.key() | name
    first = fresh.client.post("/v1/records", json=NEED, headers=mine)
    other = assert_problem(fresh.client.post("/v1/records", json=OFFER, headers=mine), 422)
    assert [error["field"] for error in other["errors"]] == ["Idempotency-Key"]
    assert_problem(fresh.client.post("/v1/account/keys", json={"name": "k"}, headers=mine), 422)
    second = fresh.client.post("/v1/records", json=OFFER, headers=theirs)
    assert (second.status_code, second.json()["id"] != first.json()["id"]) == (201, True)


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 129, "\x7f"])
def test_odd_names_of_requests_are_refused(fresh: Fresh, name: str) -> None:
    headers = {**fresh.key(), "Idempotency-Key": name.encode("latin-1")}
    assert_problem(fresh.client.post("/v1/records", json=NEED, headers=headers), 422)  # type: ignore[arg-type]


def test_a_request_sent_while_it_is_answered_waits(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = fresh.key() | {"Idempotency-Key": "n-1"}
    begun, released = threading.Event(), threading.Event()
    write = fresh.matcher.write

    def slowly(*arguments: Any) -> None:
        begun.set()
        released.wait(20)
        write(*arguments)

    monkeypatch.setattr(fresh.matcher, "write", slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(fresh.client.post, "/v1/records", json=NEED, headers=headers)
        assert begun.wait(20)
        assert_problem(fresh.client.post("/v1/records", json=NEED, headers=headers), 409)
        released.set()
        assert first.result().status_code == 201
    again = fresh.client.post("/v1/records", json=NEED, headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")


def test_a_request_that_failed_may_be_sent_again(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = fresh.key() | {"Idempotency-Key": "n-1"}

    def busy(*_: Any) -> None:
        raise Busy("另一个进程")

    with monkeypatch.context() as patch:
        patch.setattr(fresh.matcher, "write", busy)
        assert_problem(fresh.client.post("/v1/records", json=NEED, headers=headers), 503)
    answer = fresh.client.post("/v1/records", json=NEED, headers=headers)
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)
    wrong = NEED | {"deadline": "2026年13月"}
    named = headers | {"Idempotency-Key": "n-2"}
    assert_problem(fresh.client.post("/v1/records", json=wrong, headers=named), 422)
    assert fresh.client.post("/v1/records", json=NEED, headers=named).status_code == 201


def test_a_request_that_was_killed_after_it_wrote_is_not_doubled(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process writes, and is killed before it has kept its answer."""
    headers = fresh.key() | {"Idempotency-Key": "n-1"}
    code = f"""
        import os
        from pathlib import Path
        from fastapi.testclient import TestClient
        from api.app import create_app
        from tests.api.fresh import fresh_matcher
        matcher = fresh_matcher(Path({str(tmp_path / "home")!r}))
        matcher.replies.finish = lambda *_: os._exit(9)
        with TestClient(create_app(matcher=matcher)) as client:
            client.post("/v1/records", json={NEED!r}, headers={headers!r})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=Path(__file__).parents[2], timeout=60)
    assert done.returncode == 9
    assert len(fresh.client.get("/v1/records", headers=headers).json()["records"]) == 1
    assert_problem(fresh.client.post("/v1/records", json=NEED, headers=headers), 409)
    monkeypatch.setattr(replies, "ABANDONED", -1)
    wait_for(lambda: fresh.client.post("/v1/records", json=NEED, headers=headers).status_code == 201)
    assert len(fresh.client.get("/v1/records", headers=headers).json()["records"]) == 1
