"""Reads Excel workbooks (.xlsx, .xlsm) with calamine: the sheets whose header looks most like records."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from matcher.readers.base import LazyRows, Row, Table, unreadable, unreadable_os
from matcher.readers.header import HEADER_ROWS, Header, locate
from matcher.readers.workbook_guard import check_workbook

#: Unnamed columns are looked for in this many rows below the header.
SAMPLE_ROWS = 200
#: Significant digits that Excel itself keeps and shows; more are noise of binary fractions.
EXCEL_DIGITS = 15

type_cell = str | float | bool | dt.date | dt.datetime | dt.time | dt.timedelta


class _Found(NamedTuple):
    sheet: CalamineSheet
    header: Header
    columns: tuple[str, ...]
    height: int


def read_xlsx(path: Path) -> Table:
    """Open a workbook as one table; `line` is the row number in its sheet.

    Sheets that share the header of the best one follow it. Hidden sheets count only if no other has a header.

    :raises UnreadableFile: damaged, protected, no workbook, too large, without a header or without data.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable_os(path, error) from error
    check_workbook(path, content)
    try:
        found = _find(CalamineWorkbook.from_filelike(io.BytesIO(content)))
    except CalamineError as error:
        what = "这个 Excel 文件已损坏或带有密码"
        raise unreadable(path, what, "请用 Excel 或 WPS 打开，去掉密码后另存为 xlsx 再导入") from error
    if not found:
        advice = "请确认有一行写着列名，例如“成果名称、完成单位、成果简介”"
        raise unreadable(path, "所有工作表里都没有找到表头", advice)
    best = max(found, key=lambda each: (each.header.known, each.height > 0, each.height))
    chosen = [each for each in found if each.header.names == best.header.names]
    rows = LazyRows(lambda: (row for each in chosen for row in _rows(each)))
    if next(iter(rows), None) is None:
        raise unreadable(path, "只有表头，没有数据", "请确认导出时选中了数据行")
    return Table(tuple(dict.fromkeys(name for each in chosen for name in each.columns)), rows)


def _find(workbook: CalamineWorkbook) -> list[_Found]:
    sheets = [each for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    visible = [each.name for each in sheets if each.visible == SheetVisibleEnum.Visible]
    hidden = [each.name for each in sheets if each.visible != SheetVisibleEnum.Visible]
    found = [each for name in visible if (each := _look_at(workbook.get_sheet_by_name(name)))]
    return found or [each for name in hidden if (each := _look_at(workbook.get_sheet_by_name(name)))]


def _look_at(sheet: CalamineSheet) -> _Found | None:
    top = [_texts(cells) for cells in islice(sheet.iter_rows(), HEADER_ROWS + SAMPLE_ROWS)]
    header = locate(top, allow_single=True)
    if header is None:
        return None
    columns = header.columns(top[header.index + 1 :])
    return _Found(sheet, header, columns, sheet.total_height - header.index - 1)


def _rows(found: _Found) -> Iterator[Row]:
    first = found.header.index + 1
    for number, cells in enumerate(islice(found.sheet.iter_rows(), first, None), start=first + 1):
        if values := found.header.values(_texts(cells)):
            yield Row(number, values)


def _texts(cells: Sequence[type_cell]) -> list[str]:
    return [cell if isinstance(cell, str) else _text(cell) for cell in cells]


def _text(cell: type_cell) -> str:
    if isinstance(cell, bool):
        return "是" if cell else "否"
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat()
    if isinstance(cell, float):
        return _number(cell)
    # A date as ISO; a time or a duration as Excel shows it.
    return str(cell)


def _number(value: float) -> str:
    text = format(Decimal(format(value, f".{EXCEL_DIGITS}g")), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
