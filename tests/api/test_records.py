from __future__ import annotations

from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from matcher.engine import Matcher
from matcher.records import KINDS, Kind, institution_id
from matcher.views import record_json, record_programmes_json
from tests.api.support import (
    HIDDEN_OWNERS,
    HIDDEN_TITLES,
    PHONE,
    UNIVERSITY,
    assert_problem,
    by_title,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_record_is_shown_with_its_programmes(client: TestClient, matcher: Matcher, kind: Kind) -> None:
    public = [
        stored
        for stored in matcher.store.records(kind)
        if stored.record.visibility == "public" and stored.record.source != "owner"
    ]
    assert public
    for stored in public:
        answer = client.get(f"/v1/records/{stored.id}")
        assert answer.status_code == 200
        assert answer.json() == record_json(stored) | {"programmes": record_programmes_json(stored.tags), "own": None}
        for word in (PHONE, "visibility", "contact", "source_id"):
            assert word not in answer.text


def test_a_record_shows_the_code_of_its_place(client: TestClient) -> None:
    record = client.get(f"/v1/records/{institution_id(UNIVERSITY)}").json()
    assert (record["province"], record["city"], record["region_code"]) == ("四川省", "绵阳市", "510700")


def test_an_institution_shows_its_type_and_other_names(client: TestClient) -> None:
    record = client.get(f"/v1/records/{institution_id(UNIVERSITY)}").json()
    assert (record["title"], record["type"], record["aliases"]) == (UNIVERSITY, "高等院校", ["蜀北农大"])
    assert record["institution"] is None


def test_hidden_withdrawn_and_missing_records_look_the_same(client: TestClient, matcher: Matcher) -> None:
    stored = list(matcher.store.records())
    hidden = [by_title(stored, title).id for title in HIDDEN_TITLES]
    gone = by_title(stored, "球墨铸铁制动盘的重力铸造模具").id
    assert client.get(f"/v1/records/{gone}").status_code == 200
    matcher.store.withdraw(gone)
    try:
        for id_ in [*hidden, gone, "need-aaaaaaaaaaaaa"]:
            problem = assert_problem(client.get(f"/v1/records/{id_}"), 404)
            problem = {name: value.replace(id_, "ID") for name, value in problem.items() if isinstance(value, str)}
            assert problem == {
                "type": "urn:matcher:problem:not-found",
                "title": "没有找到",
                "detail": "没有编号为“ID”的记录，或该记录不对您公开。",
                "instance": "/v1/records/ID",
            }
    finally:
        record = matcher.store.by_id([gone])[gone].record
        matcher.store.upsert([(record, None)])


@pytest.mark.parametrize("owner", HIDDEN_OWNERS)
def test_that_somebody_has_a_hidden_record_cannot_be_told_from_its_id(client: TestClient, owner: str) -> None:
    assert_problem(client.get(f"/v1/records/{institution_id(owner)}"), 404)


@pytest.mark.parametrize("id_", ["x", "\x00", "../x", "银耳", "😀", "a" * 5000, "ach-' OR 1=1 --", "%"])
def test_odd_ids_are_not_found(client: TestClient, id_: str) -> None:
    assert_problem(client.get("/v1/records/" + quote(id_, safe="")), 404)
