"""Installations of a test's own, with the fake encoder: quick to make, and nobody else writes to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from api.app import create_app
from matcher.embed import Embedder, VectorCache
from matcher.engine import Matcher
from matcher.programs import Tag, TaggedText
from matcher.rank import Ranker
from matcher.settings import Settings
from tests.fakes import FakeEncoder, ranker_weights

Headers = dict[str, str]


class WordTagger:
    """Tags by a single word: the real one is fitted to the real model."""

    def tag(self, text: TaggedText) -> list[Tag]:
        return [Tag("food", "食品饮料", 0.9, ("白酒",), "")] if "白酒" in text.terms else []


def fresh_matcher(home: Path, **settings: Any) -> Matcher:
    """An engine in an empty home; the caller closes it."""
    matcher = Matcher(Settings(home=home, **{"refresh_seconds": 0.05, **settings}))
    matcher.__dict__ |= {
        "embedder": Embedder(FakeEncoder(), VectorCache(home / "vectors.db")),
        "ranker": Ranker(ranker_weights()),
        "tagger": WordTagger(),
    }
    return matcher


class Fresh:
    """A running application and the accounts of its test."""

    def __init__(self, matcher: Matcher, client: TestClient) -> None:
        self.matcher = matcher
        self.client = client

    def key(self, role: str = "enterprise", name: str = "甲") -> Headers:
        """The header of a new account of this role."""
        return self.account(role, name)[1]

    def account(self, role: str = "enterprise", name: str = "甲") -> tuple[str, Headers]:
        """The id and the header of a new account of this role."""
        account = self.matcher.accounts.add(name, role)
        _, secret = self.matcher.accounts.add_key(account, "测试")
        return account.id, {"Authorization": f"Bearer {secret}"}

    def write(self, headers: Headers, **fields: Any) -> dict[str, Any]:
        """A record that somebody wrote."""
        answer = self.client.post("/v1/records", json={**NEED, **fields}, headers=headers)
        assert answer.status_code == 201, answer.text
        written: dict[str, Any] = answer.json()
        return written


NEED = {"kind": "need", "title": "银耳烘干节能", "abstract": "银耳烘干能耗太高，求热泵烘干工艺。", "contact": "厂办"}
OFFER = {"kind": "achievement", "title": "银耳热泵烘干工艺", "abstract": "热泵烘干银耳，节能四成。"}


@contextmanager
def running(home: Path, **settings: Any) -> Iterator[Fresh]:
    """The application over an empty installation."""
    matcher = fresh_matcher(home, **settings)
    try:
        with TestClient(create_app(matcher=matcher)) as client:
            yield Fresh(matcher, client)
    finally:
        matcher.close()
        matcher.embedder.close()
