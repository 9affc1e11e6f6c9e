"""Tables for Excel and WPS (XLSX), and for everything else (CSV).

What people wrote stays text, whatever it looks like: no cell becomes a formula, and only links to the web are links.
"""

from __future__ import annotations

import csv
import datetime
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, TextIO
from urllib.parse import urlsplit

from matcher.life import CHINA
from matcher.rank import LEVEL_NAMES
from matcher.values import harmless

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

# A CSV file is opened with this: the mark at its start lets Excel see that it is UTF-8.
CSV_ENCODING: Final = "utf-8-sig"

# Limits of Excel, in UTF-16 units, rows and links; beyond them it calls a file damaged.
CELL_UNITS: Final = 32_767
SHEET_ROWS: Final = 1_048_576
SHEET_LINKS: Final = 65_530
LINK_UNITS: Final = 2_079
NAME_UNITS: Final = 31
# Numbers from here on lose digits in Excel, which keeps fifteen.
EXACT: Final = 10**15
# Excel has no day before.
FIRST_YEAR: Final = 1900

# What follows a text that a cell cannot hold.
_CUT: Final = "…（以下略）"
# Not allowed in XML, or, as the carriage return, not as what it is.
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_IN_NAMES: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_NOT_IN_LINKS: Final = re.compile(r"[\s\x00-\x20\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")

# Excel on Windows, WPS and macOS with Office have it; others take their own Chinese font.
_FONT: Final = {"font_name": "微软雅黑", "font_size": 10}
_A4: Final = 9
# Fill and letters by level; the words in the cell say the same to those who see no colours.
_LEVEL_COLOURS: Final = {4: ("#1B7A4B", "#FFFFFF"), 3: ("#BFE3CC", "#143D28"), 2: ("#F6E7B8", "#4A3B06"), 1: ("", "")}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    :param kind: what its cells hold. `money` is yuan; `date` takes days, times (shown as the day in China) and
        ISO texts; `level` takes 1 to 4; `link` takes (text, address). None is an empty cell everywhere, and what
        is not of the kind is written as text.
    :param width: in letters of ordinary width; a Chinese one takes two.
    """

    title: str
    kind: Literal["text", "number", "money", "date", "level", "link"]
    width: float


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook."""

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[object]]


def write_xlsx(
    target: BinaryIO | Path, sheet: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]
) -> None:
    """Write a workbook of one table; see `write_workbook`."""
    write_workbook(target, [Sheet(sheet, columns, rows)])


def write_workbook(target: BinaryIO | Path, sheets: Sequence[Sheet]) -> None:
    """Write a workbook, a row at a time: memory does not grow with the rows, except by their links.

    The same tables written on the same day give the same bytes. Rows beyond the end of a sheet go on in a further
    one; a text beyond the limit of a cell is cut, and says so.

    :param sheets: at least one; their rows are read one sheet after the other.
    :raises OSError: if the file cannot be written.
    """
    from xlsxwriter.workbook import Workbook

    with ExitStack() as stack:
        file = stack.enter_context(target.open("wb")) if isinstance(target, Path) else target
        # Its own folder: what it keeps aside is gone afterwards, whatever happens.
        aside = stack.enter_context(tempfile.TemporaryDirectory(prefix="matcher-sheets-"))
        book = Workbook(
            file,
            {
                "constant_memory": True,
                "tmpdir": aside,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
                "default_format_properties": dict(_FONT),
            },
        )
        made = datetime.datetime.now(CHINA).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        book.set_properties({"created": made, "author": "", "company": ""})
        stack.callback(_close_rows, book)
        pen = _Pen(book)
        for sheet in sheets:
            _write_sheet(book, pen, sheet)
        book.close()


def write_csv(target: TextIO, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV. A link takes two columns, its text and its address.

    :param target: opened with `CSV_ENCODING` and `newline=""`.
    """
    writer = csv.writer(target)
    titles: list[str] = []
    for column in columns:
        titles += [column.title, f"{column.title}（链接）"] if column.kind == "link" else [column.title]
    writer.writerow([harmless(_clean(title)) for title in titles])
    for row in rows:
        writer.writerow([cell for column, value in zip(columns, row, strict=True) for cell in _csv(column, value)])


def _csv(column: Column, value: object) -> Iterator[str]:
    if column.kind == "link":
        text, address = _link(value)
        yield harmless(_clean(text))
        yield address or ""
        return
    found = _typed(column, value)
    yield harmless(found) if isinstance(found, str) else ("" if found is None else str(found))


# ---------------------------------------------------------------- values


def _typed(column: Column, value: object) -> str | int | float | datetime.date | None:
    """A value as its column means it; text where it is nothing of the kind."""
    if value is None:
        return None
    if column.kind in ("number", "money") and (number := _number(value)) is not None:
        return number
    if column.kind == "date" and (day := _day(value)) is not None:
        return day
    if column.kind == "level" and (level := _level(value)):
        # The figure first: sorted as text, the levels keep their order.
        return f"{level} {LEVEL_NAMES[level]}"
    return _clean(str(value))


def _level(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value in LEVEL_NAMES else None


def _number(value: object) -> int | float | None:
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and abs(value) < EXACT else None


def _day(value: object) -> datetime.date | None:
    if isinstance(value, str):
        try:
            value = (datetime.date if _DAY.fullmatch(value) else datetime.datetime).fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime.datetime):
        value = (value.astimezone(CHINA) if value.tzinfo else value).date()
    return value if isinstance(value, datetime.date) and value.year >= FIRST_YEAR else None


def _link(value: object) -> tuple[str, str | None]:
    """Text and address; no address where it is none of the web, or longer than Excel allows."""
    if not isinstance(value, tuple):
        return "" if value is None else str(value), None
    text, address = value
    if not isinstance(address, str) or _NOT_IN_LINKS.search(address) or _units(address) > LINK_UNITS:
        return str(text), None
    try:
        parts = urlsplit(address)
    except ValueError:
        return str(text), None
    return str(text), address if parts.scheme in ("http", "https") and parts.netloc else None


def _clean(text: str) -> str:
    """Text without what a cell cannot hold, its line breaks brought to one form."""
    return _NOT_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str, units: int, end: str = "") -> str:
    """A text of at most so many UTF-16 units; one that was longer has `end` at its end."""
    # A letter has one unit or two.
    if len(text) * 2 <= units or _units(text) <= units:
        return text
    kept = text.encode("utf-16-le")[: 2 * (units - _units(end))].decode("utf-16-le", "ignore")
    return kept + end


def _sheet_name(name: str, taken: Iterable[str]) -> str:
    """A name that Excel allows and no other sheet has."""
    base = _NOT_IN_NAMES.sub(" ", _clean(name)).strip("' ") or "表"
    base = f"{base}_" if base.casefold() == "history" else base
    names = {other.casefold() for other in taken}
    number, found = 1, _cut(base, NAME_UNITS)
    while found.casefold() in names:
        number += 1
        end = f" ({number})"
        found = _cut(base, NAME_UNITS - len(end)).rstrip("'") + end
    return found.rstrip("'")


# ---------------------------------------------------------------- XLSX


class _Pen:
    """The formats of a workbook: a cell's by the kind of its column, and whether it could be taken for a formula."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._formats: dict[tuple[str, bool], Format] = {}

    def format(self, name: str, quoted: bool = False) -> Format:
        """The format of this name.

        :param quoted: as if written behind an apostrophe: it stays text when somebody edits it.
        """
        if (name, quoted) not in self._formats:
            properties = {"valign": "top", "text_wrap": True, **_PROPERTIES[name]}
            self._formats[name, quoted] = self._book.add_format(properties | {"quote_prefix": quoted})
        return self._formats[name, quoted]


_PROPERTIES: Final[dict[str, dict[str, object]]] = {
    "header": {"bold": True, "valign": "vcenter", "bg_color": "#E8EEF4", "bottom": 1},
    "text": {},
    "number": {},
    "whole money": {"num_format": "#,##0"},
    "money": {"num_format": "#,##0.00"},
    "date": {"num_format": "yyyy-mm-dd", "align": "left"},
    "link": {"font_color": "#0B57A4", "underline": 1},
    **{
        f"level {level}": {"bg_color": fill, "font_color": letters, "bold": level == 4} if fill else {}
        for level, (fill, letters) in _LEVEL_COLOURS.items()
    },
}


def _write_sheet(book: Workbook, pen: _Pen, sheet: Sheet) -> None:
    page, links, line = _new_page(book, pen, sheet), 0, 1
    for row in sheet.rows:
        if line == SHEET_ROWS:
            _finish_page(page, sheet, line)
            page, links, line = _new_page(book, pen, sheet), 0, 1
        for place, (column, value) in enumerate(zip(sheet.columns, row, strict=True)):
            links += _write_cell(page, pen, (line, place), column, value, links < SHEET_LINKS)
        line += 1
    _finish_page(page, sheet, line)


def _new_page(book: Workbook, pen: _Pen, sheet: Sheet) -> Worksheet:
    page = book.add_worksheet(_sheet_name(sheet.name, [other.get_name() for other in book.worksheets()]))
    for place, column in enumerate(sheet.columns):
        page.set_column(place, place, column.width)
        page.write_string(0, place, _cut(_clean(column.title), CELL_UNITS, _CUT), pen.format("header"))
    page.freeze_panes(1, 0)
    page.repeat_rows(0)
    page.set_landscape()
    page.set_paper(_A4)
    page.fit_to_pages(1, 0)
    return page


def _finish_page(page: Worksheet, sheet: Sheet, lines: int) -> None:
    if sheet.columns:
        page.autofilter(0, 0, lines - 1, len(sheet.columns) - 1)
        # Codes and numbers that are text are meant to be: no green corners.
        page.ignore_errors({"number_stored_as_text": f"A1:XFD{SHEET_ROWS}"})


def _write_cell(
    page: Worksheet, pen: _Pen, place: tuple[int, int], column: Column, value: object, may_link: bool
) -> bool:
    """Write one cell; true if it is a link."""
    if column.kind == "link":
        text, address = _link(value)
        shown = _cut(_clean(text) or (address or ""), CELL_UNITS, _CUT)
        if address and may_link:
            page.write_url(*place, address, pen.format("link", harmless(shown) != shown), shown)
            return True
        _write_text(page, pen, place, "text", shown)
        return False
    found = _typed(column, value)
    if isinstance(found, str):
        level = _level(value) if column.kind == "level" else None
        _write_text(page, pen, place, f"level {level}" if level else "text", found)
    elif isinstance(found, datetime.date):
        page.write_datetime(*place, found, pen.format("date"))
    elif found is not None:
        money = "whole money" if isinstance(found, int) else "money"
        page.write_number(*place, found, pen.format(money if column.kind == "money" else "number"))
    return False


def _write_text(page: Worksheet, pen: _Pen, place: tuple[int, int], name: str, text: str) -> None:
    shown = _cut(text, CELL_UNITS, _CUT)
    if shown:
        page.write_string(*place, shown, pen.format(name, harmless(shown) != shown))


def _close_rows(book: Workbook) -> None:
    """Close the files that the workbook keeps its rows in: it does so itself only when all went well."""
    for page in book.worksheets():
        page.row_data_fh.close()
