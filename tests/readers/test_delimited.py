import itertools
from pathlib import Path

import pytest
from opencc import OpenCC

from matcher import sample
from matcher.readers import BadRow, Row, read_table
from matcher.readers import encoding as encoding_module
from matcher.readers.records import MAX_CELL_CHARS, MAX_CELL_LINES

from .support import bad, good, refusal, values, written

OFFICE_EXPORT = (
    "2024年度科技成果汇总表,,,\r\n"
    "填表说明：带*的为必填项,,,\r\n"
    ",,,\r\n"
    "编号,成果名称*,完成单位（必填）,成果简介：\r\n"
    "0012,一种节能电机,晋中某研究所,结构简单，效率高\r\n"
    "0013,谷子品种选育,太谷某农场,抗旱\r\n"
)


ENCODINGS = ["utf-8", "utf-8-sig", "gb2312", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_office_export_with_title_and_note_is_read_in_every_usual_encoding(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "汇总.csv", OFFICE_EXPORT, encoding)
    table = read_table(path)
    assert table.columns == ("编号", "成果名称", "完成单位", "成果简介")
    assert list(table.rows) == [
        Row(
            5,
            {
                "编号": "0012",
                "成果名称": "一种节能电机",
                "完成单位": "晋中某研究所",
                "成果简介": "结构简单，效率高",
            },
        ),
        Row(6, {"编号": "0013", "成果名称": "谷子品种选育", "完成单位": "太谷某农场", "成果简介": "抗旱"}),
    ]


def test_big_endian_utf16_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "\ufeff" + OFFICE_EXPORT, "utf-16-be")
    assert len(good(path)) == 2


def test_a_four_byte_character_of_gb18030_survives(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "成果名称,联系人\n新型装置,李𠮷㛃\n", "gb18030")
    assert values(path) == [{"成果名称": "新型装置", "联系人": "李𠮷㛃"}]


def test_traditional_chinese_in_big5_is_read(tmp_path: Path) -> None:
    text = "技術名稱,完成單位,簡介\n一種高效節能電機控制裝置,某大學,本發明涉及電機控制領域，具有結構簡單的優點\n"
    assert values(written(tmp_path, "a.csv", text, "big5"))[0]["完成單位"] == "某大學"


def test_a_long_table_in_big5_is_read_too(tmp_path: Path) -> None:
    text = OpenCC("s2t").convert(sample.path("achievements.csv").read_text("utf-8-sig"))
    text = text.encode("big5hkscs", "replace").decode("big5hkscs")
    rows = values(written(tmp_path, "a.csv", text, "big5hkscs"))
    assert rows == values(written(tmp_path, "b.csv", text))
    assert len(rows) > 100


def test_traditional_chinese_in_gbk_is_not_taken_for_big5(tmp_path: Path) -> None:
    text = "技術名稱,完成單位,簡介\n一種高效節能電機控制裝置,某大學,本發明涉及電機控制領域，具有結構簡單的優點\n"
    assert values(written(tmp_path, "a.csv", text, "gbk"))[0]["完成單位"] == "某大學"


def test_a_character_cut_at_the_end_of_the_sample_does_not_change_the_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size, encoding in itertools.product(range(20, 40), ("utf-8", "gb18030")):
        monkeypatch.setattr(encoding_module, "SAMPLE_BYTES", size)
        path = written(tmp_path, "a.csv", "title,text\n一种节能电机,效率高的节能电机\n", encoding)
        assert values(path) == [{"title": "一种节能电机", "text": "效率高的节能电机"}]


def test_chinese_that_begins_late_is_still_read_right(tmp_path: Path) -> None:
    head = "title,text\n" + "pump,water\n" * 60_000
    path = written(tmp_path, "a.csv", head + "一种节能电机,效率高\n", "gbk")
    assert values(path)[-1] == {"title": "一种节能电机", "text": "效率高"}


def test_a_wrong_byte_late_in_the_file_costs_one_row(tmp_path: Path) -> None:
    rows = [f"成果{number},单位".encode() for number in range(5000)]
    rows[4000] = b"\xff\xfe" + rows[4000]
    path = written(tmp_path, "a.csv", "成果名称,完成单位\n".encode() + b"\n".join(rows))
    assert len(good(path)) == 4999
    (fault,) = bad(path)
    assert fault.line == 4002
    assert "UTF-8" in fault.reason
    assert fault.field == "整行"


def test_half_a_character_at_the_end_of_utf16_costs_one_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "名称,编号\n甲,1\n乙,2".encode("utf-16") + b"\x01")
    assert values(path) == [{"名称": "甲", "编号": "1"}]
    assert bad(path)[0].line == 3


def test_lines_are_counted_alike_whatever_ends_them(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        path = written(tmp_path, "a.csv", end.join(["名称,编号", "甲,1", "", "乙,2"]))
        assert [row.line for row in good(path)] == [2, 4]


def test_lines_are_the_same_however_the_file_is_cut_into_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "a.csv", "名称,编号\r\n甲,1\r\n\r\n乙,2\r丙,3\n")
    for size in range(1, 12):
        monkeypatch.setattr(encoding_module, "CHUNK_BYTES", size)
        assert [(row.line, row.values["编号"]) for row in good(path)] == [(2, "1"), (4, "2"), (5, "3")]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_every_usual_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    lines = [["需求名称", "企业名称", "需求描述"], ["降低能耗", "某公司", "要求:节能，环保"]]
    path = written(tmp_path, "a.txt", "\n".join(map(delimiter.join, lines)))
    assert values(path) == [{"需求名称": "降低能耗", "企业名称": "某公司", "需求描述": "要求:节能，环保"}]


def test_the_delimiter_that_makes_the_header_known_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "标题;摘要;申请人\n甲,乙,丙;一,二,三;某大学\n")
    assert values(path) == [{"标题": "甲,乙,丙", "摘要": "一,二,三", "申请人": "某大学"}]


def test_the_delimiter_hint_of_excel_is_no_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "sep=;\n标题;摘要\n甲;乙\n")
    assert values(path) == [{"标题": "甲", "摘要": "乙"}]


def test_quoted_cells_keep_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '标题,摘要\r\n"甲,乙","第一行\r\n第二行 ""引用"""\r\n丙,丁\r\n')
    assert good(path) == [
        Row(2, {"标题": "甲,乙", "摘要": '第一行\n第二行 "引用"'}),
        Row(4, {"标题": "丙", "摘要": "丁"}),
    ]


def test_a_quote_that_encloses_no_whole_cell_is_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '标题,摘要\n"高效"节能装置,5" 管\n')
    assert values(path) == [{"标题": '"高效"节能装置', "摘要": '5" 管'}]


def test_a_stray_quote_inside_a_long_cell_does_not_end_it(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '标题,摘要,单位\n甲,"一\n他说"好"了\n三",某所\n乙,二,某厂\n')
    assert values(path) == [
        {"标题": "甲", "摘要": '一\n他说"好"了\n三', "单位": "某所"},
        {"标题": "乙", "摘要": "二", "单位": "某厂"},
    ]


def test_two_cells_of_one_row_may_have_line_breaks(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '标题,摘要,单位\n"甲\n乙","丙\n丁",某所\n')
    assert values(path) == [{"标题": "甲\n乙", "摘要": "丙\n丁", "单位": "某所"}]


def test_an_unclosed_quote_costs_one_row_not_the_rest(tmp_path: Path) -> None:
    rows = "".join(f"成果{number},介绍,单位\n" for number in range(3 * MAX_CELL_LINES))
    path = written(tmp_path, "a.csv", f'成果名称,成果简介,完成单位\n坏的,"没有闭合,单位\n{rows}')
    assert len(good(path)) == 3 * MAX_CELL_LINES
    (fault,) = bad(path)
    assert fault.line == 2
    assert "引号" in fault.reason
    assert fault.raw == '坏的,"没有闭合,单位'


def test_an_unclosed_quote_is_seen_when_a_later_row_has_quotes_too(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '名称,简介,单位\n坏,"没有闭合,甲\n好,"带引号",乙\n"也好",x,丙\n')
    assert [row.values["单位"] for row in good(path)] == ["乙", "丙"]
    assert [row.line for row in bad(path)] == [2]


def test_an_unclosed_quote_in_the_last_row_is_reported(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '名称,简介\n好,行\n坏,"断了')
    assert [row.line for row in good(path)] == [2]
    assert [row.line for row in bad(path)] == [3]


def test_a_file_full_of_unclosed_quotes_is_read_in_linear_time(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "名称,简介\n好,行\n" + '"坏\n' * 20_000)
    assert len(bad(path)) == 20_000


def test_a_wrong_byte_inside_a_quoted_cell_costs_that_row_only(tmp_path: Path) -> None:
    content = '名称,简介\n甲,"一\n'.encode() + b"\xff\xff" + '二\n三"\n乙,"中文说明足够长"\n'.encode()
    path = written(tmp_path, "a.csv", content)
    assert [row.line for row in bad(path)] == [2]
    assert [row.line for row in good(path)] == [5]


def test_a_cell_of_more_than_a_million_characters_is_a_bad_row(tmp_path: Path) -> None:
    huge = "长" * (MAX_CELL_CHARS + 1)
    path = written(tmp_path, "a.csv", f'名称,简介\n甲,{huge}\n乙,"{huge}"\n丙,短\n')
    assert [row.line for row in good(path)] == [4]
    faults = bad(path)
    assert [row.line for row in faults] == [2, 3]
    assert "100 万字" in faults[0].reason
    assert len(faults[0].raw) <= 500


def test_a_line_too_long_for_any_record_is_a_bad_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding_module, "MAX_LINE_BYTES", 2000)
    monkeypatch.setattr(encoding_module, "CHUNK_BYTES", 100)
    path = written(tmp_path, "a.csv", "名称,简介\r\n甲,1\r\n" + "x" * 99_999 + ",y\r\n乙,2\r\n")
    assert [row.line for row in good(path)] == [2, 4]
    assert "太长" in bad(path)[0].reason


def test_a_row_with_too_many_cells_is_bad_and_one_with_too_few_is_not(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "名称,简介,单位\n甲,一\n乙,二,三,四\n丙,一,二,,\n")
    assert list(read_table(path).rows) == [
        Row(2, {"名称": "甲", "简介": "一"}),
        BadRow(3, "整行", "这一行有 4 格，表头只有 3 列，请检查是否有多余的分隔符", "乙,二,三,四"),
        Row(4, {"名称": "丙", "简介": "一", "单位": "二"}),
    ]


def test_numbers_written_as_text_stay_as_they_are(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '编号,名称,年度\n="00123",甲,2023\n\t0456,乙,2023.0\n')
    assert [row["编号"] for row in values(path)] == ["00123", "0456"]
    assert values(path)[1]["年度"] == "2023.0"


def test_nul_and_control_characters_are_dropped(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "名称,简介\n甲\0乙\u200b,一\x07二\u3000\n" + "丙,说明\n" * 40 + "\x1a")
    assert values(path)[0] == {"名称": "甲乙", "简介": "一二"}
    assert len(good(path)) == 41


def test_the_header_repeated_and_empty_rows_are_skipped(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "名称*,简介\n甲,一\n,,\n名称,简介\n乙,二\n")
    assert [row.line for row in good(path)] == [2, 5]


def test_rows_can_be_read_more_than_once_and_are_lazy(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "名称,简介\n" + "甲,一\n" * 1000)
    table = read_table(path)
    assert next(iter(table.rows)) == Row(2, {"名称": "甲", "简介": "一"})
    assert len(list(table.rows)) == len(list(table.rows)) == 1000


def test_a_list_with_one_known_column_is_a_table(tmp_path: Path) -> None:
    assert values(written(tmp_path, "a.csv", 'title\n节能, 环保的电机\n"引号"\n')) == [
        {"title": "节能, 环保的电机"},
        {"title": "引号"},
    ]


def test_prose_is_no_table(tmp_path: Path) -> None:
    assert "表头" in refusal(written(tmp_path, "a.txt", "摘要\n本文研究了节能电机，效果很好。\n" * 5))
    prose = "The pump, which is new, saves energy.\nIt works.\nWe tested it.\nNobody, so far, complained.\n"
    assert "表头" in refusal(written(tmp_path, "b.csv", prose))


def test_a_header_without_rows_is_refused(tmp_path: Path) -> None:
    for content in ("名称,简介", "名称,简介\n", "名称,简介\n,\n\n名称,简介\n"):
        assert "没有数据" in refusal(written(tmp_path, "a.csv", content))
