"""The homes that `bench/run.py` measures, and what it makes of its measurements."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import homes, quiet
from bench.exactness import FIELDS, OFFERS, exact, opened, recall
from bench.figures import percentiles
from bench.goals import goals
from bench.homes import Home, Origin, home_of, needs_among
from bench.latency import Asker
from bench.memory import memory
from bench.multiply import Base, Question, embed_base, load_base, questions
from bench.quiet import watched
from bench.rates import batch_rate
from matcher import e5
from matcher.documents import IndexQuery
from matcher.embed import Embedder, VectorCache
from matcher.records import OFFER_KINDS
from matcher.segments import Floats
from matcher.store import Store
from tests.fakes import FakeEncoder

SIZE = 300
# As wide as the real model's vectors, so that the real model can ask.
DIMENSION = 384


@pytest.fixture(scope="module")
def made_of(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    embedder = Embedder(FakeEncoder(DIMENSION), VectorCache(tmp_path_factory.mktemp("cache") / "vectors.db"))
    base = load_base(None)[:40]
    needs = [Base("need", one.title, one.text) for one in questions(None, 20, 1)]
    made = Origin(base, embed_base(base, embedder), needs, embed_base(needs, embedder), e5.fingerprint(), 1)
    embedder.close()
    return made


@pytest.fixture(scope="module")
def folder(model_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("homes")
    (made / "model").symlink_to(model_home / "model")
    return made


@pytest.fixture(scope="module")
def home(folder: Path, made_of: Origin) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        # Several flushes, as a large home has.
        patch.setattr(homes, "FLUSH", 100)
        patch.setattr("multiply.BATCH", 100)
        yield home_of(folder, made_of, SIZE)


@pytest.fixture(scope="module")
def asked() -> Floats:
    return FakeEncoder(DIMENSION).encode([one.whole for one in questions(None, 12, 2)], "query")


def test_store_and_index_of_a_home_agree_and_nothing_is_left_to_catch_up(home: Home, made_of: Origin) -> None:
    store = Store(f"sqlite:///{home.path / 'matcher.db'}")
    index = opened(home.path, made_of.model, DIMENSION)
    counts = store.counts()
    assert sum(counts[kind] for kind in OFFER_KINDS) == SIZE
    assert counts["need"] == needs_among(SIZE)
    assert index.count() == SIZE + needs_among(SIZE)
    assert index.revision == store.revision()
    stored = [one for one in store.records() if one.record.kind in OFFER_KINDS][17]
    assert set(stored.tags) == set(stored.record.programmes)
    document = index.documents(np.array([stored.key]))
    kinds = index.search(IndexQuery(document.title[0], document.body[0], document.terms), OFFERS, 1)
    assert kinds["body"].tolist() == kinds["words"].tolist() == [stored.key]
    store.close()


def test_a_home_answers_and_every_step_is_timed(home: Home) -> None:
    asker = Asker(home.path, 1)
    question = Question("", "香菇脆片含油率太高，求低温真空油炸和脱油工艺")
    asker.ask(question)  # loads what it needs, which is no step
    text, steps = asker.ask(question)
    assert asker.matcher.refresh() is False
    asker.close()
    assert json.loads(text)["index"]["records"] == SIZE + needs_among(SIZE)
    assert steps["model"] > 0
    assert all(took >= 0 for took in steps.values())
    whole = steps.pop("whole")
    assert sum(steps.values()) == pytest.approx(whole, rel=0.05)


def test_a_batch_asks_for_every_need(home: Home) -> None:
    figures = batch_rate(home.path, 1)
    assert figures["needs"] == needs_among(SIZE)
    assert figures["per_second"] > 0


def test_the_rates_of_all_steps_are_kept(home: Home) -> None:
    steps = {"make", "store", "tags", "index"}
    assert home.rates.keys() >= steps
    assert all(rate > 0 for rate in home.rates.values())


def test_a_complete_home_is_used_again_and_any_other_is_built_anew(
    folder: Path, made_of: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = home_of(folder, made_of, 30)
    mark = first.path / "mark"
    mark.touch()
    assert home_of(folder, made_of, 30) == first
    assert mark.exists()
    (first.path / homes.STAMP).unlink()  # as if it had been killed before the end
    shutil.rmtree(first.path / "index")
    again = home_of(folder, made_of, 30)
    assert not mark.exists()
    assert opened(again.path, made_of.model, DIMENSION).count() == 30 + needs_among(30)
    mark.touch()
    monkeypatch.setattr(homes.index, "FORMAT", homes.index.FORMAT + 1)
    home_of(folder, made_of, 30)
    assert not mark.exists()


def test_another_base_or_seed_makes_another_home(made_of: Origin) -> None:
    others = [
        Origin(made_of.base[1:], made_of.vectors, made_of.needs, made_of.needs_vectors, made_of.model, 1),
        Origin(made_of.base, made_of.vectors, made_of.needs, made_of.needs_vectors, made_of.model, 2),
        Origin(made_of.base, made_of.vectors, made_of.needs, made_of.needs_vectors, "another", 1),
    ]
    assert len({made_of.digest, *(other.digest for other in others)}) == 4


def test_an_index_that_compares_everything_has_full_recall(home: Home, made_of: Origin, asked: Floats) -> None:
    index = opened(home.path, made_of.model, DIMENSION)
    assert index.snapshot
    for field in FIELDS:
        true = exact(index.snapshot, field, asked, 10)
        none = np.empty(0, np.uint32)
        found = [index.search(IndexQuery(vector, vector, none), OFFERS, 10)[field] for vector in asked]
        assert recall(found, true, 10) == 1
        assert recall([keys[:5] for keys in found], true, 10) == 0.5


def test_the_truly_nearest_do_not_depend_on_how_many_are_compared_at_a_time(
    home: Home, made_of: Origin, asked: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = opened(home.path, made_of.model, DIMENSION)
    assert index.snapshot
    at_once = exact(index.snapshot, "body", asked, 20)
    monkeypatch.setattr("bench.exactness.BLOCK", 7)
    assert np.array_equal(exact(index.snapshot, "body", asked, 20), at_once)


def test_a_process_has_memory_of_its_own_and_of_files() -> None:
    found = memory()
    assert found["resident"] > 10
    if "file" in found:
        assert found["anonymous"] + found["file"] == pytest.approx(found["resident"], abs=0.2)


def test_percentiles_are_named() -> None:
    assert percentiles(range(101)) == {"p50": 50, "p95": 95, "p99": 99}


def test_only_goals_of_measured_sizes_are_compared() -> None:
    found = list(goals({"help_s": 0.5, "sizes": {"10000": {}}}))
    assert [(goal.name, goal.verdict) for goal in found] == [("matcher --help, s", "no")]


def test_work_of_others_is_noticed_and_ones_own_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    # Seconds of work of the whole machine and of these processes, and the clock: before and after.
    readings = {"_busy": iter((100.0, 107.0)), "_own": iter((50.0, 54.0))}
    for name, values in readings.items():
        monkeypatch.setattr(f"bench.quiet.{name}", values.__next__)
    monkeypatch.setattr("bench.quiet.time.perf_counter", iter((10.0, 14.0)).__next__)
    found: dict[str, float] = {}
    with watched(found, "load"):
        pass
    assert found == {"load": 0.75}


def test_the_work_of_ended_children_is_ones_own() -> None:
    before = quiet._own()
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert quiet._own() - before > 0.05
