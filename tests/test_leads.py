"""Lists of leads: what is in scope, what is shown of it to whom, and in which order."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from matcher.engine import Matcher
from matcher.errors import Forbidden, InvalidLead, NotFound
from matcher.lead_lines import list_lines
from matcher.lead_views import EXPORT_COLUMNS, LIST_COLUMNS, export_cells, list_cells, list_json
from matcher.lead_wanted import LeadsWanted, check_wanted, place_of
from matcher.leads import AT_THE_MACHINE, BLOCK, LeadList
from matcher.queries import record_query
from matcher.records import Achievement, Need, Patent, Record
from matcher.sheets import write_csv
from matcher.visibility import Viewer
from tests.api.fresh import fresh_matcher

A, B, ADMIN = Viewer("intermediary", 101), Viewer("intermediary", 102), Viewer("admin", 109)
OWNER = 55
UNIVERSITY, INSTITUTE = "蜀北农林大学", "米仓山农机研究院"
# Stands in no text by chance.
BRAND = "垚淼"
HIDDEN = f"{BRAND}食品有限公司"
PHONE = "13900001111"


def need(number: str, title: str, abstract: str = "", **values: Any) -> Need:
    return Need(source="企业填报", source_id=number, title=title, abstract=abstract, **values)


def offer(number: str, title: str, abstract: str = "", **values: Any) -> Achievement:
    return Achievement(source="成果库", source_id=number, title=title, abstract=abstract, **values)


DRYING = offer(
    "1", "银耳热泵烘干工艺", "热泵烘干银耳，节能四成。", institution=UNIVERSITY, region_code="510700", province="四川省"
)
WALNUT = offer("2", "核桃脱皮清洗一体机", "钢丝刷脱除核桃青皮。", institution=INSTITUTE, region_code="511922")
SPIRIT = Patent(source="专利库", source_id="3", title="白酒蒸馏冷凝装置", abstract="白酒蒸馏。", institution=UNIVERSITY)
OWN_OFFER = offer("4", "木耳烘干房", "木耳热泵烘干。", institution="通江菌业有限公司")
FUNGI = need(
    "1",
    "银耳烘干节能",
    "银耳烘干能耗太高，求热泵烘干工艺。",
    institution="通江菌业有限公司",
    region_code="511921",
    province="四川省",
    city="巴中市",
    county="通江县",
    budget="50万元",
    deadline="2049-12-31",
)
FUNGI_TOO = need("2", "核桃脱皮", "核桃青皮难脱除。", institution="通江菌业有限公司", region_code="511921")
SHY = need(
    "3",
    f"{HIDDEN}的银耳烘干",
    f"{HIDDEN}：银耳热泵烘干节能工艺，电话{PHONE}。",
    institution=HIDDEN,
    visibility="intermediaries",
    region_code="511900",
)
SHY_TOO = need("4", "白酒蒸馏冷凝", f"{BRAND}公司的白酒蒸馏。", institution=HIDDEN, visibility="intermediaries")
SECRET = need("5", "银耳烘干的秘密配方vk9q", "银耳热泵烘干。", institution="绝密公司", visibility="private")
OVER = need("6", "过期的银耳烘干", "银耳热泵烘干。", deadline="2001-01-01")
RECORDS: tuple[Record, ...] = (DRYING, WALNUT, SPIRIT, OWN_OFFER, FUNGI, FUNGI_TOO, SHY, SHY_TOO, OVER)


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    opened = fresh_matcher(tmp_path / "home", threads=1)
    opened.store.upsert([(record, f"厂办 {PHONE}") for record in RECORDS])
    opened.store.upsert([(SECRET, None)], OWNER)
    opened.catch_up()
    yield opened
    opened.close()
    opened.embedder.close()


def draw(matcher: Matcher, viewer: Viewer, peek: bool = True, **wanted: Any) -> LeadList:
    return matcher.leads.draw(viewer, LeadsWanted(**{"min_level": 2, **wanted}), peek)


def found(drawn: LeadList) -> set[tuple[str, str]]:
    return {(row.need.id, row.offer.id) for row in drawn.rows}


# ------------------------------------------------------------ scope


@pytest.mark.parametrize(
    ("wanted", "offers", "needs"),
    [
        ({"offer": DRYING.id}, {DRYING}, None),
        ({"institution": UNIVERSITY}, {DRYING, SPIRIT}, None),
        ({"institution": "蜀北农林大学 "}, {DRYING, SPIRIT}, None),
        ({"programme": "food"}, {SPIRIT}, None),
        ({"county": "四川省绵阳市"}, {DRYING}, None),
        ({"county": "51"}, {DRYING, WALNUT}, None),
        ({"county": "南江县"}, {WALNUT}, None),
        ({"institution": UNIVERSITY, "programme": "food"}, {SPIRIT}, None),
        ({"need": FUNGI.id}, None, {FUNGI}),
        ({"enterprise": "通江菌业有限公司"}, None, {FUNGI, FUNGI_TOO}),
        ({"region": "巴中市"}, None, {FUNGI, FUNGI_TOO, SHY}),
        ({"region": "511921"}, None, {FUNGI, FUNGI_TOO}),
        ({"offer": WALNUT.id, "enterprise": "通江菌业有限公司"}, {WALNUT}, {FUNGI, FUNGI_TOO}),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_each_part_of_the_scope_narrows_its_side(
    matcher: Matcher, wanted: dict[str, str], offers: set[Record] | None, needs: set[Record] | None
) -> None:
    offers, needs = offers or {DRYING, WALNUT, SPIRIT, OWN_OFFER}, needs or {FUNGI, FUNGI_TOO, SHY, SHY_TOO}
    drawn = draw(matcher, A, min_level=1, **wanted)
    assert (drawn.offers, drawn.needs) == (len(offers), len(needs))
    assert found(drawn)
    assert found(drawn) <= {(asked.id, one.id) for asked in needs for one in offers}


def test_both_sides_ask_to_the_same_end(matcher: Matcher) -> None:
    # One offer against four needs, and one need against four offers.
    by_offer = {(row.need.id, row.offer.id): row.listed.pair for row in draw(matcher, A, offer=DRYING.id).rows}
    by_need = {(row.need.id, row.offer.id): row.listed.pair for row in draw(matcher, A, need=FUNGI.id).rows}
    pair = by_offer[FUNGI.id, DRYING.id]
    other = by_need[FUNGI.id, DRYING.id]
    assert (pair.level, pair.score) == (other.level, pytest.approx(other.score, abs=1e-3))
    assert "银耳" in pair.why
    assert "热泵烘干银耳" in other.why


def test_a_long_list_is_asked_in_blocks_and_whole(matcher: Matcher) -> None:
    count = BLOCK + 3
    things = [f"{first}{second}" for first in "甲乙丙丁戊己庚辛壬癸" for second in "子丑寅卯辰巳午未申酉"][:count]
    offers = [offer(thing, f"{thing}的制备方法", region_code="130100") for thing in things]
    needs = [need(thing, f"{thing}怎么制备", region_code="130100") for thing in things]
    matcher.store.upsert([(record, None) for record in (*offers, *needs)])
    matcher.catch_up()
    wanted, told = LeadsWanted(county="13", region="13", min_level=1, limit=500), list[tuple[int, int]]()
    drawn = matcher.leads.draw(A, wanted, True, lambda *done: told.append(done), most_questions=count)
    assert told == [(BLOCK, count), (count, count)]
    assert {row.need.id for row in drawn.rows} == {record.id for record in needs}
    with pytest.raises(InvalidLead, match=f"两边都超过 {count - 1}"):
        matcher.leads.draw(A, wanted, True, most_questions=count - 1)


def test_an_enterprise_is_not_told_of_its_own_offers(matcher: Matcher) -> None:
    assert (FUNGI.id, OWN_OFFER.id) not in found(draw(matcher, A, need=FUNGI.id, min_level=1))
    assert (SHY.id, OWN_OFFER.id) in found(draw(matcher, A, need=SHY.id, min_level=1))


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "范围"),
        ({"offer": ""}, "offer"),
        ({"offer": "ach\0"}, "offer"),
        ({"programme": "root"}, "programme"),
        ({"county": "乌有之乡"}, "county"),
        ({"region": "123"}, "region"),
        ({"county": "四川省", "min_level": 5}, "min_level"),
        ({"county": "四川省", "limit": 0}, "limit"),
        ({"county": "四川省", "limit": 501}, "limit"),
        ({"county": "四川省", "show": "mine"}, "show"),
    ],
    ids=str,
)
def test_what_cannot_be_drawn_is_named(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidLead) as refused:
        check_wanted(LeadsWanted(**wanted))
    assert refused.value.field == field


def test_places_are_read_as_people_write_them() -> None:
    assert place_of("county", "四川省") == ("51", "")
    assert place_of("county", "510000") == ("51", "")
    assert place_of("county", "四川省巴中市") == ("5119", "")
    assert place_of("county", "通江县") == ("511921", "")
    # Several cities have a district of this name.
    assert place_of("county", "鼓楼区") == ("", "鼓楼区")


def test_ids_of_the_wrong_side_and_of_nothing_are_refused(matcher: Matcher) -> None:
    with pytest.raises(InvalidLead, match="不是成果或专利的编号"):
        draw(matcher, A, offer=FUNGI.id)
    with pytest.raises(InvalidLead, match="不是技术需求的编号"):
        draw(matcher, A, need=DRYING.id)
    for hidden in ("need-aaaaaaaaaaaaa", SECRET.id):
        with pytest.raises(NotFound, match="没有编号为"):
            draw(matcher, A, need=hidden)


# ------------------------------------------------------------ who sees what


def everything(matcher: Matcher, viewer: Viewer, **wanted: Any) -> str:
    """All that leaves for a list: JSON, CSV and lines; and for the leads of it."""
    drawn = draw(matcher, viewer, peek=False, min_level=1, limit=500, **wanted)
    text = io.StringIO()
    write_csv(text, LIST_COLUMNS, list_cells(drawn, {}, "http://match.example"))
    leads = matcher.leads.book.page(viewer, None, 500)
    records = matcher.leads.records(leads, viewer)
    write_csv(text, EXPORT_COLUMNS, export_cells(leads, records, {}, "http://match.example"))
    assert len(list(csv.reader(io.StringIO(text.getvalue())))) == 2 + len(drawn.rows) + len(leads)
    return json.dumps(list_json(drawn, {}), ensure_ascii=False) + text.getvalue() + "\n".join(list_lines(drawn, {}))


@pytest.mark.parametrize("viewer", [A, AT_THE_MACHINE], ids=["intermediary", "operator"])
@pytest.mark.parametrize("wanted", [{"county": "51"}, {"institution": UNIVERSITY}, {"region": "51"}], ids=str)
def test_no_list_tells_the_name_of_who_hides_nor_a_number_nor_a_private_need(
    matcher: Matcher, viewer: Viewer, wanted: dict[str, str]
) -> None:
    text = everything(matcher, viewer, **wanted)
    assert SHY.id in text
    for hidden in (BRAND, PHONE, SECRET.id, "vk9q", "绝密公司"):
        assert hidden not in text


def test_an_administrator_reads_names_and_an_owner_his_own_private_need(matcher: Matcher) -> None:
    text = everything(matcher, ADMIN, county="51")
    assert HIDDEN in text
    assert "vk9q" not in text
    owner = everything(matcher, Viewer("intermediary", OWNER), county="51")
    assert "绝密公司" in owner


def test_who_hides_cannot_be_asked_for_by_name_or_number(matcher: Matcher) -> None:
    id_ = matcher.store.by_id([SHY.id])[SHY.id].institution_id
    assert id_
    for asked in (HIDDEN, id_, "没有这家企业"):
        drawn = draw(matcher, A, enterprise=asked, min_level=1)
        assert (drawn.needs, list(drawn.rows)) == (0, [])
    assert draw(matcher, ADMIN, enterprise=HIDDEN, min_level=1).needs == 2


def test_what_was_hidden_since_is_no_longer_shown_with_its_lead(matcher: Matcher) -> None:
    draw(matcher, A, peek=False, need=FUNGI.id)
    [lead, *_] = matcher.leads.book.page(A, None, 10)
    assert set(matcher.leads.records([lead], A)) == {lead.need_id, lead.offer_id}
    matcher.store.withdraw(lead.need_id)
    assert set(matcher.leads.records([lead], A)) == {lead.offer_id}
    assert draw(matcher, A, region="51", min_level=1).needs == 2


def test_only_vectors_that_an_erasure_would_find_are_kept(matcher: Matcher) -> None:
    def kept(record: Record, viewer: Viewer) -> bool:
        return record_query(matcher.record(record.id, viewer), viewer).keep

    assert [kept(one, A) for one in (DRYING, FUNGI, SHY_TOO)] == [True] * 3
    # With the name that hides, and with a mark where a number stood.
    assert [kept(SHY_TOO, ADMIN), kept(SHY, A), kept(SECRET, Viewer("intermediary", OWNER))] == [False, False, True]


# ------------------------------------------------------------ order


def test_rows_of_one_enterprise_stand_together_behind_its_best(matcher: Matcher) -> None:
    drawn = draw(matcher, A, region="51", min_level=1, limit=500)
    groups = [row.group for row in drawn.rows]
    assert groups == sorted(groups, key=groups.index)
    best: dict[str, tuple[int, float]] = {}
    for row in drawn.rows:
        place = (row.listed.pair.level, row.listed.pair.score)
        assert place <= best.setdefault(row.group, place)
    assert list(best.values()) == sorted(best.values(), reverse=True)
    names = {row.group: row.need.record.institution for row in drawn.rows}
    assert {row.need.id for row in drawn.rows if names[row.group] == "通江菌业有限公司"} == {FUNGI.id, FUNGI_TOO.id}


def test_needs_of_who_hides_do_not_tell_that_they_belong_together(matcher: Matcher) -> None:
    def groups(viewer: Viewer) -> set[str]:
        rows = draw(matcher, viewer, institution=UNIVERSITY, min_level=1, limit=500).rows
        assert {SHY.id, SHY_TOO.id} <= {row.need.id for row in rows}
        return {row.group for row in rows if row.need.id in (SHY.id, SHY_TOO.id)}

    assert groups(A) == {SHY.id, SHY_TOO.id}
    assert len(groups(ADMIN)) == 1


def test_what_is_anothers_comes_last(matcher: Matcher) -> None:
    first = draw(matcher, A, peek=False, offer=DRYING.id, min_level=1, limit=1)
    assert [row.listed.new for row in first.rows] == [True]
    theirs = draw(matcher, B, peek=False, offer=DRYING.id, min_level=1, limit=500)
    taken = [row.listed.taken for row in theirs.rows]
    assert taken == sorted(taken)
    assert found(first) == {(row.need.id, row.offer.id) for row in theirs.rows if row.listed.taken}
    told = list_json(theirs, {})
    [row] = [row for row in told["leads"] if row["taken"]]
    assert (row["id"], row["status"], row["assignee"], row["status_name"]) == (None, None, None, "他人跟进中")
    assert found(draw(matcher, B, offer=DRYING.id, min_level=1, show="open")) == found(theirs) - found(first)


# ------------------------------------------------------------ saved lists


def test_a_saved_list_tells_what_is_new_since_it_was_drawn(matcher: Matcher) -> None:
    wanted = LeadsWanted(institution=UNIVERSITY, min_level=2)
    saved = matcher.leads.lists.save(A.account, "蜀北", wanted)
    assert (saved.wanted, saved.drawn_at) == (wanted, None)
    first = matcher.leads.draw_saved(A, saved.id)
    assert first.rows
    assert all(row.listed.new for row in first.rows)
    assert matcher.leads.lists.get(A.account, "蜀北").drawn_at
    matcher.store.upsert([(need("9", "银耳烘干", "银耳热泵烘干工艺。", institution="新来的企业"), None)])
    matcher.catch_up()
    again = matcher.leads.draw_saved(A, "蜀北")
    assert [row.need.record.institution for row in again.rows if row.listed.new] == ["新来的企业"]
    assert found(first) < found(again)


def test_saved_lists_are_their_accounts_alone(matcher: Matcher) -> None:
    lists = matcher.leads.lists
    wanted = LeadsWanted(programme="food")
    saved = lists.save(A.account, "白酒", wanted)
    assert lists.save(B.account, "白酒", wanted).id != saved.id
    with pytest.raises(InvalidLead, match="已有名为"):
        lists.save(A.account, "白酒", wanted)
    for account, asked in ((B.account, saved.id), (A.account, "没有")):
        with pytest.raises(NotFound):
            lists.get(account, asked)
        with pytest.raises(NotFound):
            lists.remove(account, asked)
    lists.remove(A.account, saved.id)
    assert lists.all(A.account) == []
    for name in ("", "长" * 101):
        with pytest.raises(InvalidLead):
            lists.save(A.account, name, wanted)


def test_only_those_who_work_with_leads_have_any(matcher: Matcher) -> None:
    matcher.accounts.add("某厂", "enterprise")
    with pytest.raises(Forbidden, match="不是中介或管理员"):
        matcher.leads.viewer("某厂")
    assert matcher.leads.viewer(matcher.accounts.add("经纪人", "intermediary").id).role == "intermediary"
