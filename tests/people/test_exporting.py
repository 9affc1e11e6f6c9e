from __future__ import annotations

import json

import pytest

from matcher import tables
from matcher.engine import Matcher
from matcher.errors import InvalidQuery
from tests.people.support import (
    NOW,
    accounts,
    achievement,
    add_row,
    iso,
    need,
    patent,
    put,
    rows,
    upload,
)


def test_an_account_gets_all_that_is_held_about_it_and_nothing_of_others(matcher: Matcher) -> None:
    account, other = (accounts(matcher).add(name, "enterprise") for name in ("红光食品", "别的企业"))
    _, secret = accounts(matcher).add_key(account, "服务器")
    id_ = put(matcher, need("1", "腊肉", visibility="private"), "张三 13812345678", account.key)
    matcher.store.withdraw(put(matcher, need("2", "撤回的"), owner=account.key))
    put(matcher, need("3", "别人的"), "李四", other.key)
    upload(matcher, account, "up-1", "文件")
    values = {"need_id": id_, "offer_id": "ach-1", "level": 4, "at": iso(NOW)}
    for own in (account, other):
        add_row(matcher, tables.judgements, account=own.key, **values)
    values = {"request": "0" * 64, "status": 201, "headers": {}, "body": "答复", "created_at": iso(NOW)}
    add_row(matcher, tables.idempotency, account=account.key, name="k", **values)
    held = matcher.people.export_account(account)
    assert [one["name"] for one in held["account"]] == ["红光食品"]
    assert [one["name"] for one in held["keys"]] == ["服务器"]
    assert [(one["title"], one["contact"]) for one in held["records"]] == [
        ("腊肉", "张三 13812345678"),
        ("撤回的", None),
    ]
    assert [one["level"] for one in held["judgements"]] == [4]
    assert [one["id"] for one in held["uploads"]] == ["up-1"]
    assert [one["body"] for one in held["replies"]] == ["答复"]
    assert {one["action"] for one in held["audit"]} == {"account-add", "key-add", "add", "withdraw"} - {"withdraw"}
    text = json.dumps(held, ensure_ascii=False)
    for secret_text in (secret, *(row.hash for row in rows(matcher, tables.api_keys)), "别的企业", "别人的", "李四"):
        assert secret_text not in text


def test_a_person_gets_every_record_that_names_him(matcher: Matcher) -> None:
    accounts(matcher).add("张三", "intermediary")
    put(matcher, achievement("1", "石墨提纯"), "张三，138-1234-5678")
    put(matcher, achievement("2", "石墨分选", abstract="详询 (+86)138 1234 5678。"))
    put(matcher, patent("3", "石墨炉", inventors=("张三", "李四")))
    put(matcher, achievement("4", "木耳"), "李四 13900000001")
    by_phone = matcher.people.export_person("138 1234 5678")
    assert [one["contact"] for one in by_phone["contacts"]] == ["张三，138-1234-5678"]
    assert [one["fields"] for one in by_phone["texts"]] == [{"abstract": "详询 (+86)138 1234 5678。"}]
    assert [one["action"] for one in by_phone["audit"]] == ["add"]
    by_name = matcher.people.export_person("张三")
    assert [one["title"] for one in by_name["contacts"]] == ["石墨提纯"]
    assert [one["title"] for one in by_name["inventor_of"]] == ["石墨炉"]
    assert [one["name"] for one in by_name["accounts"]] == ["张三"]
    assert json.dumps(by_name)


def test_nobody_is_exported_by_too_little(matcher: Matcher) -> None:
    with pytest.raises(InvalidQuery, match="请给出完整的手机号"):
        matcher.people.export_person("138")
