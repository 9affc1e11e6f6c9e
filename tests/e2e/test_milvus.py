"""A whole installation whose index is on a Milvus server, beside the same one with its index on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from matcher import sample
from tests.e2e.running import Service, matcher, service, wait_for
from tests.milvus import milvus_server

FILES = sample.FILES[:2]
QUESTIONS = 8
# Of the first ten matches, those that both engines name, on average. All that differs are the words'
# weights and the rounding of vectors.
LEAST_SHARE = 0.9


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own: the collections are named for the model, which other tests use too."""
    with milvus_server(tmp_path_factory.mktemp("milvus")) as running:
        yield running


def answers(running: Service) -> list[list[str]]:
    """The ids of the first ten matches of each question."""
    found = []
    for need in sample.records("need")[:QUESTIONS]:
        body = {"title": need.title, "text": need.abstract, "min_level": 1}
        status, answer = running.post("/v1/match", body)
        assert status == 200, answer
        found.append([match["record"]["id"] for match in answer["matches"]])
    return found


def share(found: list[list[str]], expected: list[list[str]]) -> float:
    """How many of the expected matches were found, on average."""
    parts = [len(set(ours) & set(theirs)) / len(theirs) for ours, theirs in zip(found, expected, strict=True)]
    return sum(parts) / len(parts)


def test_an_installation_with_milvus_finds_what_one_with_a_local_index_finds(
    model_home: Path, sample_vectors: Path, tmp_path: Path, uri: str
) -> None:
    home, local = tmp_path / "home", tmp_path / "local"
    home.mkdir()
    shutil.copy(sample_vectors, home)
    (home / "model").symlink_to(model_home / "model")
    settings = {"MATCHER_INDEX": "milvus", "MATCHER_MILVUS_URI": uri}
    done = matcher(home, "ingest", *(sample.path(name) for _, name in FILES), **settings)
    assert done.returncode == 0, done.stderr
    assert "GOAWAY" not in done.stderr
    figures = json.loads(matcher(home, "stats", "--json", **settings).stdout)["index"]
    assert (figures["records"], figures["behind"]) == (len(sample.records("achievement")), 0)
    assert [path.suffix for path in (home / "index").iterdir()] == [".lock"]

    need = sample.records("need")[0]
    shown = matcher(home, "match", need.abstract, "--json", **settings)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["matches"]

    shutil.copytree(home, local, symlinks=True, ignore=shutil.ignore_patterns("index"))
    assert matcher(local, "reindex").returncode == 0
    with service(local) as running:
        expected = answers(running)
    with service(home, **settings) as running:
        found = answers(running)
        assert all(expected)
        assert share(found, expected) >= LEAST_SHARE

        # What another process writes is found without a restart, and so is an index built anew.
        table = tmp_path / "成果.csv"
        table.write_text(
            "成果名称,成果简介,完成单位\n低温真空油炸香菇脆片工艺,采用零下真空与变频离心脱油，含油率低于百分之十八。,秦巴食用菌工程中心\n",
            encoding="utf-8",
        )
        assert matcher(home, "ingest", table, **settings).returncode == 0
        wait_for(lambda: "低温真空油炸香菇脆片工艺" in running.titles("香菇脆片含油率太高"), 5)
        before = running.post("/v1/match", {"text": need.abstract})[1]["index"]["generation"]
        assert matcher(home, "reindex", **settings).returncode == 0
        wait_for(lambda: running.post("/v1/match", {"text": need.abstract})[1]["index"]["generation"] > before, 5)
        assert share(answers(running), expected) >= LEAST_SHARE


def test_a_command_says_that_the_server_cannot_be_reached(model_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "model").symlink_to(model_home / "model")
    settings = {"MATCHER_INDEX": "milvus", "MATCHER_MILVUS_URI": "http://127.0.0.1:1"}
    done = matcher(home, "match", "银耳烘干", **settings)
    assert done.returncode != 0
    assert "Milvus 服务器 127.0.0.1:1 没有完成请求" in done.stderr
    assert "Traceback" not in done.stderr
