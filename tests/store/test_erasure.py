"""Erasing over both databases; what becomes of files and the index is tested in `tests.people`."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from sqlalchemy import select

from matcher import tables
from matcher.accounts import Accounts
from matcher.erasure import CLOSED_NAME, Eraser
from matcher.holdings import Holdings
from matcher.needle import Needle
from matcher.records import Need
from matcher.store import Store
from tests.store.examples import achievement, contacts, every_change, put

PHONE = "13812345678"
NOW = datetime.datetime.now(datetime.UTC)


def need(number: int, title: str) -> Need:
    return Need(source="企业填报", source_id=str(number), title=title, institution="红光食品", visibility="private")


def names(store: Store) -> set[str]:
    with store.database.reading.connect() as connection:
        return {*connection.scalars(select(tables.institution_names.c.name_key))}


def test_an_account_goes_with_its_private_records_and_every_index_learns_of_it(store: Store) -> None:
    accounts = Accounts(store.database)
    account = accounts.add("红光食品", "enterprise")
    accounts.add_key(account, "服务器")
    store.upsert([(need(1, "腊肉"), PHONE), (achievement(2), PHONE)], account.key)
    put(store, achievement(3), contact="别人")
    seen = store.revision()
    eraser = Eraser(store)
    eraser.close(account)
    erased = eraser.account(account)
    assert store.database.scrub(whole=True)
    assert erased.records == [need(1, "").id]
    assert contacts(store) == ["别人"]
    assert accounts.get(account.id).name == CLOSED_NAME
    assert "红光食品" not in names(store)
    changed = {each.id: each for each in every_change(store, 10) if each.revision > seen}
    gone = changed[need(1, "").id]
    assert (gone.withdrawn, gone.record.title, gone.record.institution, dict(gone.tags)) == (True, "", None, {})
    assert store.by_id([gone.id]) == {}


def test_an_enterprise_that_others_speak_of_stays_known(store: Store) -> None:
    account = Accounts(store.database).add("红光食品", "enterprise")
    store.upsert([(need(1, "腊肉"), None)], account.key)
    put(store, achievement(2, institution="红光食品"))
    before = names(store)
    Eraser(store).account(account)
    assert names(store) == before


@pytest.mark.parametrize("text", [PHONE, "138-1234-5678"])
def test_a_person_goes_out_of_contacts_and_texts(store: Store, text: str) -> None:
    put(store, achievement(1, abstract=f"石墨，电话{PHONE}"), contact=f"张三 {PHONE}")
    put(store, achievement(2), contact="李四")
    needle = Needle.of(text)
    held = Holdings(store).of_person(needle)
    assert [len(held[name]) for name in ("contacts", "texts", "inventor_of", "accounts")] == [1, 1, 0, 0]
    erased = Eraser(store).person(needle)
    assert (erased.contacts, erased.changed) == (1, {achievement(1).id})
    assert contacts(store) == ["李四"]
    assert PHONE not in repr(every_change(store, 10))
    assert not any(Holdings(store).of_person(needle).values())


def test_what_is_old_goes(store: Store) -> None:
    put(store, need(1, "腊肉"), achievement(2), contact=PHONE)
    store.withdraw(need(1, "").id)
    accounts = Accounts(store.database)
    accounts.close(accounts.add("关闭的企业", "enterprise").id)
    eraser = Eraser(store)
    assert eraser.old(NOW - datetime.timedelta(days=1), accounts.by_key).as_json()["contacts"] == 0
    erased = eraser.old(NOW + datetime.timedelta(days=1), accounts.by_key).as_json()
    assert (erased["records"], erased["contacts"], erased["accounts"]) == (1, 2, 1)
    assert contacts(store) == []


def test_a_record_that_stood_for_others_leaves_their_group(store: Store) -> None:
    account = Accounts(store.database).add("红光食品", "enterprise")
    body = "现有腊肉熏制后亚硝酸盐残留超标，需要低温快速腌制与液熏工艺，使残留降到每公斤三十毫克以下。"
    twins = [replace(need(number, "腊肉降亚硝"), source=f"来源{number}", abstract=body) for number in (1, 2)]
    stays = replace(need(3, "腊肉降亚硝"), abstract=body, visibility="public")
    store.upsert([(record, None) for record in (*twins, stays)], account.key)
    assert sum(one.merged_into is not None for one in store.by_id([one.id for one in (*twins, stays)]).values()) == 2
    Eraser(store).account(account)
    with store.database.reading.connect() as connection:
        assert connection.execute(select(tables.duplicates)).all() == []
        left = {*connection.scalars(select(tables.record_identities.c.key))}
    kept = store.by_id([stays.id])[stays.id]
    assert (left, kept.merged_into, kept.live) == ({kept.key}, None, True)
