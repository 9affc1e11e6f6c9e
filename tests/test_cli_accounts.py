"""Accounts and keys at the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from matcher.accounts import Accounts
from matcher.cli import main
from matcher.settings import Settings
from matcher.store import Store
from matcher.visibility import ROLES

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `matcher account ARGUMENTS`: exit code, output, messages."""
    monkeypatch.setenv("MATCHER_HOME", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["matcher", "account", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def opens(tmp_path: Path, secret: str) -> bool:
    store = Store(Settings(home=tmp_path).store_url)
    try:
        return Accounts(store.database).open(secret) is not None
    finally:
        store.close()


@pytest.mark.parametrize("role", ROLES)
def test_a_new_accounts_key_is_printed_alone_and_opens_it(run: Run, tmp_path: Path, role: str) -> None:
    code, out, err = run("add", "雾里菌品", "--role", role)
    assert code == 0
    assert opens(tmp_path, out.strip())
    assert "只显示这一次" in err
    assert out.strip() not in run("list")[1] + run("list", "--json")[1]


def test_keys_and_accounts_end_when_they_are_told_to(run: Run, tmp_path: Path) -> None:
    first = json.loads(run("add", "雾里菌品", "--role", "enterprise", "--json")[1])
    second = json.loads(run("key", "雾里菌品", "--key-name", "夜间", "--days", "30", "--json")[1])
    assert second["keys"][0]["expires_at"]
    assert run("revoke", "雾里菌品", first["keys"][0]["id"])[0] == 0
    assert [opens(tmp_path, key["secret"]) for key in (first, second)] == [False, True]
    assert run("close", first["id"])[0] == 0
    assert not opens(tmp_path, second["secret"])
    [listed] = json.loads(run("list", "--json")[1])
    assert listed["closed_at"]
    assert "关闭" in run("list")[1]
    assert "吊销" in run("list")[1]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("add", "甲", "--role", "root"), "角色"),
        (("add", " ", "--role", "admin"), "名称"),
        (("add", "长" * 101, "--role", "admin"), "名称"),
        (("key", "没有这个", "--key-name", "乙"), "没有名称或编号"),
        (("close", "没有这个"), "没有名称或编号"),
        (("revoke", "没有这个", "key-0"), "没有名称或编号"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(run: Run, arguments: tuple[str, ...], word: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert word in err


def test_a_name_that_two_accounts_have_does_not_tell_which(run: Run) -> None:
    for _ in range(2):
        run("add", "同名", "--role", "enterprise")
    code, _, err = run("close", "同名")
    assert code == 1
    assert "有 2 个" in err


def test_without_accounts_the_list_says_how_to_begin(run: Run) -> None:
    assert "matcher account add" in run("list")[2]
