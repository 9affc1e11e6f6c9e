"""Matching everything at once: the same as one by one, safe against kills, blind to what is hidden."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from matcher import batch, batch_run
from matcher.batch import BatchMatcher, BatchQuery, Matches, NeedVectors
from matcher.batch_run import Job, run
from matcher.documents import Filters, IndexQuery
from matcher.embed import Embedder, Side, VectorCache
from matcher.errors import BatchFailed, Busy, DiskFull
from matcher.features import Question, ask
from matcher.index import LocalIndex
from matcher.rank import Compared, Ranker, fold, fuse
from matcher.records import Achievement, Need, Record, Visibility, embedded_text
from matcher.settings import Settings
from matcher.store import Store
from matcher.text import Tokenizer
from tests.fakes import DIMENSION, PROCESSES, THINGS, FakeEncoder, index_document, ranker_weights

FINGERPRINT = f"fake:{DIMENSION}"
RECALL, COMPARED, DEPTH = 20, 30, 30
NEEDS = BatchQuery(asking="needs", visibilities=("public",), limit=3, min_level=2)
OFFERS = replace(NEEDS, asking="offers", limit=30)


class Market:
    """A store and an index with needs and offers in them."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, threads=1)
        self.store = Store(self.settings.store_url)
        self.index = LocalIndex(home / "index", FINGERPRINT, DIMENSION)
        self.ranker = Ranker(ranker_weights())

    def put(self, *records: Record) -> None:
        self.store.upsert([(record, None) for record in records])
        keys = {id_: one.key for id_, one in self.store.by_id([record.id for record in records]).items()}
        documents = [
            index_document(
                keys[record.id],
                record.title,
                record.abstract,
                kind=record.kind,
                visibility=record.visibility,
                programmes=record.programmes,
                tokenizer=Tokenizer.default(),
            )
            for record in records
        ]
        with self.index.writer(1) as writer:
            writer.upsert(documents)
            writer.flush(self.store.revision())

    def key(self, record: Record) -> int:
        return self.store.by_id([record.id])[record.id].key

    def job(self, query: BatchQuery = NEEDS, **values: Any) -> Job:
        folder = self.settings.home / "batch" / query.asking
        job = Job(self.settings, FINGERPRINT, DIMENSION, self.ranker, query, RECALL, COMPARED, DEPTH, folder)
        return replace(job, **values)

    def run(self, job: Job) -> Matches:
        asking, _ = job.query.filters()
        keys = self.store.keys(asking.kinds, asking.visibilities)
        return batch.joined(list(run(job, keys, self.index.revision, None)))


def need(number: int, title: str, abstract: str = "", visibility: Visibility = "public") -> Need:
    return Need(source="平台", source_id=f"N{number}", title=title, abstract=abstract, visibility=visibility)


def offer(number: int, title: str, abstract: str = "", visibility: Visibility = "public") -> Achievement:
    return Achievement(source="平台", source_id=f"A{number}", title=title, abstract=abstract, visibility=visibility)


ALL_NEEDS = [
    need(i, f"{thing}{process}", f"{thing}{process}时能耗高。{text}")
    for i, (thing, (process, text)) in enumerate((t, p) for t in THINGS for p in PROCESSES.items())
]
ALL_OFFERS = [
    offer(i, f"{thing}{process}技术{model}", text)
    for i, (thing, (process, text), model) in enumerate(
        (t, p, m) for t in THINGS for p in PROCESSES.items() for m in ("甲型", "乙型")
    )
]


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    monkeypatch.setattr(batch, "BLOCK", 4)
    monkeypatch.setattr(batch_run, "CHECKPOINT", 5)
    opened = Market(tmp_path / "home")
    opened.put(*ALL_NEEDS, *ALL_OFFERS)
    yield opened
    opened.store.close()


def pairs(matches: Matches) -> list[tuple[int, int, int, float]]:
    columns = (matches.questions, matches.found, matches.levels, matches.scores)
    return [
        (question, found, level, round(score, 4))
        for question, found, level, score in zip(*(column.tolist() for column in columns), strict=True)
    ]


def one_by_one(market: Market, embedder: Any, query: BatchQuery) -> list[tuple[int, int, int, float]]:
    """What asking for each need alone brings, step by step as the engine does it."""
    found = []
    owners: dict[int, str | None] = {}
    for one in ALL_NEEDS:
        question = ask(embedder, Tokenizer.default(), one.title, one.abstract)
        _, filters = query.filters()
        rankings = market.index.search(
            IndexQuery(question.title_vector, question.body_vector, question.hashes), filters, RECALL
        )
        documents = market.index.documents(fuse(rankings, COMPARED))
        scored = market.ranker.score(question, documents, market.index.statistics(), query.min_level, DEPTH)
        for entry in fold(scored, documents, owners)[: query.limit]:
            found.append((market.key(one), entry.key, entry.level, round(entry.score, 4)))
    return found


def test_every_need_gets_what_it_would_get_alone(market: Market, embedder: Any) -> None:
    expected = one_by_one(market, embedder, NEEDS)
    assert len(expected) > len(ALL_NEEDS)
    assert [pair[:3] for pair in pairs(market.run(market.job()))] == [pair[:3] for pair in expected]
    assert np.allclose([p[3] for p in pairs(market.run(market.job()))], [p[3] for p in expected], atol=2e-4)


def test_a_pair_is_worth_the_same_whichever_side_asks(market: Market) -> None:
    ours = {(need, offer): rest for need, offer, *rest in pairs(market.run(market.job(replace(NEEDS, limit=30))))}
    theirs = {(need, offer): rest for offer, need, *rest in pairs(market.run(market.job(OFFERS)))}
    both = ours.keys() & theirs.keys()
    assert len(both) > len(ALL_OFFERS)
    for pair in both:
        assert ours[pair][0] == theirs[pair][0]
        assert ours[pair][1] == pytest.approx(theirs[pair][1], abs=2e-4)
    assert {offer for _, offer in theirs} == {market.key(one) for one in ALL_OFFERS}


def test_several_processes_find_what_one_finds(market: Market) -> None:
    alone = pairs(market.run(market.job()))
    together = market.job(settings=Settings(home=market.settings.home, threads=2))
    assert pairs(market.run(together)) == alone
    assert not together.folder.exists()


def test_hidden_and_withdrawn_records_neither_ask_nor_are_found(market: Market) -> None:
    secret = need(90, "银耳烘干", "银耳烘干时能耗高。", visibility="private")
    for_few = offer(91, "银耳烘干技术丁型", PROCESSES["烘干"], visibility="intermediaries")
    market.put(secret, for_few)
    hidden = {market.key(secret), market.key(for_few)}
    gone = market.key(ALL_OFFERS[0])
    assert any(gone in pair[:2] for pair in pairs(market.run(market.job())))
    market.store.withdraw(ALL_OFFERS[0].id)  # a moment ago: the index does not know yet
    for query in (NEEDS, OFFERS):
        assert not {key for pair in pairs(market.run(market.job(query))) for key in pair[:2]} & {*hidden, gone}
    everybody = replace(NEEDS, visibilities=("public", "intermediaries", "private"))
    seen = {key for pair in pairs(market.run(market.job(everybody))) for key in pair[:2]}
    assert hidden <= seen


def test_only_records_of_the_programme_asked_for_ask(market: Market) -> None:
    tagged = need(92, "银耳烘干", "银耳烘干时能耗高。")
    market.put(replace(tagged, programmes=("food",)))
    found = pairs(market.run(market.job(replace(NEEDS, programmes=("food",)))))
    assert {pair[0] for pair in found} == {market.key(tagged)}


def test_nobody_asks_in_an_empty_market(tmp_path: Path) -> None:
    empty = Market(tmp_path / "empty")
    assert pairs(empty.run(empty.job())) == []
    empty.store.close()


class Sided(FakeEncoder):
    """Embeds questions otherwise than documents, as models do that want an instruction before a question."""

    def __init__(self) -> None:
        super().__init__()
        self.symmetric = False

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        return super().encode([f"为这个需求检索成果：{text}" if side == "query" else text for text in texts], side)


def test_a_need_asks_as_a_question_where_the_model_tells_the_sides_apart(market: Market, tmp_path: Path) -> None:
    embedder = Embedder(Sided(), VectorCache(tmp_path / "vectors.db"))
    keys = [market.key(one) for one in ALL_NEEDS]
    titles = embedder.stored_questions([one.title for one in ALL_NEEDS])
    bodies = embedder.stored_questions([embedded_text(one.title, one.abstract) for one in ALL_NEEDS])
    NeedVectors(np.array(keys, np.int64), titles, bodies).save(tmp_path / "needs")
    expected = one_by_one(market, embedder, NEEDS)
    found = pairs(market.run(market.job(needs=tmp_path / "needs")))
    assert [pair[:3] for pair in found] == [pair[:3] for pair in expected]
    assert found != pairs(market.run(market.job()))
    embedder.close()


class Interrupted(Exception):
    """What a user's Ctrl-C does, at a known moment."""


def test_an_interrupted_run_goes_on_where_it_was(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = pairs(market.run(market.job()))
    matched: list[int] = []
    real = BatchMatcher.match

    def counted(self: BatchMatcher, keys: Sequence[int], query: BatchQuery) -> Matches:
        matched.extend(keys)
        if len(matched) > 10:
            raise Interrupted
        return real(self, keys, query)

    monkeypatch.setattr(BatchMatcher, "match", counted)
    with pytest.raises(Interrupted):
        market.run(market.job())
    done = matched[:10]
    monkeypatch.setattr(BatchMatcher, "match", lambda *a: matched.extend(a[1]) or real(*a))
    matched.clear()
    assert pairs(market.run(market.job())) == undisturbed
    assert sorted([*done, *matched]) == [market.key(one) for one in ALL_NEEDS]


def test_what_was_found_in_another_state_of_the_index_is_thrown_away(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = BatchMatcher.match, iter(range(100))

    def once(self: BatchMatcher, keys: Sequence[int], query: BatchQuery) -> Matches:
        if next(calls):
            raise Interrupted
        return real(self, keys, query)

    monkeypatch.setattr(BatchMatcher, "match", once)
    with pytest.raises(Interrupted):
        market.run(market.job())
    monkeypatch.setattr(BatchMatcher, "match", real)
    better = offer(93, f"{ALL_NEEDS[0].title}", ALL_NEEDS[0].abstract)
    market.put(better)
    assert market.key(better) in {pair[1] for pair in pairs(market.run(market.job()))[: NEEDS.limit]}


class Mortal(Ranker):
    """A ranker whose process dies the first time that it is used, as for want of memory."""

    def __init__(self, scar: Path) -> None:
        super().__init__(ranker_weights())
        self._scar = scar

    def compare_pairs(self, questions: Sequence[Question], *rest: Any) -> Compared:
        if not self._scar.exists():
            self._scar.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compare_pairs(questions, *rest)


def test_a_process_that_dies_is_told_and_the_next_run_makes_up_for_it(market: Market, tmp_path: Path) -> None:
    undisturbed = pairs(market.run(market.job()))
    mortal = market.job(settings=Settings(home=market.settings.home, threads=2), ranker=Mortal(tmp_path / "scar"))
    with pytest.raises(BatchFailed, match="请再运行一次"):
        market.run(mortal)
    assert pairs(market.run(mortal)) == undisturbed


class Unlucky(Ranker):
    """A ranker in whose process something fails that the user can mend."""

    def compare_pairs(self, questions: Sequence[Question], *rest: Any) -> Compared:
        raise DiskFull("磁盘已满：请腾出空间")


def test_what_a_process_has_to_tell_comes_from_the_one_that_waits_for_it(market: Market) -> None:
    unlucky = market.job(settings=Settings(home=market.settings.home, threads=2), ranker=Unlucky(ranker_weights()))
    with pytest.raises(DiskFull, match="请腾出空间"):
        market.run(unlucky)
    assert pairs(market.run(market.job()))


class Slow(Ranker):
    """A ranker that takes its time, and says when it began."""

    def __init__(self, begun: Path) -> None:
        super().__init__(ranker_weights())
        self._begun = begun

    def compare_pairs(self, questions: Sequence[Question], *rest: Any) -> Compared:
        self._begun.touch()
        time.sleep(0.3)
        return super().compare_pairs(questions, *rest)


def run_slowly(home: Path, begun: Path) -> None:
    """What a process does that will be killed in the middle of a run."""
    own = Market(home)
    batch_run.CHECKPOINT = 5
    own.run(own.job(settings=Settings(home=home, threads=2), ranker=Slow(begun)))


def test_a_run_whose_process_is_killed_leaves_no_other_behind_and_goes_on(market: Market, tmp_path: Path) -> None:
    undisturbed = pairs(market.run(market.job()))
    begun = tmp_path / "begun"
    victim = multiprocessing.get_context("spawn").Process(target=run_slowly, args=(market.settings.home, begun))
    victim.start()
    while not begun.exists():
        time.sleep(0.02)
    children = psutil.Process(victim.pid).children(recursive=True)
    victim.kill()
    victim.join()
    assert market.job().folder.exists()
    assert pairs(market.run(market.job(settings=Settings(home=market.settings.home, threads=2)))) == undisturbed
    psutil.wait_procs(children, timeout=30)
    assert not any(child.is_running() and "spawn_main" in " ".join(child.cmdline()) for child in children)


def test_the_same_run_twice_at_once_is_refused(market: Market) -> None:
    job = market.job()
    job.folder.mkdir(parents=True)
    with FileLock(job.folder.with_suffix(".lock")), pytest.raises(Busy, match="同样的批量匹配"):
        market.run(job)


def test_progress_comes_to_its_end(market: Market) -> None:
    told: list[tuple[int, int]] = []
    asking, _ = NEEDS.filters()
    keys = market.store.keys(asking.kinds, asking.visibilities)
    list(run(market.job(), keys, market.index.revision, lambda done, total: told.append((done, total))))
    assert told == sorted(told)
    assert told[-1] == (len(ALL_NEEDS), len(ALL_NEEDS))


def test_filters_of_the_two_sides_are_not_mixed_up() -> None:
    asking, wanted = replace(NEEDS, programmes=("food",), provinces=("四川省",)).filters()
    assert asking == Filters(visibilities=("public",), kinds=("need",), programmes=("food",), provinces=("四川省",))
    assert wanted == Filters(visibilities=("public",), kinds=("achievement", "patent"))
