from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from filelock import FileLock

from matcher import audit, tables
from matcher.engine import Matcher
from matcher.erasure import CLOSED_NAME
from matcher.errors import Busy, InvalidQuery, NotFound
from matcher.index import LocalIndex
from matcher.listing import Wanted
from matcher.needle import ERASED
from matcher.records import Achievement
from matcher.visibility import OPERATOR
from tests.fakes import FakeEncoder
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

# What may be nowhere once its owner has asked for it to go.
PHONE, MAIL, PERSON = "13812345678", "zhangsan@example.cn", "张三丰"
COMPANY, SECRET, DETAIL = "巴中红光食品有限公司", "腊肉亚硝酸盐残留超标", "冷熏房改造预算八十七万元"
EARLIER = "腊肉发黏的老问题"
FILE_NAME, KEY_NAME = "红光食品内部清单.csv", "红光食品的服务器"
VECTOR = FakeEncoder().encode([SECRET], "document")[0]


def furnish(matcher: Matcher) -> str:
    """An installation with an account and all that it leaves behind; the account's id."""
    account = accounts(matcher).add(COMPANY, "enterprise")
    accounts(matcher).add_key(account, KEY_NAME)
    other = accounts(matcher).add("别的企业", "enterprise")
    put(matcher, need("1", EARLIER, abstract=DETAIL, visibility="private"), f"{PERSON} {PHONE}", account.key)
    matcher.catch_up()
    put(
        matcher,
        need("1", SECRET, abstract=f"{DETAIL}，联系人：{PERSON}", institution=COMPANY, visibility="private"),
        f"{PERSON} {PHONE} {MAIL}",
        account.key,
    )
    put(matcher, need("2", "公开的木耳需求", abstract=f"请致电{PHONE}"), MAIL, account.key)
    put(matcher, need("3", "别人的需求", institution="别的企业", visibility="private"), "李四 13900000001", other.key)
    for owner in (account, other):
        upload(matcher, owner, f"up-{owner.key}", SECRET if owner is account else "别人的文件")
    add_row(
        matcher,
        tables.idempotency,
        account=account.key,
        name="k1",
        request="0",
        status=201,
        headers={},
        body=f'{{"title": "{SECRET}"}}',
        created_at=iso(NOW),
    )
    with matcher.store.database.writing() as connection:
        audit.write(connection, [audit.Entry(account.key, "upload", account.id, {"file": FILE_NAME})])
    matcher.catch_up()
    return account.id


GONE = (PHONE, MAIL, PERSON, COMPANY, SECRET, DETAIL, EARLIER, FILE_NAME, KEY_NAME)


def test_after_an_account_is_erased_no_file_holds_any_of_it(matcher: Matcher, home: Path) -> None:
    account = accounts(matcher).get(furnish(matcher))
    assert {text for _, text in places_of(home, *GONE)} == set(GONE)
    assert vector_is_somewhere(home)
    erased = matcher.people.erase_account(account)
    assert erased.complete
    assert places_of(home, *GONE) == []
    assert not vector_is_somewhere(home)
    counts = erased.as_json()
    assert (counts["records"], counts["contacts"], counts["keys"], counts["uploads"]) == (1, 2, 1, 1)


def vector_is_somewhere(home: Path) -> bool:
    vector = VECTOR.tobytes()
    return any(vector in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_the_account_is_closed_and_what_is_public_stays_without_its_contact(matcher: Matcher) -> None:
    account = accounts(matcher).get(furnish(matcher))
    _, secret = accounts(matcher).add_key(account, "第二把")
    matcher.people.erase_account(account)
    assert accounts(matcher).open(secret) is None
    closed = accounts(matcher).get(account.id)
    assert closed.name == CLOSED_NAME
    assert closed.closed_at is not None
    stays = need("2", "公开的木耳需求").id
    assert matcher.record(stays, OPERATOR).record.abstract == "请致电［电话已隐藏］"
    with pytest.raises(NotFound):
        matcher.record(need("1", SECRET).id, OPERATOR)
    assert contacts(matcher) == ["李四 13900000001"]
    assert matcher.index.count() == 2


def test_nothing_of_others_is_touched(matcher: Matcher, home: Path) -> None:
    account = accounts(matcher).get(furnish(matcher))
    matcher.people.erase_account(account)
    for text in ("别的企业", "别人的需求", "李四 13900000001", "别人的文件"):
        assert places_of(home, text), text


def test_the_trail_says_that_something_was_erased_and_not_what(matcher: Matcher) -> None:
    account = accounts(matcher).get(furnish(matcher))
    matcher.people.erase_account(account, actor=account.key)
    entries = [row for row in rows(matcher, tables.audit) if row.account == account.key or row.subject == account.id]
    assert {entry.action for entry in entries} >= {"account-add", "add", "erase", "erase-contact", "erase-account"}
    assert all(entry.details == {} for entry in entries)


def test_an_erased_account_may_be_erased_again_and_what_is_written_anew_comes_back(matcher: Matcher) -> None:
    account = accounts(matcher).get(furnish(matcher))
    matcher.people.erase_account(account)
    again = matcher.people.erase_account(accounts(matcher).get(account.id))
    assert (again.contacts, again.keys, len(again.uploads)) == (0, 0, 0)
    id_ = put(matcher, need("1", SECRET))
    assert matcher.record(id_, OPERATOR).record.title == SECRET


@pytest.mark.parametrize(
    "asked", [PHONE, "+86 138-1234-5678", "１３８１２３４５６７８", MAIL, "ZhangSan ＠ example．cn", PERSON]
)
def test_whoever_is_named_goes_out_of_contacts_texts_and_files(matcher: Matcher, home: Path, asked: str) -> None:
    account = accounts(matcher).add(COMPANY, "enterprise")
    both = f"{PERSON}，138 1234 5678，{MAIL}"
    public = put(
        matcher, achievement("1", "石墨提纯", abstract=f"高温除铁。联系人：{PERSON}，电话138-1234-5678，{MAIL}。"), both
    )
    other = put(matcher, achievement("2", "石墨分选"), "张三 13812345679")
    kept = put(matcher, patent("3", "石墨炉", inventors=("张三丰", "李四")))
    folder = upload(matcher, account, "up-1", f"{PERSON} {PHONE} {MAIL}")
    rejects = home / "rejects" / "成果-1.csv"
    rejects.parent.mkdir()
    rejects.write_text(f"行号,原始内容\n2,{PERSON} {PHONE} {MAIL}\n3,留下的一行\n", "utf-8-sig")
    matcher.catch_up()
    erased = matcher.people.erase_person(asked)
    assert erased.complete
    assert contacts(matcher) == ["张三 13812345679"]
    abstract = matcher.record(public, OPERATOR).record.abstract
    assert ERASED in abstract
    assert abstract.startswith("高温除铁。")
    assert matcher.record(other, OPERATOR).record.title == "石墨分选"
    # Published by the patent office, as the law has it.
    assert matcher.record(kept, OPERATOR).record.inventors == ("张三丰", "李四")  # type: ignore[attr-defined]
    assert rejects.read_text("utf-8-sig").splitlines() == ["行号,原始内容", "3,留下的一行"]
    assert [path.name for path in folder.iterdir()] == ["需求-rejects.csv"]
    held = matcher.people.export_person(asked)
    assert (held["contacts"], held["texts"]) == ([], [])
    # In a text that speaks of the person, all that is anybody's contact goes.
    assert places_of(home, PHONE, "138-1234-5678", "138 1234 5678", MAIL) == []
    assert matcher.index.count() == 3


def test_a_name_counts_as_a_contact_only_and_not_as_a_part_of_another_name(matcher: Matcher) -> None:
    put(matcher, achievement("1", "三丰阀门", abstract="张三丰的太极拳。"), "张三丰 13800000001")
    put(matcher, achievement("2", "石墨"), "张三，13800000002")
    put(matcher, achievement("3", "木耳"), "张三经理")
    matcher.people.erase_person("张三")
    assert contacts(matcher) == ["张三丰 13800000001"]
    matcher.people.erase_person("张三丰")
    assert contacts(matcher) == []
    assert matcher.record(achievement("1", "").id, OPERATOR).record.abstract == "张三丰的太极拳。"


@pytest.mark.parametrize("asked", ["", "张", "138", "a@", "@", "张三13800000001", "12345"])
def test_too_little_to_tell_a_person_is_refused(matcher: Matcher, asked: str) -> None:
    with pytest.raises(InvalidQuery, match="请给出完整的手机号"):
        matcher.people.erase_person(asked)


def test_what_another_process_holds_is_erased_by_the_next_run(
    matcher: Matcher, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = accounts(matcher).get(furnish(matcher))
    monkeypatch.setattr("matcher.engine.FORGET_WAIT", 0.1)
    other = LocalIndex(home / "index", matcher.embedder.fingerprint, matcher.embedder.dimension)
    with other.writer(1):
        erased = matcher.people.erase_account(account)
    assert not erased.complete
    assert vector_is_somewhere(home)
    assert places_of(home, *GONE) == []
    assert matcher.people.expire(1, NOW).complete
    assert not vector_is_somewhere(home)


def test_a_file_that_is_being_read_is_waited_for_and_then_nothing_more_comes_of_it(
    matcher: Matcher, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = accounts(matcher).get(furnish(matcher))
    _, secret = accounts(matcher).add_key(account, "第二把")
    monkeypatch.setattr("matcher.traces.READ_WAIT", 0.1)
    with FileLock(home / "uploads" / f"up-{account.key}" / "lock"), pytest.raises(Busy, match="上传的文件正在处理"):
        matcher.people.erase_account(account)
    assert accounts(matcher).open(secret) is None
    assert matcher.people.erase_account(account).complete
    assert places_of(home, *GONE) == []


def test_what_a_file_was_called_stays_with_no_record(matcher: Matcher, home: Path) -> None:
    account = accounts(matcher).add(COMPANY, "enterprise")
    source = f"{account.id}/红光食品的成果"
    id_ = put(matcher, Achievement(source=source, source_id="1", title="石墨提纯"), owner=account.key)
    matcher.people.erase_account(account)
    assert places_of(home, "红光食品的成果") == []
    assert matcher.record(id_, OPERATOR).record.title == "石墨提纯"


def test_an_owner_sees_nothing_of_records_that_were_erased(matcher: Matcher) -> None:
    account = accounts(matcher).add(COMPANY, "enterprise")
    put(matcher, need("1", SECRET, visibility="private", deadline="2020-01-01"), owner=account.key)
    mine = Wanted(mine=True)
    assert len(matcher.listed(account.viewer, mine, 10)) == 1
    matcher.people.expire(1, NOW + datetime.timedelta(days=2))
    assert matcher.listed(account.viewer, mine, 10) == []
    put(matcher, need("1", "新的需求", visibility="private"), owner=account.key)
    assert [one.record.title for one in matcher.listed(account.viewer, mine, 10)] == ["新的需求"]
