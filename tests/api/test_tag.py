from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from matcher.engine import Matcher
from matcher.records import PROGRAMME_CODES
from matcher.views import tag_json
from tests.api.support import DRYING, assert_problem


def tag(client: TestClient, items: list[dict[str, str]]) -> list[dict[str, Any]]:
    answer = client.post("/v1/tag", json={"items": items})
    assert answer.status_code == 200, answer.text
    tagged: list[dict[str, Any]] = answer.json()["items"]
    return tagged


def test_texts_get_their_programmes_in_the_order_they_came(client: TestClient) -> None:
    texts = {"b": "污水处理厂脱氮除磷，出水总氮低于十毫克每升", "a": "请推荐几首描写秋天的古诗"}
    tagged = tag(client, [{"id": id_, "text": text} for id_, text in texts.items()])
    assert [item["id"] for item in tagged] == ["b", "a"]
    assert "environment" in [programme["code"] for programme in tagged[0]["programmes"]]
    assert tagged[1]["programmes"] == []
    for programme in tagged[0]["programmes"]:
        assert set(programme) == {"code", "name", "score", "terms", "topic"}


def test_tags_are_those_of_the_engine(client: TestClient, matcher: Matcher) -> None:
    expected = [tag_json(one) for one in matcher.tag([DRYING])[0]]
    assert tag(client, [{"id": "1", "text": DRYING}]) == [{"id": "1", "programmes": expected}]


def test_nothing_to_tag_is_an_empty_list(client: TestClient) -> None:
    assert tag(client, []) == []


@pytest.mark.parametrize("text", ["", " ", "。", "\x00", "😀", "银" * 20_000])
def test_odd_texts_are_tagged_or_belong_to_nothing(client: TestClient, text: str) -> None:
    assert tag(client, [{"id": "1", "text": text}])[0]["id"] == "1"


def test_half_an_emoji_does_no_harm(client: TestClient) -> None:
    raw = b'{"items": [{"id": "1", "text": "\\ud83d"}]}'
    assert client.post("/v1/tag", content=raw, headers={"Content-Type": "application/json"}).status_code == 200
    raw = b'{"items": [{"id": "\\ud83d", "text": "x"}]}'
    assert_problem(client.post("/v1/tag", content=raw, headers={"Content-Type": "application/json"}), 422)


@pytest.mark.parametrize(
    ("items", "field"),
    [
        (None, "items"),
        ([{"id": "1"}], "items[0].text"),
        ([{"id": 1, "text": "甲"}], "items[0].id"),
        ([{"id": "", "text": "甲"}], "items[0].id"),
        ([{"id": "1", "text": "甲" * 20_001}], "items[0].text"),
        ([{"id": "1", "text": "甲", "more": 1}], "items[0].more"),
        ([{"id": "1", "text": "甲"}] * 257, "items"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_field(client: TestClient, items: Any, field: str) -> None:
    problem = assert_problem(client.post("/v1/tag", json={"items": items}), 422)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_programmes_are_listed_in_the_order_of_the_policy(client: TestClient) -> None:
    answer = client.get("/v1/programmes")
    assert answer.status_code == 200
    listed = answer.json()["programmes"]
    assert tuple(programme["code"] for programme in listed) == PROGRAMME_CODES
    for programme in listed:
        assert set(programme) == {"code", "name", "definition", "topics"}
        assert programme["topics"]
