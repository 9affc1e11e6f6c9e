"""Lists in pages: complete, nothing twice, whatever is written meanwhile."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.once import cursor_of, number, position
from matcher.errors import InvalidQuery
from tests.api.fresh import NEED, OFFER, Fresh
from tests.api.support import assert_problem


def pages(fresh: Fresh, headers: dict[str, str], path: str, name: str, between: Any = lambda: None) -> list[Any]:
    found, cursor = [], ""
    while True:
        page = fresh.client.get(f"{path}{cursor}", headers=headers).json()
        found += page[name]
        if page["next"] is None:
            return found
        between()
        cursor = f"&cursor={page['next']}"


def test_pages_are_complete_and_nothing_stands_in_two(fresh: Fresh) -> None:
    headers = fresh.key()
    ids = [fresh.write(headers, title=f"需求{i}")["id"] for i in range(7)]
    for size in (1, 2, 7, 100):
        found = pages(fresh, headers, f"/v1/records?limit={size}", "records")
        assert [record["id"] for record in found] == ids[::-1]


def test_what_is_written_while_somebody_turns_pages_makes_nothing_double_or_missing(fresh: Fresh) -> None:
    headers = fresh.key()
    ids = [fresh.write(headers, title=f"需求{i}", source_id=str(i))["id"] for i in range(6)]

    def between() -> None:
        fresh.write(headers, title="新的")
        fresh.write(headers, title="改过的", source_id="0")

    found = [record["id"] for record in pages(fresh, headers, "/v1/records?limit=2", "records", between)]
    assert found == ids[::-1]


def test_filters_hold_on_every_page(fresh: Fresh) -> None:
    headers = fresh.key()
    for i in range(3):
        fresh.write(headers, title=f"需求{i}", province="四川")
        fresh.write(headers, **OFFER, province="重庆市")
    for query, kind in (("kind=need", "need"), ("province=重庆", "achievement")):
        found = pages(fresh, headers, f"/v1/records?limit=2&{query}", "records")
        assert [record["kind"] for record in found] == [kind] * 3
    facets = fresh.client.get("/v1/facets?kind=need", headers=headers).json()
    assert facets["provinces"] == [{"value": "四川省", "name": "四川省", "count": 3}]


@pytest.mark.parametrize("path", ["records", "judgements", "uploads"])
@pytest.mark.parametrize(
    "cursor", ["x", "!!!!", "é", "", "AAAA", base64.urlsafe_b64encode(b"1 OR 1=1").decode(), "9" * 65]
)
def test_a_forged_cursor_is_refused(fresh: Fresh, path: str, cursor: str) -> None:
    answer = fresh.client.get(f"/v1/{path}", params={"cursor": cursor}, headers=fresh.key("admin"))
    problem = assert_problem(answer, 422)
    assert [error["field"] for error in problem["errors"]] == ["cursor"]


def test_anothers_cursor_shows_nothing_of_his(fresh: Fresh) -> None:
    headers = fresh.key()
    fresh.write(headers, visibility="private")
    answer = fresh.client.get("/v1/records", params={"cursor": cursor_of(10**17)}, headers=fresh.key())
    assert answer.json() == {"records": [], "next": None}


@given(st.integers(0, 10**18 - 1))
def test_a_cursor_leads_back(key: int) -> None:
    assert number(cursor_of(key)) == key


@given(st.text(max_size=64))
def test_what_is_no_cursor_is_refused_in_a_sentence(text: str) -> None:
    try:
        assert position(text)
    except InvalidQuery as error:
        assert "cursor" in str(error)


def test_an_export_holds_each_record_once(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matcher.listing.EXPORT_PAGE", 2)
    headers = fresh.key()
    ids = [fresh.write(headers, **(NEED | {"title": f"需求{i}"}))["id"] for i in range(5)]
    answer = fresh.client.get("/v1/export?kind=need", headers=fresh.key())
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = answer.text.splitlines()
    assert [id_ in line for id_, line in zip(ids, lines, strict=True)] == [True] * 5
    assert "厂办" not in answer.text
