"""Reads Excel workbooks (.xlsx, .xlsm, .xls) with calamine: every sheet that holds a table or a form."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from matcher.readers.base import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    BadRow,
    LazyRows,
    Parts,
    Refused,
    Row,
    Table,
    bad_row,
    unreadable,
)
from matcher.readers.forms import Covered, Grid, is_form, read_forms
from matcher.readers.header import HEADER_ROWS, Header, locate
from matcher.readers.workbook_guard import check_old_workbook, check_workbook

#: Unnamed columns are looked for in this many rows below the header.
SAMPLE_ROWS = 200
#: Significant digits that Excel itself keeps and shows; more are noise of binary fractions.
EXCEL_DIGITS = 15

_MACROS = "文件带有宏；宏没有运行，也没有读入。"
_OLD = b"\xd0\xcf\x11\xe0"
_NAME_COLUMNS = "请确认有一行写着列名，例如“成果名称、完成单位、成果简介”"

type_cell = str | float | bool | dt.date | dt.datetime | dt.time | dt.timedelta


def read_workbook(path: Path) -> Parts:
    """Read a workbook sheet by sheet; `line` is the row number in its sheet.

    Hidden sheets count only if no other has a header. Sheets without any content are left out.

    :raises UnreadableFile: damaged, protected, no workbook, too large, or no sheet has a header.
    """
    with path.open("rb") as stream:
        is_old = stream.read(len(_OLD)) == _OLD
    has_macros = check_old_workbook(path) if is_old else check_workbook(path)
    try:
        workbook = CalamineWorkbook.from_path(path)
        yield from _sheets(path, workbook, _MACROS if has_macros else "")
    except PasswordError as error:
        raise unreadable(path, "这个 Excel 文件带有密码", "请打开后去掉密码，保存后再导入") from error
    except CalamineError as error:
        raise unreadable(path, "这个 Excel 文件已损坏", "请用 Excel 或 WPS 打开后另存为 xlsx 再导入") from error


def _sheets(path: Path, workbook: CalamineWorkbook, note: str) -> Parts:
    sheets = [each for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    refused: list[Refused] = []
    for is_visible in (True, False):
        found = False
        for each in sheets:
            if (each.visible == SheetVisibleEnum.Visible) != is_visible:
                continue
            part = _sheet(path, workbook.get_sheet_by_name(each.name), note)
            if isinstance(part, Table):
                found = True
                yield part
            elif part:
                refused.append(part)
        if found:
            yield from refused
            return
    if len(refused) == 1:
        raise unreadable(path, refused[0].reason, _NAME_COLUMNS)
    raise unreadable(path, "所有工作表里都没有找到表头", _NAME_COLUMNS)


def _sheet(path: Path, sheet: CalamineSheet, note: str) -> Table | Refused | None:
    """Give what a sheet holds; nothing for one without content."""
    if sheet.end is None:
        return None
    top = [_texts(cells) for cells in islice(sheet.iter_rows(), HEADER_ROWS + SAMPLE_ROWS)]
    if sheet.end[0] < len(top) and is_form(grid := _grid(sheet, top)):
        return next((table for table in read_forms([grid], sheet.name, path.name)), None)
    header = locate(top, allow_single=True)
    if header is None:
        return Refused(sheet.name, "这个工作表里没有找到表头")
    if len(header.names) > MAX_COLUMNS:
        return Refused(sheet.name, f"表头有 {sheet.end[1] + 1} 列，超过 {MAX_COLUMNS} 列的上限")
    columns = header.columns(top[header.index + 1 :])
    rows = LazyRows(lambda: _rows(sheet, header))
    if next(iter(rows), None) is None:
        return Refused(sheet.name, "只有表头，没有数据")
    return Table(columns, rows, sheet.name, note=note)


def _grid(sheet: CalamineSheet, rows: Sequence[Sequence[str]]) -> Grid:
    """Give the cells of a sheet, and which of them a merged cell covers."""
    grid: Grid = [list(cells) for cells in rows]
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        for at in range(top, min(bottom + 1, len(grid))):
            for place in range(left, min(right + 1, len(grid[at]))):
                if (at, place) != (top, left):
                    grid[at][place] = Covered.ABOVE if at > top else Covered.LEFT
    return grid


def _rows(sheet: CalamineSheet, header: Header) -> Iterator[Row | BadRow]:
    first = header.index + 1
    for number, cells in enumerate(islice(sheet.iter_rows(), first, None), start=first + 1):
        # A far cell makes a million empty rows of a small sheet.
        if cells.count("") == len(cells) or not (values := header.values(_texts(cells))):
            continue
        if max(map(len, values.values())) > MAX_CELL_CHARS:
            reason = f"有一格超过 {MAX_CELL_CHARS // 10_000} 万字，太长"
            yield bad_row(number, reason, " ".join(text[:100] for text in values.values()))
        else:
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
