"""`matcher train` on the judgements made on the platform; what it reads of them is in tests/store/test_judged.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from matcher.cli import app
from matcher.embed import Embedder, VectorCache
from matcher.engine import Matcher
from matcher.judged import JudgementBook
from matcher.rank import Ranker
from matcher.records import Achievement, Need
from matcher.settings import Settings
from matcher.store import Store
from tests.fakes import PROCESSES, THINGS, FakeEncoder, ranker_weights

NEEDS = [
    Need(source="甲", source_id=f"{thing}{i}", title=f"{thing}{process}", abstract=f"求{thing}{process}的办法")
    for i, thing in enumerate(THINGS)
    for process in list(PROCESSES)[i % 3 : i % 3 + 1]
]
OFFERS = [
    Achievement(source="乙", source_id=f"{thing}{process}", title=f"{thing}{process}技术", abstract=PROCESSES[process])
    for thing in THINGS
    for process in PROCESSES
]


def filled(store: Store, book: JudgementBook) -> None:
    store.upsert([(record, None) for record in (*NEEDS, *OFFERS)])
    for need in NEEDS:
        for place, offer in enumerate(OFFERS):
            fits = need.title[:2] == offer.title[:2], need.title[2:] in offer.title
            if any(fits) or place % 4 == 0:
                book.put(1, need.id, offer.id, 1 + 2 * fits[0] + fits[1])


def test_the_command_learns_from_the_platforms_own_judgements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoTags:
        def tag(self, _: object) -> list[object]:
            return []

    def opened(settings: Settings) -> Matcher:
        matcher = Matcher(settings)
        embedder = Embedder(FakeEncoder(), VectorCache(tmp_path / "vectors.db"))
        matcher.__dict__ |= {"embedder": embedder, "ranker": Ranker(ranker_weights()), "tagger": NoTags()}
        return matcher

    monkeypatch.setenv("MATCHER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("matcher.engine.Matcher", opened)
    store = Store(Settings(home=tmp_path / "home").store_url)
    filled(store, JudgementBook(store.database))
    store.close()
    done = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "ranker")])
    assert done.exit_code == 0, done.output
    assert "用于 6 条需求" in done.output
    assert (
        Ranker.load(tmp_path / "ranker", FakeEncoder().fingerprint).weights["card"]["data"]
        == "judgements on the platform"
    )
    assert CliRunner().invoke(app, ["train", "--split", "a"]).exit_code == 2
