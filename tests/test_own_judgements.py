from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from matcher.cli import app
from matcher.embed import Embedder, VectorCache
from matcher.engine import Matcher
from matcher.errors import UntrainableJudgements
from matcher.judged import JudgementBook
from matcher.own_judgements import own_judgements
from matcher.rank import Ranker
from matcher.records import Achievement, Need, Record
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


def test_people_are_heard_together_and_one_pair_is_one_judgement(store: Store) -> None:
    book = JudgementBook(store.database)
    store.upsert([(NEEDS[0], None), (OFFERS[0], None), (OFFERS[1], None)])
    for account, level in ((1, 4), (2, 4), (3, 1)):
        book.put(account, NEEDS[0].id, OFFERS[0].id, level)
    book.put(1, NEEDS[0].id, OFFERS[1].id, 2)
    judged = own_judgements(store, book)
    [need] = judged.needs
    assert (need.ids, need.title, need.text) == ((NEEDS[0].id,), NEEDS[0].title, NEEDS[0].abstract)
    assert {judged.offers[place].title: level for place, level in need.levels.items()} == {
        OFFERS[0].title: 4,
        OFFERS[1].title: 2,
    }
    assert (judged.rows, judged.pairs) == (2, 2)


def test_needs_of_one_text_are_one_need(store: Store) -> None:
    book = JudgementBook(store.database)
    twin = Need(source="丙", source_id="1", title=NEEDS[0].title, abstract=NEEDS[0].abstract)
    store.upsert([(record, None) for record in (NEEDS[0], twin, OFFERS[0])])
    book.put(1, NEEDS[0].id, OFFERS[0].id, 4)
    book.put(1, twin.id, OFFERS[0].id, 2)
    [need] = own_judgements(store, book).needs
    assert set(need.ids) == {NEEDS[0].id, twin.id}
    assert list(need.levels.values()) == [3]


def test_what_was_withdrawn_is_left_out_and_what_is_hidden_has_no_name(store: Store) -> None:
    book = JudgementBook(store.database)
    hidden: Record = Need(
        source="丁",
        source_id="1",
        title="垚淼食品有限公司的烘干难题",
        abstract="垚淼食品有限公司求烘干，电话13900001111。",
        institution="垚淼食品有限公司",
        visibility="intermediaries",
    )
    store.upsert([(record, None) for record in (hidden, *OFFERS[:2])])
    for offer in OFFERS[:2]:
        book.put(1, hidden.id, offer.id, 3)
    store.withdraw(OFFERS[1].id)
    judged = own_judgements(store, book)
    assert judged.dropped == {"需求、成果或专利已撤回": 1}
    assert (judged.pairs, judged.rows) == (1, 2)
    text = judged.needs[0].title + judged.needs[0].text
    assert "垚淼" not in text
    assert "1390000" not in text


def test_a_platform_without_judgements_is_told_so(store: Store) -> None:
    with pytest.raises(UntrainableJudgements, match="还没有可用的标注"):
        own_judgements(store, JudgementBook(store.database))


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
    assert Ranker.load(tmp_path / "ranker", FakeEncoder().fingerprint).weights["card"]["data"] == "平台上的标注"
    assert CliRunner().invoke(app, ["train", "--split", "a"]).exit_code == 2
