"""One installation with a dozen invented records, and the application over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from matcher.engine import Matcher
from matcher.records import Kind
from matcher.settings import Settings
from tests.api.fresh import Fresh, running
from tests.api.support import HIDDEN_OFFER, RECORDS, ready

Key = Callable[[str], dict[str, str]]
SignedIn = Callable[[str], TestClient]


def ingest(matcher: Matcher, folder: Path, kind: Kind, rows: list[Mapping[str, Any]], source: str) -> None:
    path = folder / f"{source}.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    report = matcher.ingest(path, kind, source=source)
    assert report.counts["rejected"] == 0, report.rejects_file


@pytest.fixture(scope="session")
def settings(model_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("api-home")
    (home / "model").symlink_to(model_home / "model")
    return Settings(home=home, refresh_seconds=0.05, max_body_bytes=200_000)


@pytest.fixture(scope="session")
def matcher(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matcher]:
    opened = Matcher(settings)
    folder = tmp_path_factory.mktemp("files")
    for kind, rows in RECORDS.items():
        ingest(opened, folder, kind, rows, f"样例{kind}")
    opened.store.upsert([(HIDDEN_OFFER, None)])
    opened.catch_up()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def anonymous(matcher: Matcher) -> Iterator[TestClient]:
    with TestClient(create_app(matcher=matcher)) as opened:
        ready(opened)
        yield opened


@pytest.fixture(scope="session")
def key(matcher: Matcher) -> Key:
    """Makes an account of a role, and gives the header that its key goes in."""

    def make(role: str) -> dict[str, str]:
        _, secret = matcher.accounts.add_key(matcher.accounts.add(f"测试账号 {role}", role), "测试")
        return {"Authorization": f"Bearer {secret}"}

    return make


@pytest.fixture(scope="session")
def signed_in(anonymous: TestClient, key: Key) -> SignedIn:
    """The same application, for accounts of the role that is asked for."""

    def sign_in(role: str) -> TestClient:
        client = TestClient(anonymous.app, headers=key(role))
        client.portal = anonymous.portal  # one event loop for the application, as it has in life
        return client

    return sign_in


@pytest.fixture(scope="session")
def client(signed_in: SignedIn) -> TestClient:
    """An enterprise that owns nothing."""
    return signed_in("enterprise")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Fresh]:
    """An application over an empty installation of the test's own."""
    with running(tmp_path / "home") as opened:
        ready(opened.client)
        yield opened


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests store without indexing, as a killed process does, and need not wait to be sure of it."""
    monkeypatch.setattr("api.service.GRACE_SECONDS", 0.0)
