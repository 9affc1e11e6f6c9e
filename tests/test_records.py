import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.errors import FieldError, InvalidRecord, MatcherError
from matcher.records import (
    ABSTRACT_LIMIT,
    KIND_NAMES,
    KINDS,
    NAME_LIMIT,
    OFFER_KINDS,
    PLACE_LIMIT,
    PROGRAMME_CODES,
    RECORD_TYPES,
    SOURCE_ID_LIMIT,
    SOURCE_LIMIT,
    TITLE_LIMIT,
    Achievement,
    Institution,
    Kind,
    Need,
    Patent,
    Record,
    embedded_text,
    institution_id,
    parse_record,
)

TITLE = "银耳低温烘干技术"


def parsed(kind: Kind = "achievement", source: str = "平台甲", **values: str) -> Record:
    return parse_record(kind, {"title": TITLE, **values}, source)[0]


def refusal(kind: Kind = "achievement", **values: str) -> InvalidRecord:
    with pytest.raises(InvalidRecord) as caught:
        parsed(kind, **values)
    return caught.value


def test_an_achievement_has_all_that_its_row_says() -> None:
    record, contact = parse_record(
        "achievement",
        {
            "source_id": "CG-1",
            "title": " 银耳<b>低温</b>烘干\n技术 ",
            "abstract": "每批 20 h，&lt;50℃。",
            "institution": "四川农业大学；米仓山农科所",
            "region": "四川省巴中市通江县",
            "date": "2023年6月",
            "keywords": "银耳；烘干；银耳",
            "programmes": "agriculture;food",
            "maturity": "中试",
            "cooperation": "技术转让",
            "status": "洽谈中",
            "url": "https://example.org/1",
            "contact": "张三 0827-0000000",
        },
        "平台甲",
    )
    assert record == Achievement(
        source="平台甲",
        source_id="CG-1",
        title="银耳低温烘干 技术",
        abstract="每批 20 h，<50℃。",
        institution="四川农业大学",
        co_institutions=("米仓山农科所",),
        province="四川省",
        city="巴中市",
        county="通江县",
        region_code="511921",
        date="2023-06",
        keywords=("银耳", "烘干"),
        programmes=("agriculture", "food"),
        url="https://example.org/1",
        maturity="中试",
        cooperation="技术转让",
        status="洽谈中",
    )
    assert contact == "张三 0827-0000000"
    assert record.details() == {"maturity": "中试", "cooperation": "技术转让", "status": "洽谈中"}


def test_a_contact_is_no_part_of_a_record() -> None:
    record, contact = parse_record("need", {"title": TITLE, "contact": "13800000000"}, "平台甲")
    assert contact == "13800000000"
    assert "13800000000" not in repr(record)


def test_a_need_has_an_asker_a_budget_and_a_deadline() -> None:
    need = parsed(
        "need",
        institution="四川云耳公司",
        industry="农产品初加工",
        budget="80万元",
        cooperation="开发",
        deadline="2027.6.30",
    )
    assert need == Need(
        source="平台甲",
        source_id=need.source_id,
        title=TITLE,
        institution="四川云耳公司",
        industry="农产品初加工",
        budget="80万元",
        budget_min=800_000,
        budget_max=800_000,
        cooperation="开发",
        deadline="2027-06-30",
    )


def test_an_institution_is_known_by_its_name_wherever_it_comes_from() -> None:
    here = parsed("institution", title="蜀北农林大学（南充）", aliases="蜀北农大；农林大学", type="university")
    there = parsed("institution", source="平台乙", source_id="9", title="蜀北农林大学(南充)")
    assert isinstance(here, Institution)
    assert here.aliases == ("蜀北农大", "农林大学")
    assert here.id == there.id == institution_id("蜀北农林大学 (南充)")
    assert here.id.startswith("org-")


@pytest.mark.parametrize(
    ("values", "number"),
    [
        ({"publication_number": "CN 112345678 A"}, "CN112345678A"),
        ({"publication_number": "cn112345678b"}, "CN112345678B"),
        ({"publication_number": "CN112345678", "kind_code": "b"}, "CN112345678B"),
        ({"publication_number": "CN112345678A", "kind_code": "A"}, "CN112345678A"),
    ],
)
def test_a_patent_is_known_by_its_publication_number(values: dict[str, str], number: str) -> None:
    patent = parsed("patent", **values)
    assert isinstance(patent, Patent)
    assert (patent.publication_number, patent.source_id) == (number, number)
    assert patent.id == parsed("patent", publication_number=number, abstract="别的正文").id


def test_a_patent_without_publication_number_is_known_by_its_application() -> None:
    assert parsed("patent", application_number="202410000001.2").source_id == "202410000001.2"
    assert parsed("patent", source_id="甲-1", publication_number="CN1A").source_id == "甲-1"
    assert parsed("patent", kind_code="B").source_id == parsed("patent").source_id


def test_a_patent_is_as_old_as_its_publication_or_else_its_application() -> None:
    both = {"publication_date": "2023-06-27", "application_date": "2021.04.16"}
    assert parsed("patent", **both).date == "2023-06-27"
    assert parsed("patent", application_date="2021.04.16").date == "2021-04-16"
    assert parsed("patent", date="2022", **both).date == "2022"
    assert parsed("patent").date is None


def test_a_row_without_a_number_is_known_by_its_title_and_owner() -> None:
    first = parsed(institution="四川大学")
    assert first.id == parsed(institution="四川大学", abstract="补上的正文", date="2024").id
    assert first.id == parse_record("achievement", {"title": f" {TITLE} ", "institution": "四川 大学"}, "平台甲")[0].id
    assert first.id != parsed(institution="西南大学").id
    assert first.id != parsed(institution="四川大学", source="平台乙").id


@given(st.permutations(["source_id", "title", "abstract", "institution", "date", "keywords"]))
@settings(max_examples=30, deadline=None)
def test_a_record_does_not_depend_on_the_order_of_its_columns(order: list[str]) -> None:
    values = dict.fromkeys(order, "2024")
    record, _ = parse_record("achievement", values, "平台甲")
    known, _ = parse_record("achievement", dict(sorted(values.items())), "平台甲")
    assert (record.id, record.content_hash) == (known.id, known.content_hash)


def test_ids_are_the_same_in_every_installation() -> None:
    # Links that users keep contain these: a change here breaks them.
    assert parsed(source_id="A-1").id == "ach-as3qqk4g3gof6"
    assert parsed("institution", title="四川大学").id == "org-xs5wjl5m2rqwe"


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_tells_the_kind(kind: Kind) -> None:
    prefixes = {"achievement": "ach-", "patent": "pat-", "need": "need-", "institution": "org-"}
    record = parsed(kind)
    assert record.kind == kind
    assert record.id.startswith(prefixes[kind])
    assert type(record) is RECORD_TYPES[kind]


def test_anything_that_changes_in_a_record_changes_its_content_hash() -> None:
    record = parsed(source_id="1")
    hashes = {record.content_hash}
    for field in dataclasses.fields(record):
        hashes.add(dataclasses.replace(record, **{field.name: "x"}).content_hash)
    assert len(hashes) == len(dataclasses.fields(record)) + 1


@pytest.mark.parametrize(
    "body",
    [
        "未提供",
        "暂无",
        "无",
        "略",
        "略。",
        "见附件",
        "详见附件",
        "N/A",
        "null",
        "None",
        "-",
        "——",
        "123456",
        "  ",
        TITLE,
    ],
)
def test_a_body_that_says_nothing_counts_as_none(body: str) -> None:
    assert parsed(abstract=body).abstract == ""


@pytest.mark.parametrize("body", ["无水乙醇", "略高于常温", "年产1000吨", "None of these"])
def test_a_short_body_that_says_something_stays(body: str) -> None:
    assert parsed(abstract=body).abstract == body


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("", "public"),
        ("公开", "public"),
        ("完全公开", "public"),
        ("是", "public"),
        ("public", "public"),
        ("仅中介", "intermediaries"),
        ("仅中介可见", "intermediaries"),
        ("定向公开", "intermediaries"),
        ("intermediaries", "intermediaries"),
        ("不公开", "private"),
        ("保密", "private"),
        ("仅自己可见", "private"),
        ("否", "private"),
        (" private ", "private"),
    ],
)
def test_who_may_see_a_record_is_said_in_the_words_that_platforms_use(word: str, meant: str) -> None:
    assert parsed("need", visibility=word).visibility == meant


def test_a_deadline_that_is_no_date_is_no_mistake() -> None:
    assert parsed("need", deadline="长期有效").__dict__["deadline"] is None
    assert parsed("need", deadline="").__dict__["deadline"] is None


@pytest.mark.parametrize("word", ["无", "暂无", "-", "/", "null"])
def test_a_date_that_was_left_out_is_no_mistake(word: str) -> None:
    assert parsed(date=word).date is None


@pytest.mark.parametrize(
    ("kind", "values", "field", "part"),
    [
        ("achievement", {"title": ""}, "标题", "为空"),
        ("need", {"title": " \u200b<br>"}, "标题", "为空"),
        ("institution", {"title": ""}, "名称", "为空"),
        ("achievement", {"title": "长" * (TITLE_LIMIT + 1)}, "标题", "501 字"),
        ("need", {"abstract": "长" * (ABSTRACT_LIMIT + 1)}, "正文", "20001 字"),
        ("achievement", {"date": "2024-13-01"}, "日期", "“2024-13-01”"),
        ("patent", {"application_date": "昨天"}, "申请日", "“昨天”"),
        ("patent", {"publication_date": "2024年2月30日"}, "公开日", "2024年2月30日"),
        ("need", {"deadline": "2026-99"}, "截止日期", "2026-99"),
        ("achievement", {"province": "加利福尼亚"}, "省份", "加利福尼亚"),
        ("need", {"visibility": "也许"}, "公开范围", "也许"),
        ("need", {"source_id": "1" * (SOURCE_ID_LIMIT + 1)}, "编号", "201 字"),
        ("patent", {"publication_number": "CN" * SOURCE_ID_LIMIT + "A"}, "编号", "401 字"),
        ("achievement", {"city": "长" * (PLACE_LIMIT + 1)}, "城市", "65 字"),
        ("achievement", {"county": "长" * (PLACE_LIMIT + 1)}, "区县", "65 字"),
        ("institution", {"title": "长" * (NAME_LIMIT + 1)}, "名称", "201 字"),
        ("institution", {"aliases": f"蜀北农大；{'长' * (NAME_LIMIT + 1)}"}, "别名", "201 字"),
        ("need", {"institution": "长" * (NAME_LIMIT + 1)}, "单位", "201 字"),
        # Written out, as names are compared, it is three times as long.
        ("need", {"institution": "㍿" * (NAME_LIMIT // 2)}, "单位", "400 字"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_by_field_and_reason(
    kind: Kind, values: dict[str, str], field: str, part: str
) -> None:
    error = refusal(kind, **values)
    assert error.field == field
    assert part in error.reason
    assert str(error) == f"{field}：{error.reason}"
    assert isinstance(error, FieldError) and isinstance(error, MatcherError)


def test_a_source_that_is_too_long_is_refused_with_the_option_that_names_another() -> None:
    with pytest.raises(InvalidRecord, match=r"来源：长 201 字.*--source"):
        parsed(source="长" * (SOURCE_LIMIT + 1))


def test_values_as_long_as_the_limits_are_taken() -> None:
    record = parsed(
        source="源" * SOURCE_LIMIT,
        source_id="1" * SOURCE_ID_LIMIT,
        city="长" * PLACE_LIMIT,
        county="长" * PLACE_LIMIT,
        institution="长" * NAME_LIMIT,
    )
    assert (record.source, record.county) == ("源" * SOURCE_LIMIT, "长" * PLACE_LIMIT)
    assert (record.source_id, record.institution) == ("1" * SOURCE_ID_LIMIT, "长" * NAME_LIMIT)


def test_what_no_database_takes_as_text_is_in_no_field() -> None:
    values = {field: f"a\x00b\ud800c{field}" for field in ("source_id", "title", "abstract", "url", "keywords", "city")}
    record, contact = parse_record("achievement", values | {"contact": "\x00张三\udfff"}, "平台\x00甲")
    assert record == Achievement(
        source="平台甲",
        source_id="abcsource_id",
        title="abctitle",
        abstract="abcabstract",
        url="abcurl",
        keywords=("abckeywords",),
        city="abccity",
    )
    assert contact == "张三"


def test_files_whose_names_are_in_another_encoding_are_sources_of_their_own() -> None:
    names = [name.encode("gb18030").decode("utf-8", "surrogateescape") for name in ("成果", "专利")]
    first, second = (parsed(source=name, source_id="1") for name in names)
    assert first.id != second.id
    assert first.source.isprintable()


@pytest.mark.parametrize("field", ["date", "province", "visibility"])
def test_a_refusal_quotes_no_more_than_is_needed_to_recognise_a_value(field: str) -> None:
    assert len(str(refusal(**{field: "谁" * 5000}))) < 200


def test_a_title_and_a_body_may_be_as_long_as_the_limits() -> None:
    record = parsed(title="长" * TITLE_LIMIT, abstract="文" * ABSTRACT_LIMIT)
    assert (len(record.title), len(record.abstract)) == (TITLE_LIMIT, ABSTRACT_LIMIT)


@pytest.mark.parametrize(
    ("written", "codes"),
    [
        ("agriculture;food", ("agriculture", "food")),
        ("现代农业、食品饮料", ("agriculture", "food")),
        ("生物医药（现代中药）；machinery", ("biomedicine", "machinery")),
        ("现代农业；agriculture", ("agriculture",)),
        # Other schemes' names, which platforms keep in the same column.
        ("国家重点研发计划；节能环保", ("environment",)),
        ("天府英才", ()),
        ("", ()),
    ],
)
def test_the_seven_programmes_are_known_by_code_and_name(written: str, codes: tuple[str, ...]) -> None:
    assert parsed(programmes=written).programmes == codes


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        ({"province": "四川", "city": "巴中市", "region": "南江县"}, ("四川省", "巴中市", "南江县", "511922")),
        ({"county": "南江县"}, ("四川省", "巴中市", "南江县", "511922")),
        ({"region": "巴中"}, ("四川省", "巴中市", None, "511900")),
        ({"region": "鼓楼区"}, (None, None, "鼓楼区", None)),
        ({"city": "不详", "county": "郫县"}, ("四川省", "成都市", "郫都区", "510117")),
        # A column says more than an address.
        ({"province": "四川", "city": "巴中市", "region": "四川省达州市通川区"}, ("四川省", "巴中市", None, "511900")),
    ],
)
def test_a_place_is_put_together_from_its_columns(columns: dict[str, str], place: tuple[str | None, ...]) -> None:
    record = parsed(**columns)
    assert (record.province, record.city, record.county, record.region_code) == place


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2020年1月至2022年12月", "2022-12"),
        ("2020年1月至今", "2020-01"),
        ("2024年第一季度", "2024-03"),
        ("二〇二四年三月", "2024-03"),
        ("45356", "2024-03-05"),
    ],
)
def test_of_a_period_the_end_is_the_date(written: str, date: str) -> None:
    assert parsed(date=written).date == date


@pytest.mark.parametrize(
    ("written", "deadline"),
    [
        ("2026年12月31日前", "2026-12-31"),
        ("2024年3月5日至2026年6月", "2026-06"),
        ("截至2026年底", "2026-12"),
        ("2024年3月起长期有效", None),
        ("长期有效", None),
    ],
)
def test_a_need_ends_when_its_period_does(written: str, deadline: str | None) -> None:
    need = parsed("need", deadline=written, expires=written)
    assert isinstance(need, Need)
    assert need.deadline == need.expires == deadline


@pytest.mark.parametrize(
    ("written", "money"),
    [
        ("50-100万元", (500_000, 1_000_000, False)),
        ("100万以上", (1_000_000, None, False)),
        ("面议", (None, None, True)),
        ("50", (None, None, False)),
        ("", (None, None, False)),
    ],
)
def test_a_budget_is_kept_as_written_and_in_yuan(written: str, money: tuple[int | None, int | None, bool]) -> None:
    need = parsed("need", budget=written)
    assert isinstance(need, Need)
    assert (need.budget or "") == written
    assert (need.budget_min, need.budget_max, need.negotiable) == money


def test_ipc_symbols_have_one_form_and_other_classes_are_left_out() -> None:
    patent = parsed("patent", ipc="A01G 18/00(2018.01)I; a23l31/00；LOC(13)09-03")
    assert isinstance(patent, Patent)
    assert patent.ipc == ("A01G18/00", "A23L31/00")


def test_the_former_name_in_an_institution_s_name_is_an_alias() -> None:
    new = parsed("institution", title="蜀北农林大学（原蜀北农学院）", aliases="蜀北农大")
    assert isinstance(new, Institution)
    assert (new.title, new.aliases) == ("蜀北农林大学", ("蜀北农大", "蜀北农学院"))
    assert new.id == institution_id("蜀北农林大学")


def test_a_title_without_a_body_is_embedded_alone() -> None:
    assert embedded_text("甲", "乙") == "甲。乙"
    assert embedded_text("甲", "") == "甲"


def test_every_kind_has_a_name_and_there_are_seven_programmes() -> None:
    assert set(KIND_NAMES) == set(KINDS) == set(RECORD_TYPES)
    assert set(OFFER_KINDS) < set(KINDS)
    assert len(PROGRAMME_CODES) == 7
