"""Subscriptions at the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matcher.accounts import Accounts
from matcher.cli import main
from matcher.records import Achievement, Need
from matcher.settings import Settings
from matcher.store import Store

Run = Callable[..., tuple[int, str, str]]
NEED = Need(source="企业", source_id="1", title="银耳烘干节能")
OFFER = Achievement(source="平台", source_id="2", title="热泵烘干", institution="蜀北大学")
TO = ("--email", "reader@example.test")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Settings(home=tmp_path).store_url)


@pytest.fixture
def run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `matcher ARGUMENTS`: exit code, output, messages."""
    monkeypatch.setenv("MATCHER_HOME", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["matcher", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def made(run: Run, *arguments: str) -> dict[str, Any]:
    code, out, err = run("subscribe", *TO, *arguments, "--json")
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(run("subscriptions", *arguments, "--json")[1])
    return told


def test_an_address_is_asked_unless_it_has_agreed_elsewhere(run: Run) -> None:
    code, _, err = run("subscribe", *TO, "--text", "银耳烘干")
    assert code == 0
    assert "等待收件人确认" in err
    assert "matcher outbox" in err
    assert [one["state"] for one in listed(run)] == ["waiting"]
    assert "订阅已生效" in run("subscribe", *TO, "--text", "银耳烘干", "--confirmed")[2]
    assert [one["state"] for one in listed(run)] == ["active"]


def test_all_that_may_be_wished_for(run: Run, store: Store) -> None:
    told = made(
        run,
        *("--text", "银耳烘干", "--title", "节能", "--kind", "need", "--programme", "food", "--region", "南江县"),
        *("--region", "重庆", "--min-level", "2", "--frequency", "weekly"),
    )
    assert (
        told.items()
        >= {
            "email": "reader@example.test",
            "follows": "text",
            "title": "节能",
            "text": "银耳烘干",
            "kinds": ["need"],
            "programmes": ["food"],
            "regions": [{"code": "50", "name": "重庆市"}, {"code": "511922", "name": "四川省巴中市南江县"}],
            "min_level": 2,
            "frequency": "weekly",
            "account": None,
            "suppressed_for": None,
        }.items()
    )
    line = run("subscriptions")[1]
    assert all(word in line for word in ("节能", "每周", "技术需求", "食品饮料", "四川省巴中市南江县", TO[1]))


def test_records_institutions_and_ones_own_are_followed_by_their_ids(run: Run, store: Store) -> None:
    store.upsert([(NEED, None), (OFFER, None)])
    university = store.by_id([OFFER.id])[OFFER.id].institution_id or ""
    account = Accounts(store.database).add("雾里菌品", "enterprise")
    subjects = [
        made(run, *arguments)["subject"]
        for arguments in (("--need", NEED.id), ("--offer", OFFER.id), ("--institution", university))
    ]
    assert subjects == [NEED.id, OFFER.id, university]
    own = made(run, "--own", "--account", "雾里菌品")
    assert (own["follows"], own["account"]) == ("own", account.id)
    assert "雾里菌品" in run("subscriptions")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "只用其中一个"),
        (("--text", "银耳", "--own"), 2, "只用其中一个"),
        (("--need", "ach-1"), 2, "应形如"),
        (("--offer", "need-1"), 2, "应形如"),
        (("--need", "need-1"), 1, "没有编号为"),
        (("--text", ""), 1, "文字：为空"),
        (("--text", "银耳", "--region", "火星"), 1, "火星"),
        (("--text", "银耳", "--min-level", "1"), 1, "最低关联度"),
        (("--text", "银耳", "--account", "无人"), 1, "无人"),
        (("--own",), 1, "需要账号"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    run: Run, arguments: tuple[str, ...], code: int, says: str
) -> None:
    told = run("subscribe", *TO, *arguments)
    assert told[0] == code
    assert says in told[2]
    assert listed(run) == []


def test_a_wrong_address_is_refused(run: Run) -> None:
    code, _, err = run("subscribe", "--email", "reader@", "--text", "银耳")
    assert (code, "不是可用的邮箱地址" in err) == (1, True)


def test_the_list_is_narrowed_to_an_address(run: Run) -> None:
    mine = made(run, "--text", "银耳")
    run("subscribe", "--email", "other@example.test", "--text", "银耳")
    assert [one["email"] for one in listed(run)] == ["other@example.test", "reader@example.test"]
    assert [one["id"] for one in listed(run, "--email", "READER@example.test")] == [mine["id"]]
    assert listed(run, "--email", "nobody@example.test") == []
    assert "没有订阅" in run("subscriptions", "--email", "nobody@example.test")[2]


def test_one_subscription_or_all_mail_ends_at_the_readers_request(run: Run) -> None:
    first, second = (made(run, "--text", text, "--confirmed") for text in ("银耳", "木耳"))
    assert run("unsubscribe", "--id", first["id"])[0] == 0
    assert [one["id"] for one in listed(run)] == [second["id"]]
    assert run("unsubscribe", "--id", first["id"])[0] == 1
    assert run("unsubscribe", *TO)[0] == 0
    assert [one["suppressed_for"] for one in listed(run)] == ["unsubscribed"]
    assert "已退订全部邮件" in run("subscriptions")[1]
    # Consent that somebody obtained elsewhere does not outweigh what the reader says here.
    assert "--lift" in run("subscribe", *TO, "--text", "竹荪", "--confirmed")[2]
    assert [run("unsubscribe", *arguments)[0] for arguments in ((), (*TO, "--id", "sub-1"))] == [2, 2]


def test_an_address_that_nobody_knows_yet_may_be_kept_from_mail(run: Run) -> None:
    assert run("suppress", *TO)[0] == 0
    assert made(run, "--text", "银耳")["suppressed_for"] == "operator"
    assert run("suppress", *TO, "--lift")[0] == 0
    assert made(run, "--text", "银耳")["suppressed_for"] is None
    code, _, err = run("suppress", *TO, "--lift")
    assert (code, "无须恢复" in err) == (1, True)
