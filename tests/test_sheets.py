"""Tables for spreadsheets: read back by two other libraries, as what was written and nothing else."""

from __future__ import annotations

import csv
import datetime
import io
import re
import tracemalloc
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape
from python_calamine import CalamineWorkbook

from matcher import sheets
from matcher.sheets import CSV_ENCODING, Column, Sheet, write_csv, write_workbook, write_xlsx

COLUMNS = [
    Column("关联度", "level", 12),
    Column("需求", "text", 40),
    Column("预算（元）", "money", 14),
    Column("得分", "number", 8),
    Column("截止日期", "date", 12),
    Column("页面", "link", 30),
]
ROW = [4, "银耳低温烘干", 1_500_000, 0.83, "2026-12-31", ("查看", "https://match.platform.example/r/need-1?a=1&b=2#x")]
TEXT = [Column("文字", "text", 20)]
LINK = [Column("页面", "link", 20)]


def written(columns: list[Column], rows: list[list[Any]], name: str = "线索") -> bytes:
    content = io.BytesIO()
    write_xlsx(content, name, columns, rows)
    return content.getvalue()


def opened(content: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content))


def cells(content: bytes, column: int = 1) -> list[Any]:
    """One column without its title."""
    return [row[column - 1].value for row in opened(content).worksheets[0].iter_rows(min_row=2)]


def as_csv(columns: list[Column], rows: list[list[Any]]) -> list[list[str]]:
    text = io.StringIO(newline="")
    write_csv(text, columns, rows)
    return list(csv.reader(io.StringIO(text.getvalue(), newline="")))


def test_each_kind_of_cell_comes_back_as_what_it_is() -> None:
    sheet = opened(written(COLUMNS, [ROW])).worksheets[0]
    level, need, money, score, day, page = sheet[2]
    assert [cell.value for cell in sheet[1]] == [column.title for column in COLUMNS]
    assert (level.value, need.value) == ("4 强相关", "银耳低温烘干")
    assert (money.value, money.number_format) == (1_500_000, "#,##0")
    assert (score.value, score.data_type) == (0.83, "n")
    assert day.value.isoformat() == "2026-12-31T00:00:00" and day.is_date
    assert page.value == "查看"
    assert page.hyperlink.target == "https://match.platform.example/r/need-1?a=1&b=2" and page.hyperlink.location == "x"
    read = CalamineWorkbook.from_filelike(io.BytesIO(written(COLUMNS, [ROW]))).get_sheet_by_name("线索").to_python()
    assert read[1] == ["4 强相关", "银耳低温烘干", 1_500_000, 0.83, datetime.date(2026, 12, 31), "查看"]


def test_the_sheet_is_ready_to_work_with() -> None:
    sheet = opened(written(COLUMNS, [ROW, ROW])).worksheets[0]
    assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref == "A1:F3" and sheet.print_title_rows == "$1:$1"
    assert sheet["A1"].font.bold and sheet["B2"].alignment.wrap_text and sheet["B2"].font.name == "微软雅黑"
    assert sheet.column_dimensions["B"].width == pytest.approx(40, abs=1)


def test_levels_differ_in_colour_and_say_so_in_words() -> None:
    sheet = opened(written([Column("关联度", "level", 12)], [[4], [3], [2], [1], [None], [7], [True]])).worksheets[0]
    column = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert [cell.value for cell in column] == ["4 强相关", "3 较强相关", "2 弱相关", "1 无相关", None, "7", "True"]
    fills = [cell.fill.fgColor.rgb if cell.fill.fill_type else None for cell in column[:4]]
    assert len(set(fills)) == 4 and fills[3] is None


@pytest.mark.parametrize(
    "text", ["=1+1", "+8613800000000", "-1", "@SUM(A1)", "\t=1", "＝1", "{=1}", "https://a.example", "007", "1e5"]
)
def test_a_text_stays_text_also_when_somebody_edits_it(text: str) -> None:
    cell = opened(written(TEXT, [[text]])).worksheets[0]["A2"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)
    assert cell.quotePrefix or text[0] not in "=+-@\t＝"


# A workbook takes some milliseconds, and a busy machine makes that many more.
@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=40), max_size=20))
def test_any_text_comes_back_as_that_text_and_never_as_a_formula(texts: list[str]) -> None:
    content = written(TEXT, [[text] for text in texts])
    lost = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
    kept = [lost.sub("", text.replace("\r\n", "\n").replace("\r", "\n")) for text in texts]
    book = opened(content)
    found = [row[0] for row in book.worksheets[0].iter_rows(min_row=2, max_row=len(texts) + 1)]
    assert [unescape(cell.value or "") for cell in found] == kept
    assert all(cell.data_type in ("s", "n") and cell.hyperlink is None for cell in found)
    assert b"<f>" not in zipfile.ZipFile(io.BytesIO(content)).read("xl/worksheets/sheet1.xml")


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=20))
def test_any_text_in_a_csv_is_harmless_and_else_unchanged(texts: list[str]) -> None:
    rows = [[text, "。"] for text in texts]
    for text, row in zip(texts, as_csv(TEXT + TEXT, rows)[1:], strict=True):
        assert row[0][:1] not in ("=", "+", "-", "@", "\t", "\r")
        assert row[0].removeprefix("'") == sheets._clean(text).removeprefix("'")


def test_a_csv_is_plain_and_opens_in_excel(tmp_path: Path) -> None:
    path = tmp_path / "线索.csv"
    with path.open("w", encoding=CSV_ENCODING, newline="") as file:
        write_csv(file, COLUMNS, [ROW, [2, "=1+1", -5, Decimal("1.50"), None, ("=a", "javascript:x()")]])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        titles, first, second = csv.reader(file)
    assert titles == ["关联度", "需求", "预算（元）", "得分", "截止日期", "页面", "页面（链接）"]
    assert first == ["4 强相关", "银耳低温烘干", "1500000", "0.83", "2026-12-31", "查看", ROW[5][1]]
    assert second == ["2 弱相关", "'=1+1", "-5", "1.5", "", "'=a", ""]


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "external:a.xlsx",
        "internal:Sheet1!A1",
        "mailto:a@b.example",
        "ftp://a.example",
        "https://",
        "http://[::1",
        "https://a.example/\n",
        "https://a.example/" + "x" * 2100,
        "",
        None,
    ],
)
def test_what_is_no_address_of_the_web_is_no_link(address: str | None) -> None:
    cell = opened(written(LINK, [[("查看", address)]])).worksheets[0]["A2"]
    assert (cell.value, cell.hyperlink) == ("查看", None)
    assert as_csv(LINK, [[("查看", address)]])[1] == ["查看", ""]


def test_a_link_without_a_text_shows_its_address_and_a_text_without_a_link_is_text() -> None:
    sheet = opened(written(LINK, [[("", "https://a.example")], ["无"], [None], [("=1", "http://b.example")]])).active
    assert [row[0].value for row in sheet.iter_rows(min_row=2)] == ["https://a.example", "无", None, "=1"]
    assert (sheet["A5"].data_type, sheet["A5"].hyperlink.target) == ("s", "http://b.example")


def test_links_beyond_the_limit_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "SHEET_LINKS", 2)
    sheet = opened(written(LINK, [[(f"第{i}个", "https://a.example")] for i in range(4)])).worksheets[0]
    found = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert [cell.value for cell in found] == ["第0个", "第1个", "第2个", "第3个"]
    assert [cell.hyperlink is not None for cell in found] == [True, True, False, False]


def test_rows_beyond_the_end_of_a_sheet_go_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "SHEET_ROWS", 3)
    book = opened(written(TEXT, [[f"第{i}行"] for i in range(5)]))
    assert [[cell.value for cell in sheet["A"]] for sheet in book] == [
        ["文字", "第0行", "第1行"],
        ["文字", "第2行", "第3行"],
        ["文字", "第4行"],
    ]
    assert book.sheetnames == ["线索", "线索 (2)", "线索 (3)"]


@pytest.mark.parametrize("letter", ["字", "😀", "a"])
def test_a_text_longer_than_a_cell_is_cut_and_says_so(letter: str) -> None:
    exact = letter * (sheets.CELL_UNITS // (len(letter.encode("utf-16-le")) // 2))
    whole, cut = cells(written(TEXT, [[exact], [exact + letter]]))
    assert whole == exact
    assert cut.endswith("…（以下略）") and len(cut.encode("utf-16-le")) // 2 <= sheets.CELL_UNITS
    assert set(cut.removesuffix("…（以下略）")) == {letter}


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (float("nan"), "number", "nan"),
        (float("inf"), "money", "inf"),
        (10**15, "number", "1000000000000000"),
        ("面议", "money", "面议"),
        (True, "number", "True"),
        (Decimal("12"), "money", 12),
        (Decimal("12.5"), "money", 12.5),
        ("2026-12", "date", "2026-12"),
        ("1899-12-31", "date", "1899-12-31"),
        ("2026-02-30", "date", "2026-02-30"),
        ("2026-11-23T16:30:00+00:00", "date", "2026-11-24T00:00:00"),
        (datetime.date(1900, 1, 1), "date", "1900-01-01T00:00:00"),
        ([1], "level", "[1]"),
        (12, "text", "12"),
    ],
)
def test_what_is_not_of_its_column_s_kind_is_written_as_text(value: object, kind: Any, shown: object) -> None:
    (found,) = cells(written([Column("列", kind, 10)], [[value]]))
    assert (found.isoformat() if isinstance(found, datetime.datetime) else found) == shown


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_any_names_of_sheets_are_made_fit(names: list[str]) -> None:
    content = io.BytesIO()
    write_workbook(content, [Sheet(name, TEXT, [["一"]]) for name in names])
    found = [sheet.title for sheet in opened(content.getvalue())]
    assert len(found) == len(names) == len({name.casefold() for name in found})
    for name in found:
        assert 0 < len(name.encode("utf-16-le")) // 2 <= 31 and not set(name) & set("[]:*?/\\")
        assert name[0] != "'" != name[-1] and name.casefold() != "history"


def test_a_name_that_excel_keeps_for_itself_is_another_s(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write_workbook(path, [Sheet("History", TEXT, []), Sheet("2026/11", TEXT, []), Sheet("", TEXT, [])])
    assert openpyxl.load_workbook(path).sheetnames == ["History_", "2026 11", "表"]


def test_the_same_table_of_the_same_day_is_the_same_file_and_names_nobody() -> None:
    with time_machine.travel(datetime.datetime(2026, 11, 23, 3, tzinfo=datetime.UTC), tick=False):
        first = written(COLUMNS, [ROW])
    with time_machine.travel(datetime.datetime(2026, 11, 23, 9, tzinfo=datetime.UTC), tick=False):
        assert written(COLUMNS, [ROW]) == first
    properties = opened(first).properties
    assert properties.created.isoformat() == "2026-11-23T00:00:00"
    assert not properties.creator and not properties.lastModifiedBy


def test_a_table_of_no_rows_has_its_header() -> None:
    sheet = opened(written(COLUMNS, [])).worksheets[0]
    assert sheet.max_row == 1 and sheet.auto_filter.ref == "A1:F1"


@pytest.mark.parametrize("count", [0, 2000])
def test_when_the_rows_fail_nothing_is_left_behind(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> Iterator[list[object]]:
        yield from ([f"第{i}行"] for i in range(count))
        raise RuntimeError("the database is gone")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(RuntimeError):
        write_xlsx(io.BytesIO(), "线索", TEXT, rows())
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            with open("/dev/null", "wb") as nothing:  # noqa: PTH123
                write_xlsx(nothing, "线索", TEXT, ([f"第{i}行{'字' * 200}"] for i in range(count)))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(6000) < peak(600) + 1_000_000
