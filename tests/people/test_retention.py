from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from matcher import tables
from matcher.engine import Matcher
from matcher.erasure import CLOSED_NAME
from matcher.errors import NotFound
from matcher.visibility import OPERATOR
from tests.people.support import (
    NOW,
    accounts,
    achievement,
    add_row,
    contacts,
    iso,
    need,
    patent,
    places_of,
    put,
    rows,
    upload,
)

DAYS = 30
LATER = NOW + datetime.timedelta(days=DAYS, hours=1)
SOON = NOW + datetime.timedelta(days=DAYS - 1)
PHONE, SECRET = "13812345678", "腊肉亚硝酸盐残留超标"


def furnish(matcher: Matcher, home: Path) -> None:
    account = accounts(matcher).add("红光食品", "enterprise")
    put(matcher, achievement("1", "石墨提纯", abstract=f"在册的成果，电话{PHONE}"), f"王五 {PHONE}")
    put(matcher, need("2", SECRET, visibility="private", deadline="2020-01-01"), f"张三 {PHONE}", account.key)
    put(matcher, patent("3", "石墨炉", abstract=f"已失效，电话{PHONE}", legal_status="失效", inventors=("李四",)))
    withdrawn = put(matcher, need("4", "撤回的需求", abstract="仅中介可见", visibility="intermediaries"))
    matcher.store.withdraw(withdrawn)
    upload(matcher, account, "up-done", "读过的文件")
    upload(matcher, account, "up-waiting", "还没有读的文件", finished=None)
    key, _ = accounts(matcher).add_key(account, "吊销的密钥")
    accounts(matcher).revoke(account, key.id)
    accounts(matcher).add_key(account, "在用的密钥")
    closed = accounts(matcher).add("关闭的企业", "enterprise")
    accounts(matcher).close(closed.id)
    put(matcher, need("5", "关闭的企业的需求", visibility="private"), owner=closed.key)
    values = {"request": "0", "status": 201, "headers": {}, "body": "答复", "created_at": iso(NOW)}
    add_row(matcher, tables.idempotency, account=account.key, name="k", **values)
    rejects = home / "rejects" / "成果-1.csv"
    rejects.parent.mkdir(exist_ok=True)
    rejects.write_text(f"行号,原始内容\n2,拒收的一行 {PHONE}\n", "utf-8-sig")
    os.utime(rejects, (NOW.timestamp(), NOW.timestamp()))
    matcher.catch_up()


OVER = (SECRET, "撤回的需求", "仅中介可见", "读过的文件", "吊销的密钥", "关闭的企业", "答复", "拒收的一行")


def test_nothing_goes_before_its_time(matcher: Matcher, home: Path) -> None:
    furnish(matcher, home)
    erased = matcher.people.expire(DAYS, SOON).as_json()
    assert erased.pop("complete") is True
    assert set(erased.values()) == {0}
    assert {text for _, text in places_of(home, *OVER)} == set(OVER)


def test_what_is_over_goes_when_its_time_has_come(matcher: Matcher, home: Path) -> None:
    furnish(matcher, home)
    erased = matcher.people.expire(DAYS, LATER)
    assert erased.complete
    assert places_of(home, *OVER) == []
    assert contacts(matcher) == []
    assert [key.name for key in accounts(matcher).keys(accounts(matcher).find("红光食品"))] == ["在用的密钥"]
    assert {account.name for account in accounts(matcher).all()} == {"红光食品", CLOSED_NAME}
    assert [row.id for row in rows(matcher, tables.uploads)] == ["up-waiting"]
    assert places_of(home, "还没有读的文件")
    for gone in (need("2", ""), need("4", ""), need("5", "")):
        with pytest.raises(NotFound):
            matcher.record(gone.id, OPERATOR)


def test_what_is_public_stays_a_lapsed_one_without_persons(matcher: Matcher, home: Path) -> None:
    furnish(matcher, home)
    matcher.people.expire(DAYS, LATER)
    live = matcher.record(achievement("1", "").id, OPERATOR).record
    assert live.abstract == f"在册的成果，电话{PHONE}"
    lapsed = matcher.record(patent("3", "").id, OPERATOR).record
    assert lapsed.abstract == "已失效，电话［电话已隐藏］"


def test_the_trail_keeps_who_did_what_when_and_forgets_the_details(matcher: Matcher, home: Path) -> None:
    furnish(matcher, home)
    before = [(row.at, row.account, row.action, row.subject) for row in rows(matcher, tables.audit)]
    assert any(row.details for row in rows(matcher, tables.audit))
    matcher.people.expire(DAYS, LATER)
    after = rows(matcher, tables.audit)
    assert [(row.at, row.account, row.action, row.subject) for row in after][: len(before)] == before
    assert not any(row.details for row in after)


def test_a_contact_that_is_still_in_the_source_comes_back_with_the_next_import(matcher: Matcher, home: Path) -> None:
    record = achievement("1", "石墨提纯")
    assert matcher.store.upsert([(record, "王五")]) == ["added"]
    matcher.people.expire(DAYS, LATER)
    assert matcher.store.upsert([(record, "王五")]) == ["updated"]
    assert contacts(matcher) == ["王五"]


def test_empty_rows_of_erased_records_go_once_every_index_has_learned_of_them(matcher: Matcher, home: Path) -> None:
    furnish(matcher, home)
    matcher.people.expire(DAYS, LATER)
    assert sum(row.title == "" for row in rows(matcher, tables.records)) == 3
    assert matcher.index.count() == 1
    matcher.people.expire(DAYS, LATER + datetime.timedelta(days=DAYS))
    assert [row.title for row in rows(matcher, tables.records)] == ["石墨提纯", "石墨炉"]
    assert matcher.index.count() == 1
