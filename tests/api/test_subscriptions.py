"""Subscriptions over the API."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import select

from matcher import tables
from matcher.consent import UNCONFIRMED_LIMIT
from tests.api.fresh import Fresh, Headers
from tests.api.support import assert_problem

READER = "reader@example.test"
WISH = {"email": READER, "follows": "text", "text": "银耳烘干", "regions": ["四川省"]}


def post(fresh: Fresh, headers: Headers, **changes: Any) -> dict[str, Any]:
    answer = fresh.client.post("/v1/subscriptions", json=WISH | changes, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def count(fresh: Fresh, table: Any) -> int:
    with fresh.matcher.store.database.reading.connect() as connection:
        return len(connection.execute(select(table)).all())


def confirm(fresh: Fresh, email: str = READER) -> None:
    book = fresh.matcher.subscriptions
    person = book.by_email(email)
    assert person
    book.confirm(person)


def test_a_subscription_from_the_wish_to_the_end(fresh: Fresh) -> None:
    headers = fresh.key()
    made = post(fresh, headers, min_level=2, frequency="weekly", programmes=["food"])
    assert made.items() >= {"email": READER, "state": "waiting", "min_level": 2, "frequency": "weekly"}.items()
    assert made["regions"] == [{"code": "51", "name": "四川省"}]
    path = f"/v1/subscriptions/{made['id']}"
    assert fresh.client.get(path, headers=headers).json() == made
    confirm(fresh)
    now = fresh.client.get(path, headers=headers).json()
    assert (now["state"], now["state_name"]) == ("active", "已生效")
    assert fresh.client.get("/v1/subscriptions", headers=headers).json() == {"subscriptions": [now], "next": None}
    assert fresh.client.delete(path, headers=headers).status_code == 204
    for answer in (fresh.client.get(path, headers=headers), fresh.client.delete(path, headers=headers)):
        assert_problem(answer, 404)
    assert fresh.client.get("/v1/subscriptions", headers=headers).json()["subscriptions"] == []


def test_anothers_is_not_there_whoever_asks(fresh: Fresh) -> None:
    made = post(fresh, fresh.key())
    for role in ("enterprise", "intermediary", "institution", "admin"):
        headers = fresh.key(role)
        path = f"/v1/subscriptions/{made['id']}"
        assert_problem(fresh.client.get(path, headers=headers), 404)
        assert_problem(fresh.client.delete(path, headers=headers), 404)
        assert fresh.client.get("/v1/subscriptions", headers=headers).json()["subscriptions"] == []


def test_the_answer_never_tells_what_is_known_of_an_address(fresh: Fresh) -> None:
    book = fresh.matcher.subscriptions
    others = fresh.key("intermediary")
    post(fresh, others, email="Known@example.test")
    post(fresh, others, email="agreed@example.test")
    confirm(fresh, "agreed@example.test")
    for email, why in (("gone@example.test", "unsubscribed"), ("bounced@example.test", "bounced")):
        book.suppress(book.known(email), why)  # type: ignore[arg-type]
    headers = fresh.key()
    told = []
    for email in ("new@", "KNOWN@", "agreed@", "gone@", "bounced@"):
        made = post(fresh, headers, email=f"{email}example.test")
        assert made.pop("email") == f"{email.lower()}example.test"
        del made["id"], made["created_at"]
        told.append(made)
    assert all(one == told[0] for one in told)
    # Nor does it later: what the account reads of them stays the same.
    listed = fresh.client.get("/v1/subscriptions", headers=headers).json()["subscriptions"]
    assert {one["state"] for one in listed} == {"waiting"}
    # Consent that the account had is no secret, and what the person says against mail still is.
    confirm(fresh, "new@example.test")
    confirm(fresh, "known@example.test")
    person = book.by_email("known@example.test")
    assert person
    book.suppress(person, "unsubscribed")
    assert [post(fresh, headers, email=f"{name}@example.test", text="木耳")["state"] for name in ("new", "known")] == [
        "active"
    ] * 2


def test_a_request_that_is_sent_again_does_nothing_again(fresh: Fresh) -> None:
    headers = fresh.key() | {"Idempotency-Key": "k1"}
    first = fresh.client.post("/v1/subscriptions", json=WISH, headers=headers)
    again = fresh.client.post("/v1/subscriptions", json=WISH, headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    # Without a key the same wish is the same subscription too.
    del headers["Idempotency-Key"]
    assert post(fresh, headers)["id"] == first.json()["id"]
    assert [count(fresh, table) for table in (tables.subscribers, tables.subscriptions, tables.outbox)] == [1, 1, 1]


def test_pages_follow_each_other(fresh: Fresh) -> None:
    headers = fresh.key()
    made = [post(fresh, headers, text=f"银耳烘干 {number}")["id"] for number in range(5)]
    found: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = fresh.client.get("/v1/subscriptions", params=asked, headers=headers).json()
        found += [one["id"] for one in page["subscriptions"]]
        cursor = page["next"]
    assert (found, cursor) == (made[::-1], None)
    assert_problem(fresh.client.get("/v1/subscriptions?cursor=!", headers=headers), 422)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"email": "reader@"}, "邮箱"),
    ({"email": "reader@example.test\r\nBcc: other@example.test"}, "邮箱"),
    ({"email": "\0@example.test"}, "邮箱"),
    ({"text": ""}, "文字"),
    ({"regions": ["火星"]}, "地区"),
    ({"programmes": ["aerospace"]}, "programmes[0]"),
    ({"kinds": ["institution"]}, "kinds[0]"),
    ({"min_level": 1}, "min_level"),
    ({"frequency": "hourly"}, "frequency"),
    ({"follows": "everything"}, "follows"),
    ({"follows": "record", "text": None}, "编号"),
    ({"subject": "need-1"}, "编号"),
]


def test_what_is_wrong_is_named(fresh: Fresh) -> None:
    headers = fresh.key()
    for changes, field in WRONG:
        answer = fresh.client.post("/v1/subscriptions", json=WISH | changes, headers=headers)
        assert [error["field"] for error in assert_problem(answer, 422)["errors"]] == [field], changes
    assert count(fresh, tables.subscribers) == 0


def test_ones_own_hidden_need_can_be_followed_and_nobody_elses(fresh: Fresh) -> None:
    mine, theirs = fresh.key(), fresh.key("intermediary")
    hidden = fresh.write(mine, visibility="private")
    wish = {"email": READER, "follows": "record", "subject": hidden["id"]}
    assert fresh.client.post("/v1/subscriptions", json=wish, headers=mine).json()["subject"] == hidden["id"]
    refused = assert_problem(fresh.client.post("/v1/subscriptions", json=wish, headers=theirs), 404)
    unknown = wish | {"subject": "need-aaaaaaaaaaaaa"}
    missing = assert_problem(fresh.client.post("/v1/subscriptions", json=unknown, headers=theirs), 404)
    assert refused["detail"].replace(hidden["id"], "") == missing["detail"].replace("need-aaaaaaaaaaaaa", "")
    own = {"email": READER, "follows": "own"}
    assert fresh.client.post("/v1/subscriptions", json=own, headers=mine).json()["follows_name"]


def test_an_account_may_ask_so_many_strangers_and_no_more(fresh: Fresh) -> None:
    headers = fresh.key()
    for number in range(UNCONFIRMED_LIMIT):
        made = post(fresh, headers, email=f"stranger{number}@example.test")
        fresh.client.delete(f"/v1/subscriptions/{made['id']}", headers=headers)
    answer = fresh.client.post("/v1/subscriptions", json=WISH, headers=headers)
    assert "还没有得到收件人确认" in assert_problem(answer, 422)["detail"]
    assert count(fresh, tables.outbox) == UNCONFIRMED_LIMIT


def test_no_log_metric_or_error_names_an_address(
    fresh: Fresh, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    headers = fresh.key()
    address = "unheard-of@example.test"
    made = post(fresh, headers, email=address)
    fresh.client.get(f"/v1/subscriptions/{made['id']}", headers=headers)
    answers = [
        fresh.client.post("/v1/subscriptions", json=WISH | {"email": f"{address},{address}"}, headers=headers),
        fresh.client.post("/v1/subscriptions", json=WISH | {"email": address, "text": ""}, headers=headers),
    ]
    # A statement that fails is logged with all that it says.
    monkeypatch.setattr("matcher.subscriptions._by_address", lambda *_: None)
    answers.append(fresh.client.post("/v1/subscriptions", json=WISH | {"email": address}, headers=headers))
    assert [answer.status_code for answer in answers] == [422, 422, 500]
    assert "INSERT INTO subscribers" in caplog.text
    shown = "".join([caplog.text, fresh.client.get("/metrics").text, *(answer.text for answer in answers)])
    assert "unheard-of" not in shown
