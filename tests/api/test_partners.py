from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.support import DRYING, PHONE, UNIVERSITY, assert_problem


def partners(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    answer = client.post("/v1/partners", json=body)
    assert answer.status_code == 200, answer.text
    assert PHONE not in answer.text
    assert list(answer.json()) == ["partners"]
    found: list[dict[str, Any]] = answer.json()["partners"]
    return found


def test_a_need_brings_institutions_to_talk_to(client: TestClient) -> None:
    found = partners(client, text=DRYING)
    assert UNIVERSITY in [partner["institution"]["name"] for partner in found]
    assert all(partner["why"] and partner["evidence"] for partner in found)
    scores = [partner["score"] for partner in found]
    assert scores == sorted(scores, reverse=True)


def test_partners_are_those_that_a_match_names(client: TestClient) -> None:
    matched = client.post("/v1/match", json={"text": DRYING}).json()["partners"]
    assert partners(client, text=DRYING) == matched


def test_the_limit_counts_institutions(client: TestClient) -> None:
    assert len(partners(client, text=DRYING, limit=1)) == 1


def test_an_institution_without_a_place_of_its_own_is_where_its_offers_are(client: TestClient) -> None:
    text = "页岩气低压积液气井的泡沫排水，起泡剂要耐盐耐温，携液率高"
    found = {partner["institution"]["name"]: partner["institution"] for partner in partners(client, text=text)}
    assert found["川东油气装备研究所"]["province"] == "重庆市"
    assert found["川东油气装备研究所"]["type"] is None


def test_filters_hold_for_partners_too(client: TestClient) -> None:
    found = partners(client, text=DRYING, filters={"kinds": ["patent"]})
    assert [partner["institution"]["name"] for partner in found] == ["通江县雾里菌品有限公司"]


def test_nobody_is_named_where_nothing_fits(client: TestClient) -> None:
    assert partners(client, text="请推荐几首描写秋天的古诗") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": " "}, "text"),
        ({"text": "甲", "limit": 0}, "limit"),
        ({"text": "甲", "limit": 21}, "limit"),
        ({"text": "甲", "min_level": 2}, "min_level"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_field(
    client: TestClient, body: dict[str, Any], field: str
) -> None:
    problem = assert_problem(client.post("/v1/partners", json=body), 422)
    assert [error["field"] for error in problem["errors"]] == [field]
