import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.errors import UnknownColumn
from matcher.readers import FIELDS, Row, guess_kind, map_columns
from matcher.readers.aliases import normalise

COMMON = (
    *("source_id", "title", "abstract", "institution", "province", "city", "county", "region", "date"),
    *("keywords", "programmes", "contact", "url"),
)


def test_every_kind_has_the_common_fields() -> None:
    for kind, fields in FIELDS.items():
        assert set(COMMON) - set(fields) == ({"institution"} if kind == "institution" else set())


def test_an_alias_belongs_to_one_field_of_a_kind() -> None:
    for fields in FIELDS.values():
        names = [normalise(alias) for aliases in fields.values() for alias in aliases]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", FIELDS)
def test_every_alias_alone_maps_to_its_field(kind: str) -> None:
    for field, aliases in FIELDS[kind].items():
        for alias in aliases:
            assert map_columns([alias], kind).fields == {field: alias}


@pytest.mark.parametrize("kind", FIELDS)
def test_the_english_field_names_map_to_themselves(kind: str) -> None:
    assert map_columns(list(FIELDS[kind]), kind).fields == {field: field for field in FIELDS[kind]}


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        (["id", "title", "assignee", "abstract"], "patent"),
        (["need_id", "title", "text"], "need"),
        (["name", "province"], "institution"),
        (["publication_numbers", "title", "ipc_subclasses"], "patent"),
        (["序号", "公开（公告）号", "标题", "摘要", "申请人", "IPC分类号"], "patent"),
        (["achievement_id", "title", "text"], "achievement"),
        (["成果名称", "完成单位", "技术领域", "成果简介", "联系人"], "achievement"),
        (["项目名称", "完成单位", "所属行业", "简介"], "achievement"),
        (["需求名称", "企业名称", "所属行业", "需求描述", "拟投入资金"], "need"),
        (["机构名称", "机构类型", "省份"], "institution"),
        (["科技成果名称及编号", "单位"], "achievement"),
        (["id", "text"], None),
        (["标题", "摘要"], None),
        ([], None),
    ],
)
def test_the_columns_tell_the_kind(columns: list[str], kind: str | None) -> None:
    assert guess_kind(columns) == kind


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        ("山西专利.xlsx", "patent"),
        ("patents.jsonl", "patent"),
        ("2024年成果.csv", "achievement"),
        ("企业需求.csv", "need"),
        ("NEEDS.csv", "need"),
        ("universities.csv", "institution"),
        ("专利与成果.csv", None),
        ("数据.csv", None),
    ],
)
def test_where_the_columns_do_not_tell_the_file_name_does(filename: str, kind: str | None) -> None:
    assert guess_kind(["id", "标题", "摘要"], filename) == kind


def test_the_columns_are_stronger_than_the_file_name() -> None:
    assert guess_kind(["标题", "申请人", "发明人"], "科技成果.xlsx") == "patent"


def test_a_patent_export_is_mapped() -> None:
    columns = [
        *(
            "序号",
            "公开（公告）号",
            "公开(公告)日",
            "申请号",
            "申请日",
            "标题 (中文)",
            "摘要(中文)",
            "申请（专利权）人",
        ),
        *("发明（设计）人", "IPC主分类号", "法律状态/事件", "申请人地址", "摘要附图"),
    ]
    result = map_columns(columns, "patent")
    assert result.fields == {
        "title": "标题 (中文)",
        "abstract": "摘要(中文)",
        "institution": "申请（专利权）人",
        "region": "申请人地址",
        "publication_number": "公开（公告）号",
        "application_number": "申请号",
        "ipc": "IPC主分类号",
        "legal_status": "法律状态/事件",
        "application_date": "申请日",
        "publication_date": "公开(公告)日",
        "inventors": "发明（设计）人",
    }
    assert result.unused == ("序号", "摘要附图")


def test_the_best_alias_wins_and_the_running_number_is_the_last_resort() -> None:
    result = map_columns(["序号", "成果编号", "名称", "成果名称"], "achievement")
    assert result.fields == {"source_id": "成果编号", "title": "成果名称"}
    assert result.unused == ("序号", "名称")
    assert map_columns(["序号", "成果名称"], "achievement").fields["source_id"] == "序号"


def test_a_column_that_contains_an_alias_maps_if_it_is_the_only_one() -> None:
    assert map_columns(["成果名称及代号"], "achievement").fields == {"title": "成果名称及代号"}
    assert map_columns(["成果名称甲", "成果名称乙"], "achievement").fields == {}
    assert map_columns(["成果名称与成果简介"], "achievement").fields == {}
    assert map_columns(["patent_title_cn"], "patent").fields == {"title": "patent_title_cn"}


def test_columns_that_only_resemble_a_field_are_left_alone() -> None:
    columns = ["subtitle", "update_time", "申请人数量", "发明人类型", "context"]
    assert map_columns(columns, "patent").unused == tuple(columns)


def test_an_override_names_a_field_or_its_chinese_alias() -> None:
    columns = ["成果名称", "甲栏", "乙栏"]
    result = map_columns(columns, "achievement", {"title": "甲栏", "成果简介": "乙栏"})
    assert result.fields == {"title": "甲栏", "abstract": "乙栏"}
    assert result.unused == ("成果名称",)


def test_an_override_finds_its_column_however_it_is_written() -> None:
    assert map_columns(["公开(公告)号"], "patent", {"编号": "公开（公告）号"}).fields == {"source_id": "公开(公告)号"}


def test_an_unknown_column_or_field_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownColumn, match=r"不在表里.*甲栏、乙栏"):
        map_columns(["甲栏", "乙栏"], "need", {"title": "丙栏"})
    with pytest.raises(UnknownColumn, match=r"没有叫“颜色”的字段.*需求名称（title）"):
        map_columns(["甲栏"], "need", {"颜色": "甲栏"})


def test_applied_to_a_row_it_gives_the_filled_fields() -> None:
    result = map_columns(["需求名称", "需求描述", "备注"], "need")
    assert result.apply(Row(2, {"需求名称": "降低能耗", "备注": "x"})) == {"title": "降低能耗"}


@pytest.mark.parametrize(
    ("column", "cell", "budget"),
    [
        ("预算(万元)", "80-150", "80-150万元"),
        ("拟投入资金（万元）", "50", "50万元"),
        ("预算(单位：元)", "500000", "500000元"),
        ("预算(万元)", "80万元", "80万元"),
        ("预算(万元)", "面议", "面议"),
        ("预算", "80-150", "80-150"),
    ],
)
def test_a_sum_takes_its_unit_from_the_name_of_its_column(column: str, cell: str, budget: str) -> None:
    result = map_columns(["需求名称", column], "need", {"budget": column})
    assert result.apply(Row(2, {column: cell})) == {"budget": budget}


@given(
    st.lists(st.text(max_size=8) | st.sampled_from(["标题", "成果名称", "title"]), unique=True),
    st.sampled_from(sorted(FIELDS)),
)
def test_each_column_is_used_once_and_none_is_lost(columns: list[str], kind: str) -> None:
    result = map_columns(columns, kind)
    used = list(result.fields.values())
    assert len(used) == len(set(used))
    assert sorted((*used, *result.unused)) == sorted(columns)
    assert guess_kind(columns) in {None, *FIELDS}
