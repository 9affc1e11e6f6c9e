"""What becomes of a record, and of the names of its owner."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matcher.database import ID_BATCH
from matcher.errors import InvalidRecord, NotFound
from matcher.records import (
    KINDS,
    NAME_LIMIT,
    PLACE_LIMIT,
    SOURCE_ID_LIMIT,
    SOURCE_LIMIT,
    Achievement,
    Kind,
    Need,
    Patent,
    institution_id,
    parse_record,
)
from matcher.store import Store
from tests.store.conftest import Databases
from tests.store.examples import achievement, institution, put, stored


def test_a_record_comes_back_as_it_went_in(store: Store) -> None:
    records = [
        Achievement(
            source="平台甲",
            source_id="1",
            title="银耳烘干",
            abstract="正文\n第二段",
            institution="四川大学",
            co_institutions=("西南大学", "农科所"),
            province="四川省",
            city="巴中市",
            county="通江县",
            date="2023-06",
            keywords=("银耳", "烘干"),
            programmes=("agriculture", "food"),
            url="https://example.org",
            visibility="intermediaries",
            maturity="中试",
            cooperation="许可",
        ),
        Patent(
            source="平台甲",
            source_id="CN1A",
            title="一种装置",
            publication_number="CN1A",
            application_number="2021",
            ipc=("F26B9/06", "A23B7/02"),
            legal_status="有效",
            application_date="2021-04-16",
            publication_date="2023-06-27",
            inventors=("甲", "乙"),
        ),
        Need(source="平台甲", source_id="2", title="求烘干", industry="食品", budget="80万", deadline="2027-01-01"),
        institution("四川大学", "川大"),
    ]
    assert put(store, *records) == ["added"] * 4
    found = store.by_id([record.id for record in records])
    assert [found[record.id].record for record in records] == records
    by_key = store.by_key([found[record.id].key for record in records])
    assert {each.id: each for each in by_key.values()} == found


def test_a_record_is_added_then_unchanged_then_updated(store: Store) -> None:
    assert put(store, achievement(1), achievement(2)) == ["added", "added"]
    before = stored(store, achievement(1))
    assert put(store, achievement(1), achievement(2)) == ["unchanged", "unchanged"]
    assert stored(store, achievement(1)) == before
    assert put(store, achievement(1, abstract="补上的正文"), achievement(2)) == ["updated", "unchanged"]
    after = stored(store, achievement(1))
    assert (after.key, after.record.abstract) == (before.key, "补上的正文")
    assert after.revision > before.revision


def test_the_same_file_twice_changes_nothing(store: Store) -> None:
    records = [achievement(number, institution=f"机构{number % 7}") for number in range(2 * ID_BATCH)]
    assert set(put(store, *records)) == {"added"}
    revision, counts = store.revision(), store.counts()
    assert set(put(store, *records)) == {"unchanged"}
    assert (store.revision(), store.counts()) == (revision, counts)


def test_a_record_given_twice_counts_by_its_last_version(store: Store) -> None:
    assert put(store, achievement(1, "旧题"), achievement(1, "新题")) == ["added", "unchanged"]
    assert stored(store, achievement(1)).record.title == "新题"
    assert store.counts() == {"achievement": 1}


def test_a_withdrawn_record_is_out_of_counts_and_lists_but_not_forgotten(store: Store) -> None:
    put(store, achievement(1), achievement(2))
    store.withdraw(achievement(1).id)
    assert [each.record.source_id for each in store.records()] == ["2"]
    assert store.counts() == {"achievement": 1}
    assert stored(store, achievement(1)).withdrawn
    assert [each.id for each in store.changes(2, 10)] == [achievement(1).id]


def test_a_withdrawn_record_that_is_sent_again_is_back(store: Store) -> None:
    put(store, achievement(1))
    key = stored(store, achievement(1)).key
    store.withdraw(achievement(1).id)
    revision = store.revision()
    assert put(store, achievement(1)) == ["updated"]
    back = stored(store, achievement(1))
    assert (back.key, back.withdrawn) == (key, False)
    assert back.revision > revision
    assert put(store, achievement(1)) == ["unchanged"]


def test_withdrawing_what_is_not_there_says_so_and_changes_nothing(store: Store) -> None:
    put(store, achievement(1))
    store.withdraw(achievement(1).id)
    revision = store.revision()
    for id_ in (achievement(1).id, achievement(2).id, ""):
        with pytest.raises(NotFound, match="没有编号为"):
            store.withdraw(id_)
    assert store.revision() == revision
    put(store, achievement(2))
    assert store.revision() == revision + 1


def test_unknown_records_are_left_out(store: Store) -> None:
    put(store, achievement(1))
    assert store.by_id(["ach-nichts", achievement(1).id]).keys() == {achievement(1).id}
    assert store.by_key([4711]) == {}
    assert store.by_id([]) == store.by_key([]) == {}
    assert put(store) == []


@pytest.mark.parametrize("id_", ["\x00", "ach-\x00", "\ud800", "a" * 5000, "ach-' OR 1=1 --"])
def test_an_id_that_cannot_be_is_unknown_like_any_other(store: Store, id_: str) -> None:
    put(store, achievement(1))
    assert store.by_id([id_, achievement(1).id]).keys() == {achievement(1).id}
    with pytest.raises(NotFound):
        store.withdraw(id_)


@given(
    kind=st.sampled_from(KINDS),
    values=st.dictionaries(
        st.sampled_from(
            ["source_id", "title", "abstract", "institution", "city", "county", "keywords", "url", "aliases"]
        ),
        st.text(st.characters(exclude_categories=[])) | st.text("市（株㍿\x00\ud800；", max_size=300),
    ),
    source=st.text(st.characters(exclude_categories=[]), min_size=1, max_size=220),
)
@example(
    kind="institution",
    values={
        "source_id": "1" * SOURCE_ID_LIMIT,
        "title": "长" * NAME_LIMIT,
        "institution": "㍿" * (NAME_LIMIT // 4),  # 株式会社, where names are compared
        "aliases": "文" * NAME_LIMIT,
        "city": "市" * PLACE_LIMIT,
        "county": "县" * PLACE_LIMIT,
    },
    source="源" * SOURCE_LIMIT,
)
@settings(max_examples=60, deadline=None)
def test_what_the_door_lets_in_comes_back_from_the_store_as_it_was(
    databases: Databases, kind: Kind, values: dict[str, str], source: str
) -> None:
    try:
        record, contact = parse_record(kind, {"title": "银耳烘干"} | values | {"contact": source}, source)
    except InvalidRecord:
        return
    store = databases.lasting
    store.upsert([(record, contact)])
    assert stored(store, record).record == record
    assert store.upsert([(record, contact)]) == ["unchanged"]


def test_all_records_of_a_kind_are_listed_in_the_order_they_came(store: Store) -> None:
    records = [achievement(number) for number in range(ID_BATCH + 100)]
    put(store, *records, Need(source="平台甲", source_id="1", title="求烘干"))
    for number in range(50, 90):
        store.withdraw(achievement(number).id)
    listed = [int(each.record.source_id) for each in store.records("achievement")]
    assert listed == [number for number in range(ID_BATCH + 100) if not 50 <= number < 90]
    assert len(list(store.records())) == len(listed) + 1
    assert [each.record.kind for each in store.records("need")] == ["need"]
    assert list(store.records("patent")) == []


def test_the_owner_of_an_offer_becomes_an_institution(store: Store) -> None:
    put(store, achievement(1, institution="四川大学"))
    put(store, achievement(2, institution="四川 大学"))
    owner = store.by_id([institution_id("四川大学")])[institution_id("四川大学")]
    assert owner.record.kind == "institution"
    assert owner.record.title == "四川大学"
    assert {stored(store, achievement(n)).institution_id for n in (1, 2)} == {owner.id}
    assert store.counts() == {"achievement": 2, "institution": 1}


def test_an_institution_known_as_an_owner_only_is_new_to_the_user_when_its_own_row_comes(store: Store) -> None:
    put(store, achievement(1, institution="四川大学"))
    assert put(store, institution("四川大学", "川大")) == ["added"]
    assert put(store, institution("四川大学", "川大")) == ["unchanged"]
    assert store.counts() == {"achievement": 1, "institution": 1}


def test_an_offer_does_not_overwrite_what_is_known_of_its_owner(store: Store) -> None:
    put(store, institution("四川大学", "川大"))
    put(store, achievement(1, institution="四川大学"))
    assert stored(store, institution("四川大学")).record == institution("四川大学", "川大")


def test_an_offer_under_an_alias_belongs_to_the_institution_that_came_before(store: Store) -> None:
    put(store, institution("米仓山农业研究所", "米仓山农科所"))
    put(store, achievement(1, institution="米仓山农科所"), achievement(2, institution="米仓山农业研究所"))
    known = institution_id("米仓山农业研究所")
    assert {stored(store, achievement(n)).institution_id for n in (1, 2)} == {known}
    assert [each.id for each in store.records("institution")] == [known]
    assert stored(store, achievement(1)).record.institution == "米仓山农科所"


def test_an_offer_under_an_alias_belongs_to_the_institution_that_comes_after(store: Store) -> None:
    put(store, achievement(1, institution="米仓山农科所"), achievement(2, institution="米仓山农业研究所"))
    revision = store.revision()
    put(store, institution("米仓山农业研究所", "米仓山农科所"))
    known = institution_id("米仓山农业研究所")
    assert {stored(store, achievement(n)).institution_id for n in (1, 2)} == {known}
    assert [each.id for each in store.records("institution")] == [known]
    put(store, achievement(3, institution="米仓山农科所"))
    assert stored(store, achievement(3)).institution_id == known
    # Those who follow the changes learn of it: the alias is withdrawn, the offer has another owner.
    changed = {each.id: each for each in store.changes(revision, 100)}
    assert changed[institution_id("米仓山农科所")].withdrawn
    assert changed[achievement(1).id].institution_id == known


def test_an_offer_and_its_owner_s_alias_may_come_together(store: Store) -> None:
    put(store, achievement(1, institution="米仓山农科所"), institution("米仓山农业研究所", "米仓山农科所"))
    known = institution_id("米仓山农业研究所")
    assert stored(store, achievement(1)).institution_id == known
    assert [each.id for each in store.records("institution")] == [known]


def test_an_alias_that_comes_later_in_an_update_counts_from_then_on(store: Store) -> None:
    put(store, institution("米仓山农业研究所"), achievement(1, institution="米仓山农科所"))
    put(store, institution("米仓山农业研究所", "米仓山农科所"))
    assert stored(store, achievement(1)).institution_id == institution_id("米仓山农业研究所")


def test_an_alias_that_another_institution_has_already_stays_with_it(store: Store) -> None:
    put(store, institution("四川农业大学", "川农"), institution("四川农业银行", "川农"))
    put(store, achievement(1, institution="川农"))
    assert stored(store, achievement(1)).institution_id == institution_id("四川农业大学")


def test_an_offer_of_a_campus_or_a_department_belongs_to_the_university(store: Store) -> None:
    parts = ("蜀北农林大学南充校区", "蜀北农林大学园艺学院", "蜀北农林大学")
    put(store, *(achievement(n, institution=name) for n, name in enumerate(parts)))
    known = institution_id("蜀北农林大学")
    assert {stored(store, achievement(n)).institution_id for n in range(3)} == {known}
    assert [stored(store, achievement(n)).record.institution for n in range(3)] == [*parts]
    assert [(each.id, each.record.title) for each in store.records("institution")] == [(known, "蜀北农林大学")]


def test_an_offer_of_a_university_s_hospital_belongs_to_the_hospital(store: Store) -> None:
    put(store, achievement(1, institution="蜀北大学"), achievement(2, institution="蜀北大学附属医院"))
    assert stored(store, achievement(2)).institution_id == institution_id("蜀北大学附属医院")


def test_a_department_that_was_registered_stands_for_itself(store: Store) -> None:
    put(store, institution("蜀北农林大学园艺学院"), achievement(1, institution="蜀北农林大学园艺学院"))
    assert stored(store, achievement(1)).institution_id == institution_id("蜀北农林大学园艺学院")


def test_a_company_is_known_under_every_form_of_its_name(store: Store) -> None:
    put(store, achievement(1, institution="云耳菌业有限责任公司"), achievement(2, institution="云耳菌业有限公司"))
    put(
        store,
        achievement(3, institution="云耳菌业股份有限公司"),
        achievement(4, institution="云耳菌业（成都）有限公司"),
    )
    owners = [stored(store, achievement(n)).institution_id for n in range(1, 5)]
    assert owners == [*[institution_id("云耳菌业有限责任公司")] * 3, institution_id("云耳菌业（成都）有限公司")]


def test_a_company_registered_under_another_form_of_its_name_takes_over_what_is_its_own(store: Store) -> None:
    put(store, achievement(1, institution="云耳菌业有限责任公司"))
    put(store, institution("云耳菌业有限公司"), achievement(2, institution="云耳菌业有限责任公司"))
    known = institution_id("云耳菌业有限公司")
    assert {stored(store, achievement(n)).institution_id for n in (1, 2)} == {known}
    assert [each.id for each in store.records("institution")] == [known]


def test_two_registered_companies_stay_two(store: Store) -> None:
    put(store, institution("云耳菌业有限责任公司"), institution("云耳菌业有限公司"))
    put(store, achievement(1, institution="云耳菌业有限责任公司"), achievement(2, institution="云耳菌业有限公司"))
    assert stored(store, achievement(1)).institution_id == institution_id("云耳菌业有限责任公司")
    assert stored(store, achievement(2)).institution_id == institution_id("云耳菌业有限公司")


def test_an_offer_under_a_former_name_belongs_to_the_same_institution(store: Store) -> None:
    put(store, achievement(1, institution="蜀北农学院"))
    put(store, achievement(2, institution="蜀北农林大学（原蜀北农学院）"))
    assert stored(store, achievement(2)).institution_id == stored(store, achievement(1)).institution_id
    put(store, institution("蜀北农林大学", "蜀北农学院"))
    known = institution_id("蜀北农林大学")
    assert {stored(store, achievement(n)).institution_id for n in (1, 2)} == {known}


def test_a_record_keeps_its_region(store: Store) -> None:
    put(store, achievement(1, province="四川省", region_code="510000"))
    assert stored(store, achievement(1)).record.region_code == "510000"
