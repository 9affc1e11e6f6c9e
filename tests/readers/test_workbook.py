import datetime as dt
import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pytest

from matcher.errors import UnreadableFile
from matcher.readers import Row, read_table, workbook_guard
from matcher.readers.workbook import read_workbook

from .making import NEED_FORM, ole, xls, xlsx, zipped
from .support import good, only, parts, refusal, refused, values, written

HEADER = ["成果名称", "完成单位", "编号"]


def workbook(path: Path, *sheets: Sequence[Sequence[object]], change: Callable[..., None] | None = None) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"表{number}")
        for row in rows:
            sheet.append(list(row))
    if change:
        change(book)
    book.save(path)
    return path


def rezipped(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Write a workbook again with its parts changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_a_form_with_merged_title_and_note_is_read_with_the_rows_of_its_sheet(tmp_path: Path) -> None:
    def merge(book: openpyxl.Workbook) -> None:
        book["表1"].merge_cells("A1:C1")
        book["表1"].merge_cells("A2:C2")

    rows = [
        ["2024年度科技成果汇总表"],
        ["填表说明：带*必填"],
        [],
        HEADER,
        ["甲", "某所", "007"],
        [],
        ["乙", "某厂"],
    ]
    table = read_table(workbook(tmp_path / "a.xlsx", rows, change=merge))
    assert table.columns == ("成果名称", "完成单位", "编号")
    assert list(table.rows) == [
        Row(5, {"成果名称": "甲", "完成单位": "某所", "编号": "007"}),
        Row(7, {"成果名称": "乙", "完成单位": "某厂"}),
    ]


def test_cells_come_out_as_a_user_sees_them(tmp_path: Path) -> None:
    header = ["名称", "编号", "年度", "完成日期", "登记时间", "合格", "金额", "电话", "错误", "大数", "时刻"]
    row = [
        *(
            "甲",
            "00123",
            2023.0,
            dt.date(2023, 5, 1),
            dt.datetime.fromisoformat("2023-05-01T10:30"),
            True,
            0.1 + 0.2,
        ),
        *(13800000000, "#N/A", 1.23456789012345e19, dt.time(8, 30)),
    ]

    def mark_error(book: openpyxl.Workbook) -> None:
        book["表1"]["I2"].data_type = "e"

    assert values(workbook(tmp_path / "a.xlsx", [header, row], change=mark_error)) == [
        {
            "名称": "甲",
            "编号": "00123",
            "年度": "2023",
            "完成日期": "2023-05-01",
            "登记时间": "2023-05-01",
            "合格": "是",
            "金额": "0.3",
            "电话": "13800000000",
            "大数": "12345678901234500000",
            "时刻": "08:30:00",
        }
    ]


def test_a_formula_gives_its_cached_value(tmp_path: Path) -> None:
    def cache(name: str, content: bytes) -> bytes:
        return content.replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>").replace(
            b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>"
        )

    path = rezipped(workbook(tmp_path / "a.xlsx", [["名称", "年度"], ["甲", "=1+1"]]), cache)
    assert values(path) == [{"名称": "甲", "年度": "2"}]


def test_the_sheet_that_looks_most_like_records_is_taken(tmp_path: Path) -> None:
    notes = [["说明", "内容"], *[["一", "二"]] * 50]
    path = workbook(tmp_path / "a.xlsx", notes, [HEADER, ["甲", "某所", "1"]], [])
    assert values(path) == [{"成果名称": "甲", "完成单位": "某所", "编号": "1"}]


def test_sheets_with_the_same_header_follow_each_other(tmp_path: Path) -> None:
    first, second = [HEADER, ["甲", "某所", "1"]], [["二〇二四年"], HEADER, ["乙", "某厂", "2"]]
    other = [["成果名称", "备注"], ["丙", "x"]]
    rows = good(workbook(tmp_path / "a.xlsx", first, other, second))
    assert [(row.line, row.values["成果名称"]) for row in rows] == [(2, "甲"), (3, "乙")]


def test_a_hidden_sheet_counts_only_if_no_other_has_a_header(tmp_path: Path) -> None:
    def hide(book: openpyxl.Workbook) -> None:
        book["表1"].sheet_state = "hidden"

    hidden = [HEADER, ["甲", "某所", "1"]]
    assert values(workbook(tmp_path / "a.xlsx", hidden, [["栏一", "栏二"], ["x", "y"]], change=hide)) == [
        {"栏一": "x", "栏二": "y"}
    ]
    assert len(values(workbook(tmp_path / "b.xlsx", hidden, [["只有标题"]], change=hide))) == 1


def test_data_beside_the_table_gets_a_column_of_its_own(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [[*HEADER, None, "备注"], ["甲", "某所", "1", "旁注", "x"]])
    assert read_table(path).columns == ("成果名称", "完成单位", "编号", "列4", "备注")


def test_a_table_that_begins_in_the_middle_of_the_sheet_is_found(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [[], [None, None, *HEADER], [None, None, "甲", "某所", "1"]])
    assert good(path) == [Row(3, {"成果名称": "甲", "完成单位": "某所", "编号": "1"})]


def test_a_workbook_is_known_by_its_content_not_its_suffix(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [HEADER, ["甲", "某所", "1"]])
    assert len(good(path.rename(tmp_path / "a.csv"))) == 1


def test_one_known_column_is_enough(tmp_path: Path) -> None:
    assert values(workbook(tmp_path / "a.xlsx", [["成果名称"], ["甲"], ["乙"]])) == [
        {"成果名称": "甲"},
        {"成果名称": "乙"},
    ]


def test_workbooks_without_a_table_are_refused(tmp_path: Path) -> None:
    assert "表头" in refusal(workbook(tmp_path / "a.xlsx", [["只有标题"]]))
    assert "没有数据" in refusal(workbook(tmp_path / "b.xlsx", [HEADER]))
    assert "表头" in refusal(workbook(tmp_path / "c.xlsx", []))


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [HEADER, ["甲", "某所", "1"]])
    content = path.read_bytes()
    assert "损坏" in refusal(written(tmp_path, "b.xlsx", content[: len(content) // 2]))
    assert "损坏" in refusal(written(tmp_path, "c.xlsx", b"PK\x03\x04" + b"\x00" * 100))
    broken = rezipped(path, lambda name, part: part[:-50] if "sheet1" in name else part)
    assert "损坏" in refusal(broken)


@pytest.mark.parametrize(
    ("member", "word"),
    [
        ("word/document.xml", "Word"),
        ("ppt/presentation.xml", "演示文稿"),
        ("xl/workbook.bin", "xlsb"),
        ("data.csv", "压缩包"),
    ],
)
def test_other_archives_are_named_for_what_they_are(tmp_path: Path, member: str, word: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(member, "x")
    assert word in refusal(written(tmp_path, "a.xlsx", content.getvalue()))


def test_a_cell_at_the_far_end_of_the_sheet_is_refused_before_it_takes_all_memory(tmp_path: Path) -> None:
    def stray(book: openpyxl.Workbook) -> None:
        book["表1"].cell(1_048_576, 16_384).value = "x"

    assert "范围太大" in refusal(workbook(tmp_path / "a.xlsx", [HEADER, ["甲", "某所", "1"]], change=stray))


def test_far_cells_are_seen_without_addresses_and_formatted_empty_ones_are_not(tmp_path: Path) -> None:
    without_places = b"<sheetData>" + b"<row><c><v>1</v></c><c><v>2</v></c></row>" * 3 + b"</sheetData>"
    assert workbook_guard._extent(io.BytesIO(without_places)) == 6
    spread = b'<x:row r="9"><x:c t="s" r="AB9"><x:v>1</x:v></x:c><x:c r="XFD9" s="1"/></x:row>'
    assert workbook_guard._extent(io.BytesIO(spread)) == 9 * 28


def test_the_guard_sees_the_same_however_the_sheet_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sheet = b'<row r="1"><c r="A1"><v>1</v></c></row><row r="70"><c r="C70"><v>1</v></c></row>'
    for size in range(1, 40):
        monkeypatch.setattr(workbook_guard, "CHUNK_BYTES", size)
        assert workbook_guard._extent(io.BytesIO(sheet)) == 210


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_guard, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(UnreadableFile, match="太大"):
        list(read_workbook(workbook(tmp_path / "a.xlsx", [HEADER, ["甲", "某所", "1"]])))


# ---------------------------------------------------------------- several sheets


def test_every_sheet_is_a_table_of_its_own_kind(tmp_path: Path) -> None:
    sheets = [HEADER, ["甲", "某所", "1"]], [["需求名称", "企业名称"], ["乙", "某厂"]], [["只有标题"], ["一句话"]], []
    path = written(tmp_path, "a.xlsx", xlsx(*sheets, names=["成果", "需求", "说明", "空"]))
    assert parts(path) == {
        "成果": [{"成果名称": "甲", "完成单位": "某所", "编号": "1"}],
        "需求": [{"需求名称": "乙", "企业名称": "某厂"}],
        "说明": "这个工作表里没有找到表头",
    }


def test_a_workbook_of_one_sheet_has_no_name_for_it(tmp_path: Path) -> None:
    assert only(written(tmp_path, "a.xlsx", xlsx([HEADER, ["甲", "某所", "1"]], []))).name == ""


def test_a_form_on_a_sheet_becomes_one_row(tmp_path: Path) -> None:
    def merge(book: openpyxl.Workbook) -> None:
        sheet = book["表1"]
        sheet.merge_cells("A1:A2")
        for row in (3, 4, 5):
            sheet.merge_cells(f"B{row}:E{row}")

    (row,) = only(workbook(tmp_path / "a.xlsx", NEED_FORM, change=merge)).rows
    assert row == Row(
        1,
        {
            "企业名称": "四川云耳食品有限公司",
            "所属行业": "农产品初加工",
            "联系人": "王某某 0827-0000000",
            "需求名称": "银耳低温烘干降耗",
            "需求描述": "每批烘26小时，能耗偏高，色泽发黄。\n主要技术指标：烘干时间不超过15小时。",
            "拟投入资金(万元)": "80-150",
            "合作方式": "技术开发",
        },
    )


def test_a_list_whose_columns_are_mostly_unknown_is_no_form(tmp_path: Path) -> None:
    rows = [["成果名称", "完成单位", "甲", "乙", "丙", "丁"], *[["名", "所", "1", "2", "3", "4"]] * 3]
    assert len(good(workbook(tmp_path / "a.xlsx", rows))) == 3


# ---------------------------------------------------------------- old workbooks


def test_an_old_workbook_is_read_like_a_new_one(tmp_path: Path) -> None:
    content = xls(
        [["某某汇总表"], HEADER, ["甲", "某所", 7.0], ["乙", "某厂", 0.5]], [["需求名称", "企业名称"], ["丙", "厂"]]
    )
    assert parts(written(tmp_path, "a.xls", content)) == {
        "表1": [
            {"成果名称": "甲", "完成单位": "某所", "编号": "7"},
            {"成果名称": "乙", "完成单位": "某厂", "编号": "0.5"},
        ],
        "表2": [{"需求名称": "丙", "企业名称": "厂"}],
    }


@pytest.mark.parametrize(
    ("stream", "word"),
    [("WordDocument", "旧版 Word"), ("EncryptedPackage", "加了密码"), ("PowerPoint", "没有工作簿")],
)
def test_other_ole_files_are_named_for_what_they_are(tmp_path: Path, stream: str, word: str) -> None:
    assert word in refused(written(tmp_path, "a.xls", ole({stream: b"x"})))


def test_an_old_workbook_that_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    content = xls([HEADER, ["甲", "某所", "1"]])
    # The extent in the record of the sheet: rows 0 to 4 billion, columns 0 to 65,535.
    extent = struct.pack("<LLHHH", 0, 2, 0, 3, 0)
    assert content.count(extent) == 1
    lying = content.replace(extent, struct.pack("<LLHHH", 0, 0xFFFFFFFF, 0, 0xFFFF, 0))
    assert "内存" in refused(written(tmp_path, "a.xls", lying))


def test_macros_are_not_run_and_the_user_is_told(tmp_path: Path) -> None:
    book = xlsx([HEADER, ["甲", "某所", "1"]])
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    new = only(written(tmp_path, "a.xlsm", zipped({**members, "xl/vbaProject.bin": b"Sub Auto_Open()"})))
    assert "宏没有运行" in new.note
    assert len(list(new.rows)) == 1
    assert only(written(tmp_path, "a.xlsx", book)).note == ""
    old = only(written(tmp_path, "a.xls", xls([HEADER, ["甲", "某所", "1"]], others=["_VBA_PROJECT_CUR"])))
    assert "宏没有运行" in old.note
    assert len(list(old.rows)) == 1


def test_an_old_workbook_with_a_password_is_refused(tmp_path: Path) -> None:
    assert "密码" in refused(written(tmp_path, "a.xls", xls([HEADER, ["甲", "某所", "1"]], is_locked=True)))


# ---------------------------------------------------------------- sheets out of measure


def test_a_sheet_with_too_many_columns_is_refused(tmp_path: Path) -> None:
    wide = [[f"列名{number}" for number in range(1001)], ["x"] * 1001]
    assert "1001 列" in refused(written(tmp_path, "a.xlsx", xlsx(wide)))
    # Empty cells that were only formatted do not count.
    assert len(good(written(tmp_path, "b.xlsx", xlsx([[*HEADER, *[""] * 2000, " "], ["甲", "某所", "1"]])))) == 1


def test_a_very_long_cell_is_a_bad_row(tmp_path: Path) -> None:
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row><c t="inlineStr"><is><t>成果名称</t></is></c><c t="inlineStr"><is><t>成果简介</t></is></c></row>'
        f'<row><c t="inlineStr"><is><t>甲</t></is></c><c t="inlineStr"><is><t>{"长" * 1_000_001}</t></is></c></row>'
        '<row><c t="inlineStr"><is><t>乙</t></is></c></row></sheetData></worksheet>'
    )
    with zipfile.ZipFile(io.BytesIO(xlsx([HEADER]))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["xl/worksheets/sheet1.xml"] = sheet.encode()
    long, short = only(written(tmp_path, "a.xlsx", zipped(members))).rows
    assert not isinstance(long, Row) and "太长" in long.reason
    assert short == Row(3, {"成果名称": "乙"})
