from hypothesis import given
from hypothesis import strategies as st

from matcher.readers.base import clean_cell
from matcher.readers.header import Header, clean_name, locate


def found(rows: list[list[str]]) -> Header:
    header = locate(rows)
    assert header is not None
    return header


def test_the_row_with_most_known_names_is_the_header() -> None:
    rows = [
        ["填表单位", "某厅"],
        ["说明", "见附件", "另附"],
        ["成果名称", "完成单位", "自定义"],
        ["甲", "乙", "丙"],
    ]
    assert found(rows).index == 2


def test_without_known_names_the_first_row_that_looks_like_names_is_the_header() -> None:
    rows = [
        ["某某汇总表", ""],
        ["填表日期：2024年", "填表人：某"],
        ["1", "2"],
        ["甲栏", "乙栏"],
        ["丙", "丁"],
    ]
    assert found(rows).index == 3


def test_one_known_name_among_unknown_ones_is_enough() -> None:
    assert found([["甲", "乙", "丙"], ["栏一", "题目", "栏三"]]).index == 1


def test_a_header_is_not_looked_for_below_the_first_thirty_rows() -> None:
    title = [["某某汇总表"]]
    assert locate(title * 29 + [["成果名称", "完成单位"]]) is not None
    assert locate(title * 30 + [["成果名称", "完成单位"]]) is None


def test_names_are_cleaned_of_marks_spaces_and_widths() -> None:
    for name in (
        "*成果 名称",
        "成果\n名称：",
        "成果名称（必填）",
        "成果名称 *:",
        "成果名称(必填)*",
        "\ufeff成果名称",
    ):
        assert clean_name(name) == "成果名称"
    assert clean_name("公开（公告）号") == "公开(公告)号"
    assert clean_name("ＩＰＣ") == "IPC"


def test_repeated_names_are_numbered_and_never_collide() -> None:
    header = found([["名称", "单位", "单位", "单位_2", "单位", ""]])
    assert header.names == ("名称", "单位", "单位_3", "单位_2", "单位_4", "列6")


def test_a_column_without_a_name_counts_only_with_data() -> None:
    header = found([["名称", "", "单位", ""]])
    assert header.columns([["甲", "", "乙", " "]]) == ("名称", "单位")
    assert header.columns([["甲", "x", "乙", ""]]) == ("名称", "列2", "单位")
    assert header.values(["甲", "", "乙", "late"]) == {"名称": "甲", "单位": "乙", "列4": "late"}


def test_in_a_header_of_two_rows_the_upper_names_fill_the_gaps() -> None:
    rows = [["成果名称", "单位信息", "", "备注"], ["", "完成单位", "联系人", ""], ["甲", "乙", "丙", ""]]
    assert found(rows).cells == ("成果名称", "完成单位", "联系人", "备注")


def test_cells_keep_line_breaks_and_lose_what_cannot_be_seen() -> None:
    assert clean_cell(" a\r\nb\rc\u2028d\x00\ud800\ufeff\u200b\te ") == "a\nb\nc\nd e"


@given(st.text(st.characters()))
def test_cleaning_a_cell_twice_changes_nothing_and_leaves_storable_text(text: str) -> None:
    once = clean_cell(text)
    assert clean_cell(once) == once
    once.encode()


@given(st.lists(st.lists(st.text(max_size=6), max_size=5), max_size=8))
def test_any_rows_give_a_header_with_distinct_names_or_none(rows: list[list[str]]) -> None:
    header = locate(rows, allow_single=True)
    if header is not None:
        assert len(set(header.names)) == len(header.names) == len(rows[header.index])
        assert header.values(rows[header.index]) == {} or header.cells != tuple(map(clean_name, rows[header.index]))
