"""A confidential need appears nowhere, whatever is asked."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from matcher.engine import Matcher
from matcher.queries import MatchQuery
from matcher.records import KINDS, PROGRAMME_CODES, Kind
from matcher.views import answer_json
from matcher.visibility import OPERATOR
from tests.api.support import HIDDEN_NEEDS, HIDDEN_OFFER, HIDDEN_OWNERS, HIDDEN_TITLES

FILTERS: list[dict[str, Any]] = [
    {},
    *({"kinds": [kind]} for kind in KINDS),
    {"kinds": list(KINDS)},
    {"programmes": list(PROGRAMME_CODES)},
    {"provinces": ["四川省"]},
]
QUESTIONS = [
    *(row["title"] for row in HIDDEN_NEEDS),
    *(row["abstract"] for row in HIDDEN_NEEDS),
    *(HIDDEN_OFFER.title, HIDDEN_OFFER.abstract),
    *HIDDEN_OWNERS,
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_no_match_shows_a_hidden_record(client: TestClient, filters: dict[str, Any]) -> None:
    for text in QUESTIONS:
        answer = client.post("/v1/match", json={"text": text, "filters": filters, "limit": 100, "min_level": 1})
        assert answer.status_code == 200
        found = answer.json()
        shown = [match["record"]["title"] for match in found["matches"]]
        shown += [variant["title"] for match in found["matches"] for variant in match["variants"]]
        assert not set(shown) & set(HIDDEN_TITLES)
        assert not any(owner in str(found["matches"]) + str(found["partners"]) for owner in HIDDEN_OWNERS)


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_no_partner_comes_from_a_hidden_record(client: TestClient, matcher: Matcher, filters: dict[str, Any]) -> None:
    hidden = {stored.id for stored in matcher.store.records() if stored.record.visibility != "public"}
    assert len(hidden) == len(HIDDEN_TITLES)
    for text in QUESTIONS:
        found = client.post("/v1/partners", json={"text": text, "filters": filters, "limit": 20}).json()["partners"]
        assert not {id_ for partner in found for id_ in partner["evidence"]} & hidden
        assert not {partner["institution"]["name"] for partner in found} & set(HIDDEN_OWNERS)


def test_nobody_can_call_himself_somebody_else(client: TestClient) -> None:
    body = {"text": HIDDEN_NEEDS[0]["abstract"], "filters": {"kinds": ["need"]}, "min_level": 1}
    plain = client.post("/v1/match", json=body).json()
    headers = {
        "Cookie": "viewer=operator",
        "X-Viewer": "operator",
        "X-Forwarded-User": "admin",
    }
    tried = client.post("/v1/match?viewer=operator", json=body, headers=headers).json()
    assert tried["matches"] == plain["matches"]


@pytest.mark.parametrize("kinds", [("need",), ("achievement",)])
def test_the_engine_does_know_the_hidden_records(matcher: Matcher, kinds: tuple[Kind, ...]) -> None:
    """Or else the tests above would prove nothing."""
    hidden = [(row["abstract"], row["title"]) for row in HIDDEN_NEEDS]
    for text, title in hidden if kinds == ("need",) else [(HIDDEN_OFFER.abstract, HIDDEN_OFFER.title)]:
        query = MatchQuery(text=text, kinds=kinds, min_level=1, viewer=OPERATOR)
        shown = answer_json(matcher.match(query))["matches"]
        assert shown[0]["record"]["title"] == title
