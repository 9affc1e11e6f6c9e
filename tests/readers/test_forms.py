from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.readers import Refused, Row, Table, labels
from matcher.readers.forms import Block, Covered, Grid, is_form, read_forms

LEFT, ABOVE = Covered.LEFT, Covered.ABOVE


def forms(*blocks: Block, filename: str = "附件.docx") -> list[dict[str, str]]:
    (table,) = read_forms(blocks, "", filename)
    assert isinstance(table, Table)
    return [dict(row.values) for row in table.rows if isinstance(row, Row)]


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("企 业 名 称：", "企业名称"),
        ("企\n业\n名\n称", "企业名称"),
        ("一、需求名称", "需求名称"),
        ("（二）需求描述", "需求描述"),
        ("3．技术领域", "技术领域"),
        ("*需求名称（限30字以内）：", "需求名称"),
        ("单位名称（盖章）", "单位名称"),
        ("拟投入资金（万元）", "拟投入资金(万元)"),  # a name that platforms use as it is
        ("①合作方式", "合作方式"),
    ],
)
def test_a_label_is_cleaned_of_numbering_blanks_and_hints(text: str, label: str) -> None:
    assert labels.clean_label(text) == label
    assert labels.is_known(text)


@pytest.mark.parametrize(
    "text", ["四川云耳食品有限公司", "80-150", "每批烘26小时，能耗偏高。", "", "：", "无", "王某某"]
)
def test_a_value_is_no_known_label(text: str) -> None:
    assert not labels.is_known(text)


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        ("□技术转让 ☑技术开发 □技术入股", "技术开发"),
        ("☑ 技术转让；☑ 其他", "技术转让；其他"),
        ("□是 ■否", "否"),
        ("☐技术转让 ☐其他", ""),
        ("√技术转让 □其他", "技术转让"),
        ("产品合格率√", "产品合格率√"),
        ("直径●5毫米", "直径●5毫米"),
        ("技术转让", "技术转让"),
    ],
)
def test_of_boxes_to_tick_only_the_ticked_ones_count(value: str, chosen: str) -> None:
    assert labels.ticked(value) == chosen


# ---------------------------------------------------------------- grids


def test_labels_and_values_side_by_side_in_any_number() -> None:
    grid: Grid = [
        ["需求名称", "银耳烘干", LEFT, LEFT],
        ["企业名称", "甲公司", "注册资金", "500"],
        ["联系人", "王某", "职务", ""],
    ]
    assert forms(grid) == [{"需求名称": "银耳烘干", "企业名称": "甲公司", "注册资金": "500", "联系人": "王某"}]


def test_the_name_of_a_section_beside_its_rows_is_no_label() -> None:
    grid: Grid = [["企业信息", "企业名称", "甲公司"], [ABOVE, "需求名称", "烘干"], [ABOVE, "联系人", "王"]]
    assert forms(grid) == [{"企业名称": "甲公司", "需求名称": "烘干", "联系人": "王"}]


def test_a_label_beside_several_rows_takes_them_all() -> None:
    grid: Grid = [
        ["需求名称", "烘干", LEFT],
        ["需求描述", "现在：26小时", LEFT],
        [ABOVE, "希望：15小时", LEFT],
        ["企业名称", "甲公司", LEFT],
    ]
    assert forms(grid)[0]["需求描述"] == "现在：26小时\n希望：15小时"


def test_a_label_above_its_value_and_one_in_the_same_cell() -> None:
    grid: Grid = [
        ["需求名称：银耳烘干", LEFT],
        ["二、需求描述（可另附页）", LEFT],
        ["每批26小时。\n能耗偏高。", LEFT],
        ["企业名称\n甲公司", LEFT],
    ]
    assert forms(grid) == [{"需求名称": "银耳烘干", "需求描述": "每批26小时。\n能耗偏高。", "企业名称": "甲公司"}]


def test_what_is_asked_for_one_by_one_is_one_body() -> None:
    grid: Grid = [["需求名称", "烘干"], ["技术背景", "老设备。"], ["主要技术指标", "15小时。"], ["企业名称", "甲公司"]]
    assert forms(grid)[0] == {
        "需求名称": "烘干",
        "企业名称": "甲公司",
        "需求描述": "技术背景：老设备。\n主要技术指标：15小时。",
    }


def test_a_value_that_is_also_a_label_stays_a_value_in_a_row_of_two() -> None:
    grid: Grid = [["需求类别", "技术需求"], ["需求名称", "烘干"], ["企业名称", "甲公司"]]
    assert forms(grid)[0]["需求名称"] == "烘干"


# ---------------------------------------------------------------- several forms


def test_each_form_of_a_document_is_a_row() -> None:
    first: Grid = [["企业名称", "甲公司"], ["需求名称", "烘干"], ["联系人", "王"]]
    second: Grid = [["企业名称", "乙公司"], ["需求名称", "提纯"], ["联系人", "李"]]
    assert forms("需求表一", first, "需求表二", second) == [
        {"企业名称": "甲公司", "需求名称": "烘干", "联系人": "王"},
        {"企业名称": "乙公司", "需求名称": "提纯", "联系人": "李"},
    ]


def test_what_stands_above_the_first_of_several_needs_holds_for_all_but_not_its_number() -> None:
    grid: Grid = [
        ["需求编号", "7", "企业名称", "甲公司"],
        ["需求名称", "烘干", LEFT, LEFT],
        ["需求描述", "慢", LEFT, LEFT],
        ["需求名称", "提纯", LEFT, LEFT],
        ["需求描述", "差", LEFT, LEFT],
    ]
    assert forms(grid) == [
        {"需求编号": "7", "企业名称": "甲公司", "需求名称": "烘干", "需求描述": "慢"},
        {"需求名称": "提纯", "需求描述": "差", "企业名称": "甲公司"},
    ]


def test_paragraphs_with_labels_are_a_form_too() -> None:
    paragraphs = [
        "技术需求",
        "需求名称：烘干",
        "需求描述：每批26小时，",
        "能耗偏高。",
        "企业名称：甲公司    联系人：王",
    ]
    assert forms(*paragraphs) == [
        {"需求名称": "烘干", "需求描述": "每批26小时，\n能耗偏高。", "企业名称": "甲公司", "联系人": "王"}
    ]


def test_a_sentence_of_the_body_that_looks_like_a_label_stays_in_the_body() -> None:
    lines = ["需求描述：先说现状。", "其次：每批要烘二十六小时，能耗偏高。", "填表日期：2024年3月5日", "需求名称：烘干"]
    assert forms(*lines) == [
        {"需求描述": "先说现状。\n其次：每批要烘二十六小时，能耗偏高。", "填表日期": "2024年3月5日", "需求名称": "烘干"}
    ]


def test_beside_an_empty_cell_the_value_above_goes_on() -> None:
    first: Grid = [["需求名称", "烘干"], ["需求描述", "每批"]]
    second: Grid = [["", "26小时。"], ["企业名称", "甲公司"]]
    assert forms(first, second)[0] == {"需求名称": "烘干", "需求描述": "每批\n26小时。", "企业名称": "甲公司"}


# ---------------------------------------------------------------- lists


def test_a_list_in_a_document_is_a_table_and_goes_on_over_pages() -> None:
    first: Grid = [["2024年汇总", LEFT, LEFT], ["需求名称", "企业名称", "备注"], ["烘干", "甲公司", "急"]]
    second: Grid = [["提纯", "乙公司", ""]]
    third: Grid = [["需求名称", "企业名称", "备注"], ["脱皮", "丙公司", ""]]
    tables = list(read_forms([first, second, third], "", "a.pdf"))
    rows = [list(table.rows) if isinstance(table, Table) else [] for table in tables]
    assert rows == [
        [
            Row(3, {"需求名称": "烘干", "企业名称": "甲公司", "备注": "急"}),
            Row(4, {"需求名称": "提纯", "企业名称": "乙公司"}),
        ],
        [Row(2, {"需求名称": "脱皮", "企业名称": "丙公司"})],
    ]


def test_the_heading_tells_the_kind_where_the_labels_do_not() -> None:
    (table,) = read_forms(["科技成果信息表", [["名称", "烘干"], ["简介", "快"]]], "", "附件1.docx")
    assert isinstance(table, Table)
    assert table.kind == "achievement"


def test_a_document_without_labels_gives_nothing() -> None:
    assert list(read_forms(["关于开会的通知", "各单位：", "请按时参加。", [["时间", "周一"]]], "", "a.docx")) == []


CELLS = st.sampled_from(
    ["需求名称", "需求描述：", "企业名称", "烘干", "□甲 ☑乙", "", "需求名称：x", "指标\n要求", "1", LEFT, ABOVE]
)
BLOCKS = st.lists(st.text(max_size=20) | st.lists(st.lists(CELLS, max_size=5), max_size=6), max_size=6)


@given(BLOCKS)
def test_any_blocks_give_rows_with_text_or_nothing(blocks: list[Block]) -> None:
    for part in read_forms(blocks, "", "a.docx"):
        if isinstance(part, Refused):
            continue
        for row in part.rows:
            assert isinstance(row, Row)
            assert row.values
            assert set(row.values) <= set(part.columns)
            assert all(isinstance(value, str) and value for value in row.values.values())
    for block in blocks:
        if not isinstance(block, str):
            is_form(block)
