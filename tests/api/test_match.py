from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from matcher.engine import Matcher
from matcher.queries import MatchQuery
from matcher.records import PROGRAMME_CODES
from matcher.values import PROVINCES
from matcher.views import NOTHING_FOUND, answer_json
from tests.api.support import DRYING, PHONE, RECORDS, UNIVERSITY, assert_problem, titles


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/match", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_a_need_brings_the_technology_that_solves_it(client: TestClient) -> None:
    answer = ask(client, text=DRYING)
    best = answer["matches"][0]
    assert best["record"]["title"] in ("鲜银耳分段变温热泵烘干工艺", "一种鲜银耳分段变温烘房")
    assert best["level"] >= 3
    assert answer["message"] is None


def test_the_answer_has_the_fields_of_the_contract(client: TestClient) -> None:
    answer = ask(client, text=DRYING, title="银耳烘干节能")
    assert list(answer) == ["query", "matches", "partners", "message", "index", "took_ms"]
    assert set(answer["query"]) == {"programmes", "terms"}
    assert set(answer["index"]) == {"generation", "records"}
    assert "分段变温" in answer["query"]["terms"]
    for tag in answer["query"]["programmes"]:
        assert set(tag) == {"code", "name", "score", "terms", "topic"}
    ranks = [match["rank"] for match in answer["matches"]]
    assert ranks == list(range(1, len(ranks) + 1))
    for match in answer["matches"]:
        assert set(match) == {"rank", "score", "level", "level_name", "record", "programmes", "variants", "why"}
        assert set(match["why"]) == {"sentence", "terms", "passage", "features"}
        assert 0 <= match["score"] <= 1
        assert match["level_name"] == {4: "强相关", 3: "较强相关", 2: "弱相关"}[match["level"]]
        common = {"id", "kind", "kind_name", "title", "abstract", "institution", "province", "city", "county"}
        assert common | {"date", "keywords", "url"} <= set(match["record"])
        assert set(match["record"]["institution"]) == {"id", "name"}
        for programme in match["programmes"]:
            assert set(programme) == {"code", "name", "score"}


def test_each_kind_of_record_brings_its_own_fields(client: TestClient) -> None:
    records = [match["record"] for match in ask(client, text=DRYING, min_level=1)["matches"]]
    by_kind = {record["kind"]: record for record in reversed(records)}
    assert by_kind["patent"]["ipc"] == ["F26B9/06", "A23B7/02"]
    assert by_kind["patent"]["inventors"] == ["李某", "王某"]
    assert by_kind["achievement"]["kind_name"] == "科技成果"
    assert "maturity" in by_kind["achievement"]


def test_the_route_sends_exactly_what_the_view_builds(client: TestClient, matcher: Matcher) -> None:
    query = MatchQuery(text=DRYING, title="银耳烘干", limit=5, min_level=1, asker="某公司")
    expected = answer_json(matcher.match(query))
    sent = ask(client, text=DRYING, title="银耳烘干", limit=5, min_level=1, enterprise="某公司")
    assert sent | {"took_ms": 0} == expected | {"took_ms": 0}


def test_two_versions_of_one_achievement_are_one_entry(client: TestClient) -> None:
    answer = ask(client, text=DRYING, limit=100, min_level=1)
    folded = [match for match in answer["matches"] if match["variants"]]
    assert [match["record"]["title"] for match in folded] == ["鲜银耳分段变温热泵烘干工艺"]
    assert set(folded[0]["variants"][0]) == {"id", "kind", "title"}


def test_partners_come_with_their_place_and_their_evidence(client: TestClient) -> None:
    answer = ask(client, text=DRYING)
    partner = next(partner for partner in answer["partners"] if partner["institution"]["name"] == UNIVERSITY)
    assert set(partner) == {"institution", "score", "why", "evidence"}
    assert partner["institution"]["type"] == "高等院校"
    assert (partner["institution"]["province"], partner["institution"]["city"]) == ("四川省", "绵阳市")
    assert all(client.get(f"/v1/records/{id_}").status_code == 200 for id_ in partner["evidence"])


def test_where_nothing_fits_the_answer_is_empty_and_says_so(client: TestClient) -> None:
    answer = ask(client, text="请推荐几首描写秋天的古诗")
    assert answer["matches"] == []
    assert answer["partners"] == []
    assert answer["message"] == NOTHING_FOUND


def test_the_same_question_brings_the_same_answer(client: TestClient) -> None:
    first, second = ask(client, text=DRYING), ask(client, text=DRYING)
    assert first["matches"] == second["matches"]
    assert first["partners"] == second["partners"]


def test_needs_are_found_only_when_asked_for(client: TestClient) -> None:
    assert "银耳烘干节能" not in titles(client, DRYING)
    assert "银耳烘干节能" in titles(client, DRYING, filters={"kinds": ["need"]})


def test_an_empty_filter_does_not_restrict(client: TestClient) -> None:
    everything = titles(client, DRYING)
    assert titles(client, DRYING, filters={}) == everything
    assert titles(client, DRYING, filters={"kinds": [], "programmes": [], "provinces": None}) == everything
    assert titles(client, DRYING, filters=None, title=None, enterprise=None) == everything


def test_filters_restrict_kind_and_province(client: TestClient) -> None:
    patents = {row["title"] for row in RECORDS["patent"]}
    assert set(titles(client, DRYING, filters={"kinds": ["patent"]})) <= patents
    assert set(titles(client, DRYING, filters={"provinces": ["陕西省"]})) <= {"核桃青果脱皮清洗烘干一体机"}


def test_a_province_may_be_written_short(client: TestClient) -> None:
    short = titles(client, DRYING, filters={"provinces": ["四川"]})
    assert short
    assert short == titles(client, DRYING, filters={"provinces": ["四川省"]})


def test_the_limit_counts_entries(client: TestClient) -> None:
    assert len(ask(client, text=DRYING, limit=1, min_level=1)["matches"]) == 1


def test_the_lowest_level_is_kept(client: TestClient) -> None:
    assert all(match["level"] == 4 for match in ask(client, text=DRYING, min_level=4)["matches"])


def test_the_asking_enterprise_is_not_suggested_to_itself(client: TestClient) -> None:
    name = "通江县雾里菌品有限公司"
    names = [partner["institution"]["name"] for partner in ask(client, text=DRYING)["partners"]]
    assert name in names
    names = [partner["institution"]["name"] for partner in ask(client, text=DRYING, enterprise=name)["partners"]]
    assert name not in names


def test_contacts_visibility_and_sources_are_never_sent(client: TestClient) -> None:
    raw = client.post("/v1/match", json={"text": DRYING, "min_level": 1, "limit": 100}).text
    for word in (PHONE, "visibility", "contact", "source_id", "张某"):
        assert word not in raw


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": None}, "text"),
        ({"text": 7}, "text"),
        ({"text": ""}, "text"),
        ({"text": " \n\t"}, "text"),
        ({"text": "甲" * 20_001}, "text"),
        ({"text": "甲", "title": "乙" * 501}, "title"),
        ({"text": "甲", "enterprise": "乙" * 201}, "enterprise"),
        ({"text": "甲", "limit": 0}, "limit"),
        ({"text": "甲", "limit": 101}, "limit"),
        ({"text": "甲", "limit": "10"}, "limit"),
        ({"text": "甲", "limit": True}, "limit"),
        ({"text": "甲", "limit": 2.5}, "limit"),
        ({"text": "甲", "limit": 10**30}, "limit"),
        ({"text": "甲", "min_level": 0}, "min_level"),
        ({"text": "甲", "min_level": 5}, "min_level"),
        ({"text": "甲", "viewer": "operator"}, "viewer"),
        ({"text": "甲", "filters": []}, "filters"),
        ({"text": "甲", "filters": {"visibility": "private"}}, "filters.visibility"),
        ({"text": "甲", "filters": {"kinds": "patent"}}, "filters.kinds"),
        ({"text": "甲", "filters": {"kinds": ["专利"]}}, "filters.kinds[0]"),
        ({"text": "甲", "filters": {"programmes": ["food", "steel"]}}, "filters.programmes[1]"),
        ({"text": "甲", "filters": {"provinces": ["加州"]}}, "filters.provinces[0]"),
        ({"text": "甲", "filters": {"provinces": ["四川省"] * 99}}, "filters.provinces"),
        ([], "请求体"),
        ("甲", "请求体"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_field(client: TestClient, body: Any, field: str) -> None:
    problem = assert_problem(client.post("/v1/match", json=body), 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert field in problem["detail"]


def test_a_text_that_is_too_long_is_refused_with_one_clear_sentence(client: TestClient) -> None:
    problem = assert_problem(client.post("/v1/match", json={"text": "甲" * 20_001}), 422)
    assert problem["detail"] == "text：超过 20000 字，请精简后重试。"


@pytest.mark.parametrize(
    ("filters", "allowed"),
    [
        ({"kinds": ["x"]}, ("achievement", "patent", "need")),
        ({"programmes": ["x"]}, PROGRAMME_CODES),
        ({"provinces": ["x"]}, tuple(PROVINCES.values())),
    ],
)
def test_a_filter_that_is_not_known_lists_what_is(
    client: TestClient, filters: dict[str, list[str]], allowed: tuple[str, ...]
) -> None:
    problem = assert_problem(client.post("/v1/match", json={"text": "甲", "filters": filters}), 422)
    assert all(value in problem["detail"] for value in allowed)


def test_all_that_is_wrong_is_listed_at_once(client: TestClient) -> None:
    body = {"limit": 0, "min_level": 9, "filters": {"kinds": ["x"]}, "more": 1}
    problem = assert_problem(client.post("/v1/match", json=body), 422)
    assert {error["field"] for error in problem["errors"]} == {"text", "limit", "min_level", "filters.kinds[0]", "more"}
    assert "共 5 处" in problem["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "，。！？……",
        "\u200b\u200b",
        "\x00",
        "\x00银耳\x00",
        "😀🍄",
        "\\ud800",
        "银耳\\ud83d",
        "\\udc00\\ud800",
        "a" * 20_000,
    ],
)
def test_odd_texts_get_an_answer(client: TestClient, text: str) -> None:
    raw = b'{"text": "' + text.replace("\x00", "\\u0000").encode() + b'"}'
    answer = client.post("/v1/match", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text


def test_a_text_of_exactly_twenty_thousand_characters_is_answered(client: TestClient) -> None:
    answer = ask(client, text=(DRYING * 1000)[:20_000])
    assert answer["matches"]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"text": "x", "\\ud800": 1}',
        b'{"text": "x", "filters": {"provinces": ["\\ud800"]}}',
        b'{"text": "x", "filters": {"kinds": ["\\ud800"]}}',
        b'{"text": "x", "limit": NaN}',
        b'{"text": "x", "min_level": -Infinity}',
    ],
)
def test_odd_values_are_refused_and_not_echoed(client: TestClient, raw: bytes) -> None:
    assert_problem(client.post("/v1/match", content=raw, headers={"Content-Type": "application/json"}), 422)


def test_several_questions_at_once_get_their_own_answers(client: TestClient) -> None:
    questions = [DRYING, "页岩气低压积液气井的泡沫排水，起泡剂要耐盐耐温", "球墨铸铁制动盘夹渣缩松"] * 3
    expected = [titles(client, text) for text in questions]
    with ThreadPoolExecutor(len(questions)) as pool:
        assert list(pool.map(lambda text: titles(client, text), questions)) == expected
    assert len({found[0] for found in expected}) == 3
