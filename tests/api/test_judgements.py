from __future__ import annotations

from typing import Any

import pytest

from tests.api.fresh import NEED, OFFER, Fresh, Headers
from tests.api.support import assert_problem


def judge(fresh: Fresh, headers: Headers, need: str, offer: str, level: int = 4) -> Any:
    body = {"need_id": need, "offer_id": offer, "level": level}
    return fresh.client.post("/v1/judgements", json=body, headers=headers)


def pairs(fresh: Fresh, headers: Headers) -> list[tuple[str, str, int]]:
    found = fresh.client.get("/v1/judgements?limit=100", headers=headers).json()["judgements"]
    assert fresh.client.get("/v1/statistics", headers=headers).json()["judgements"] == len(found)
    return [(one["need_id"], one["offer_id"], one["level"]) for one in found]


def test_a_judgement_replaces_ones_own_earlier_one_and_nobody_elses(fresh: Fresh) -> None:
    owner, mine, theirs = fresh.key(), fresh.key("intermediary"), fresh.key("admin")
    need, offer = fresh.write(owner)["id"], fresh.write(owner, **OFFER)["id"]
    assert judge(fresh, mine, need, offer, 2).json()["level_name"] == "弱相关"
    assert judge(fresh, theirs, need, offer, 4).status_code == 200
    assert judge(fresh, mine, need, offer, 3).status_code == 200
    assert (pairs(fresh, mine), pairs(fresh, theirs)) == ([(need, offer, 3)], [(need, offer, 4)])
    path = f"/v1/judgements?need_id={need}&offer_id={offer}"
    assert fresh.client.delete(path, headers=mine).status_code == 204
    assert_problem(fresh.client.delete(path, headers=mine), 404)
    assert (pairs(fresh, mine), pairs(fresh, theirs)) == ([], [(need, offer, 4)])


def test_only_what_one_may_see_can_be_judged(fresh: Fresh) -> None:
    owner, judges = fresh.key(), [fresh.key("intermediary"), fresh.key("admin")]
    offer = fresh.write(owner, **OFFER)["id"]
    shared, private = (fresh.write(owner, visibility=v)["id"] for v in ("intermediaries", "private"))
    for judging in judges:
        assert judge(fresh, judging, shared, offer).status_code == 200
        missing = assert_problem(judge(fresh, judging, "need-aaaaaaaaaaaaa", offer), 404)
        hidden = assert_problem(judge(fresh, judging, private, offer), 404)
        assert hidden["detail"] == missing["detail"].replace("need-aaaaaaaaaaaaa", private)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"need_id": "OFFER"}, "need_id"),
        ({"offer_id": "NEED"}, "offer_id"),
        ({"level": 5}, "level"),
        ({"level": 0}, "level"),
        ({"level": "4"}, "level"),
    ],
)
def test_what_makes_no_judgement_is_named(fresh: Fresh, change: dict[str, Any], field: str) -> None:
    headers = fresh.key("intermediary")
    ids = {"NEED": fresh.write(headers)["id"], "OFFER": fresh.write(headers, **OFFER)["id"]}
    body = {"need_id": ids["NEED"], "offer_id": ids["OFFER"], "level": 4}
    body |= {name: ids.get(str(value), value) for name, value in change.items()}
    problem = assert_problem(fresh.client.post("/v1/judgements", json=body, headers=headers), 422)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_what_was_hidden_or_withdrawn_since_is_listed_no_more(fresh: Fresh) -> None:
    owner, judging = fresh.key(), fresh.key("intermediary")
    offer = fresh.write(owner, **OFFER)["id"]
    kept, hidden, gone = (fresh.write(owner, title=f"需求{i}")["id"] for i in range(3))
    for need in (kept, hidden, gone):
        assert judge(fresh, judging, need, offer).status_code == 200
    fresh.client.put(f"/v1/records/{hidden}", json=NEED | {"visibility": "private"}, headers=owner)
    fresh.client.delete(f"/v1/records/{gone}", headers=owner)
    assert pairs(fresh, judging) == [(kept, offer, 4)]
    fresh.client.put(f"/v1/records/{hidden}", json=NEED, headers=owner)
    assert {need for need, _, _ in pairs(fresh, judging)} == {kept, hidden}
    fresh.client.delete(f"/v1/records/{offer}", headers=owner)
    assert pairs(fresh, judging) == []


def test_judgements_come_in_pages(fresh: Fresh) -> None:
    headers = fresh.key("intermediary")
    offer = fresh.write(headers, **OFFER)["id"]
    needs = [fresh.write(headers, title=f"需求{i}")["id"] for i in range(5)]
    for need in needs:
        judge(fresh, headers, need, offer)
    found, cursor = [], ""
    while cursor is not None:
        page = fresh.client.get(f"/v1/judgements?limit=2{cursor}", headers=headers).json()
        found += [one["need_id"] for one in page["judgements"]]
        cursor = f"&cursor={page['next']}" if page["next"] else None
    assert found == needs[::-1]


@pytest.mark.parametrize("id_", ["%00", "need-%00", "%ED%A0%80", "' OR 1=1", "x" * 300])
def test_odd_ids_are_refused(fresh: Fresh, id_: str) -> None:
    headers = fresh.key("intermediary")
    answer = fresh.client.delete(f"/v1/judgements?need_id={id_}&offer_id={id_}", headers=headers)
    assert_problem(answer, 422)
