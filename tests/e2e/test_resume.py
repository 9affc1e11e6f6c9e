"""A command that is killed anywhere and run again ends where an undisturbed one does."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matcher.documents import VISIBILITY_ORDER
from matcher.engine import Matcher, MatchQuery
from matcher.records import KINDS
from matcher.rows import StoredRecord
from matcher.segments import Segment
from matcher.settings import load_settings
from matcher.visibility import OPERATOR
from tests.e2e.running import environment
from tests.e2e.test_service import FIRST, SECOND, invented, write

ROWS = 90
QUESTIONS = (
    MatchQuery(text="香菇脆片含油率太高，需要新的油炸工艺"),
    MatchQuery(text="油井套管腐蚀，需要在线监测壁厚", min_level=1, limit=30),
    MatchQuery(text="焊接与镀膜设备", title="焊接装置", min_level=1, limit=50, viewer=OPERATOR),
)
# `matcher ingest`, in steps small enough that each is gone through several times. It dies of SIGKILL just
# before or after one of them: argv says which, and at which time of coming there.
COMMAND = """
import os, signal, sys

from matcher import cli, embed, engine, index, indexing, ingest, nearest, segments, snapshot, store

ingest.BATCH, indexing.BATCH, embed.COMMIT_EVERY = 30, 40, 16
nearest.QUANTISED_FROM, nearest.LIST_SIZE, nearest.COMPARED_ONE_BY_ONE = 60, 10, 0

path, moment, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
coming = 0


def die_around(owner, name, after):
    real = getattr(owner, name)

    def dying(*arguments, **options):
        global coming
        coming += 1
        if coming == times and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if coming == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


STEPS = {
    "store": (store.Store, "upsert"),
    "save": (store.Store, "_save"),
    "cache": (embed.VectorCache, "put"),
    "tags": (store.Store, "save_tags"),
    "array": (segments, "write_array"),
    "words": (snapshot.postings, "write"),
    "vectors": (nearest, "write"),
    "generation": (index.LocalWriter, "_write_generation"),
    "publish": (index.LocalWriter, "_publish"),
    "clean": (index.LocalWriter, "_clean"),
}
if times:
    when, step = moment.split()
    die_around(*STEPS[step], when == "after")
sys.argv = ["matcher", "ingest", path]
cli.main()
"""
# What is killed when, and at which time of coming there; several in a row are several kills.
KILLS: dict[str, list[tuple[str, int]]] = {
    "while rows are stored": [("after store", 1), ("after save", 1)],
    "while texts are embedded": [("after cache", 2), ("before tags", 1)],
    "while a segment is written": [("after array", 3), ("before vectors", 2)],
    "around publishing": [("before publish", 2), ("after publish", 1)],
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [(title, "", owner) for title, _, owner in invented(ROWS, 11)]
    return write(tmp_path_factory.mktemp("rows") / "成果.csv", [*rows[:50], FIRST, *rows[50:], SECOND])


def new_home(folder: Path, model_home: Path) -> Path:
    folder.mkdir()
    (folder / "model").symlink_to(model_home / "model")
    return folder


def run(home: Path, table: Path, moment: str = "", times: int = 0) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(table), moment, str(times)],
        env=environment(home, MATCHER_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@dataclasses.dataclass(frozen=True)
class Outcome:
    """All that anybody can see of an installation, by the records' ids."""

    records: dict[str, StoredRecord]
    keys: set[int]
    arrays: dict[str, Segment]
    statistics: dict[str, Any]
    answers: list[Any]


def outcome(home: Path) -> Outcome:
    with closing(Matcher(load_settings(home=home, threads=1))) as matcher:
        records = {one.id: one for one in matcher.store.records()}
        indexed = {one.id: one.key for one in records.values() if one.record.kind != "institution"}
        keys = np.array(sorted(indexed.values()), np.int64)
        assert matcher.index.count(VISIBILITY_ORDER) == len(indexed)
        assert matcher.index.revision == matcher.store.revision()
        arrays = {id_: matcher.index.documents(np.array([key])) for id_, key in indexed.items()}
        assert all(segment.keys.tolist() == [indexed[id_]] for id_, segment in arrays.items())
        return Outcome(
            records,
            set(keys.tolist()),
            arrays,
            vars(matcher.index.statistics()),
            [answers(matcher, q) for q in QUESTIONS],
        )


def answers(matcher: Matcher, query: MatchQuery) -> Any:
    answer = matcher.match(query)
    matches = [(m.rank, m.stored.id, m.score, m.level, [v.id for v in m.variants], m.why) for m in answer.matches]
    assert matches
    return answer.programmes, answer.terms, matches, answer.partners, answer.records


def check_same(found: Outcome, expected: Outcome) -> None:
    assert {id_: one.record.content_hash for id_, one in found.records.items()} == {
        id_: one.record.content_hash for id_, one in expected.records.items()
    }
    assert found.records == expected.records
    assert found.keys == expected.keys
    assert found.arrays.keys() == expected.arrays.keys()
    for id_, own in found.arrays.items():
        for field in dataclasses.fields(Segment):
            ours, theirs = getattr(own, field.name), getattr(expected.arrays[id_], field.name)
            assert np.array_equal(ours, theirs), (id_, field.name)
    for name, value in found.statistics.items():
        if name.endswith("_mean"):  # sums of floats, in whatever order
            assert np.allclose(value, expected.statistics[name], atol=1e-6), name
        else:
            assert np.array_equal(value, expected.statistics[name]), name
    assert found.answers == expected.answers


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model_home: Path, table: Path) -> Outcome:
    home = new_home(tmp_path_factory.mktemp("undisturbed") / "home", model_home)
    assert run(home, table) == 0
    expected = outcome(home)
    assert len(expected.arrays) == ROWS + 2
    assert {one.record.kind for one in expected.records.values()} == {"achievement", "institution"} <= set(KINDS)
    return expected


@pytest.mark.parametrize("kills", KILLS.values(), ids=KILLS)
def test_a_command_that_is_killed_and_run_again_ends_with_the_same_index_as_an_undisturbed_one(
    tmp_path: Path, model_home: Path, table: Path, undisturbed: Outcome, kills: list[tuple[str, int]]
) -> None:
    home = new_home(tmp_path / "home", model_home)
    for moment, times in kills:
        assert run(home, table, moment, times) == -signal.SIGKILL, moment
    assert run(home, table) == 0
    check_same(outcome(home), undisturbed)
