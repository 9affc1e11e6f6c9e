"""What is held about people with leads: in a copy, and gone after an erasure."""

from __future__ import annotations

import datetime
from pathlib import Path

from matcher import tables
from matcher.accounts import Account
from matcher.engine import Matcher
from matcher.lead_book import Lead, Pair
from matcher.lead_states import Step
from matcher.lead_wanted import LeadsWanted
from tests.people.support import NOW, accounts, achievement, need, places_of, put, rows

PHONE, PERSON, OTHERS = "13812345678", "张三丰", "另一位经纪人的笔记"
NOTE = f"已致电{PERSON}，手机 138-1234-5678，约下周看样"


def furnish(matcher: Matcher) -> tuple[Account, Account, list[Lead]]:
    """Two intermediaries with leads; the first has signed one, talks about one, and has not begun with one."""
    first, other = (accounts(matcher).add(name, "intermediary") for name in ("巴州经纪", "平昌经纪"))
    offer = put(matcher, achievement("1", "石墨提纯"))
    pairs = [Pair(put(matcher, need(str(n), f"需求{n}")), offer, 3, 0.5, "共同涉及“石墨”。") for n in range(4)]
    book = matcher.leads.book
    leads = [row.lead for row in book.draw(pairs[:3], first.viewer, 3, "all", peek=False)]
    leads += [row.lead for row in book.draw(pairs[3:], other.viewer, 3, "all", peek=False)]
    kept = [lead for lead in leads if lead]
    book.step(kept[0].id, Step(status="signed", amount=800_000, note=NOTE), first.viewer)
    book.step(kept[1].id, Step(status="negotiating", note="价格还要谈"), first.viewer)
    book.step(kept[3].id, Step(status="contacted", note=OTHERS), other.viewer)
    matcher.leads.lists.save(first.key, "石墨的线索", LeadsWanted(offer=offer))
    matcher.leads.lists.save(first.key, f"厂长 {PERSON}", LeadsWanted(offer=offer))
    return first, other, kept


def notes(matcher: Matcher) -> list[str]:
    return [row.note for row in rows(matcher, tables.lead_steps)]


def test_an_account_gets_its_leads_steps_and_lists_and_no_others(matcher: Matcher) -> None:
    first, _, leads = furnish(matcher)
    held = matcher.people.export_account(first)
    assert [one["id"] for one in held["leads"]] == [lead.id for lead in leads[:3]]
    assert [one["note"] for one in held["lead_steps"]] == [NOTE, "价格还要谈"]
    assert [one["name"] for one in held["lead_lists"]] == ["石墨的线索", f"厂长 {PERSON}"]
    assert OTHERS not in str(held)


def test_a_person_is_found_in_notes_by_number_and_by_name(matcher: Matcher) -> None:
    _, _, leads = furnish(matcher)
    for asked in (PHONE, PERSON):
        held = matcher.people.export_person(asked)
        assert [(one["lead"], one["note"]) for one in held["lead_notes"]] == [(leads[0].id, NOTE)]
    assert [one["name"] for one in held["lead_lists"]] == [f"厂长 {PERSON}"]


def test_a_person_goes_out_of_notes_and_lists_and_the_rest_stays(matcher: Matcher, home: Path) -> None:
    furnish(matcher)
    erased = matcher.people.erase_person(PERSON, whole=True)
    assert erased.as_json()["lead_notes"] == 1
    assert notes(matcher) == ["已致电［已删除］，手机 ［电话已隐藏］，约下周看样", "价格还要谈", OTHERS]
    assert [row.name for row in rows(matcher, tables.lead_lists)] == ["石墨的线索"]
    assert places_of(home, PERSON, "138-1234-5678") == []
    assert matcher.people.export_person(PERSON)["lead_notes"] == []


def test_an_erased_account_leaves_contracts_and_no_words_of_its_own(matcher: Matcher, home: Path) -> None:
    first, _, leads = furnish(matcher)
    assert matcher.people.erase_account(first, whole=True).as_json()["lead_notes"] == 2
    assert notes(matcher) == ["", "", OTHERS]
    left = {row.id: row for row in rows(matcher, tables.leads)}
    # What it never began with is free for others.
    assert left.keys() == {leads[0].id, leads[1].id, leads[3].id}
    assert left[leads[0].id].amount == 800_000
    assert rows(matcher, tables.lead_lists) == []
    assert places_of(home, NOTE, "价格还要谈", "石墨的线索") == []
    assert places_of(home, OTHERS)


def test_a_record_that_is_erased_takes_its_leads_along_but_for_contracts(matcher: Matcher) -> None:
    owner = accounts(matcher).add("红光食品", "enterprise")
    first, _, leads = furnish(matcher)
    for number in ("0", "1"):
        put(matcher, need(number, f"需求{number}改", visibility="private"))
    with matcher.store.database.writing() as connection:
        r = tables.records
        connection.execute(r.update().where(r.c.id.in_([one.need_id for one in leads[:2]])).values(owner=owner.key))
    assert len(matcher.people.erase_account(owner).records) == 2
    assert {row.id for row in rows(matcher, tables.leads)} == {leads[0].id, leads[2].id, leads[3].id}
    assert notes(matcher) == ["", OTHERS]
    assert matcher.leads.book.get(leads[0].id, first.viewer).amount == 800_000


def test_notes_and_forgotten_leads_go_with_their_time(matcher: Matcher) -> None:
    _, _, leads = furnish(matcher)
    matcher.people.expire(30, NOW + datetime.timedelta(days=29))
    assert notes(matcher) == [NOTE, "价格还要谈", OTHERS]
    matcher.people.expire(30, NOW + datetime.timedelta(days=31))
    assert notes(matcher) == ["", "", ""]
    assert {row.id for row in rows(matcher, tables.leads)} == {leads[0].id, leads[1].id, leads[3].id}
