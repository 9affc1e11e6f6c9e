"""What the commands say; `tests.e2e.test_person` runs them for real."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from matcher.cli import app
from matcher.errors import MatcherError
from tests.fakes import FakeEncoder
from tests.people.conftest import NoProgrammes
from tests.people.support import places_of

Run = Callable[..., Result]


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MATCHER_HOME", str(home))
    monkeypatch.setattr("matcher.engine.load_encoder", lambda settings: FakeEncoder())
    monkeypatch.setattr("matcher.defaults.load_tagger", lambda *_: NoProgrammes())
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_an_account_is_named_by_its_name_and_once_closed_by_its_number(run: Run, home: Path) -> None:
    run("account", "add", "红光食品", "--role", "enterprise")
    held = json.loads(run("person", "export", "--account", "红光食品").stdout)
    (account,) = held["account"]
    assert (account["name"], len(held["keys"])) == ("红光食品", 1)
    asked = run("person", "erase", "--account", "红光食品")
    assert asked.exit_code == 1
    assert "将关闭账号“红光食品”" in asked.stderr
    assert "加上 --yes" in asked.stderr
    assert places_of(home, "红光食品")
    for _ in range(2):
        done = run("person", "erase", "--account", account["id"], "--yes")
        assert done.exit_code == 0
        assert "已删除记录 0 条" in done.stderr
        assert "备份文件不受影响" in done.stderr
    assert places_of(home, "红光食品") == []


def test_data_that_were_set_aside_are_named_and_go_with_their_time(run: Run, home: Path) -> None:
    aside = [home / "before-restore-1", home / "vectors.db.damaged-1"]
    aside[0].mkdir(parents=True)
    (aside[0] / "matcher.db").write_text("旧数据")
    aside[1].write_text("旧数据")
    done = run("person", "erase", "--contact", "13812345678", "--yes")
    assert all(str(path) in done.stderr for path in aside)
    run("retention")
    assert all(path.exists() for path in aside)
    for path in aside:
        os.utime(path, (0, 0))
    assert json.loads(run("retention", "--json").stdout)["files"] == 2
    assert not any(path.exists() for path in aside)


def test_an_erasure_by_contact_says_first_what_it_would_do(run: Run) -> None:
    asked = run("person", "erase", "--contact", "张三")
    assert asked.exit_code == 1
    assert "将从 0 条记录中删除联系方式" in asked.stderr
    assert "发明人姓名（0 件专利）是公告内容" in asked.stderr


@pytest.mark.parametrize("arguments", [(), ("--account", "甲", "--contact", "13812345678")])
@pytest.mark.parametrize("command", ["export", "erase"])
def test_one_of_account_and_contact_is_needed(run: Run, command: str, arguments: tuple[str, ...]) -> None:
    done = run("person", command, *arguments)
    assert done.exit_code == 2
    # Drawn in a box, whose lines may break anywhere.
    assert "二者择一" in "".join(re.findall("[\u4e00-\u9fff]", done.stderr))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--contact", "138"), "请给出完整的手机号"),
        (("--account", "没有这个企业"), "没有名称或编号为“没有这个企业”的账号"),
    ],
)
@pytest.mark.parametrize("command", ["export", "erase"])
def test_who_cannot_be_told_is_said_in_a_sentence(
    run: Run, command: str, arguments: tuple[str, ...], told: str
) -> None:
    done = run("person", command, *arguments)
    assert isinstance(done.exception, MatcherError)
    assert told in str(done.exception)


def test_retention_tells_its_days(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHER_RETENTION_DAYS", "90")
    assert "保留期：90 天" in run("retention").stderr
    assert json.loads(run("retention", "--json").stdout)["complete"] is True
