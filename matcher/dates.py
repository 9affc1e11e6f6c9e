"""Dates and periods as people write them, as precise as they were written."""

from __future__ import annotations

import datetime
import re
import unicodedata
from typing import Final, NamedTuple

from matcher.numerals import parse_digits, parse_numeral

# Longer than any date or period is written.
_LIMIT: Final = 100

_WEEKDAY: Final = re.compile(r"[(\s]*(?:星期|周)[一二三四五六日天]\)?")
_TIME: Final = re.compile(
    r"(?:T|\s+|(?<=[日号]))(?:\d{1,2}:\d{1,2}(?::\d{1,2}(?:[.,]\d{1,9})?)?\s?(?:Z|[+-]\d{2}:?\d{2})?|\d{1,2}[时点](?:\d{1,2}分)?)"
)
_HAN_YEAR: Final = re.compile(r"[零〇○O一二三四五六七八九]{4}(?=年)")
_HAN_NUMBER: Final = re.compile(r"(?:[一二三四五六七八九廿卅十元]{1,4})(?=[月日号]|季度)")

_YEAR: Final = r"(?P<year>(?:19|20)\d{2})"
# One point in time, blanks taken out. The mark between the numbers is the same throughout: 2024.3-5 is a period.
_POINTS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_YEAR}(?:年度?[初中]?)?",
        rf"{_YEAR}年(?P<last>[底末])",
        rf"{_YEAR}年(?P<month>\d{{1,2}})(?:月(?:份|[底末初中]|[上中下]旬)?)?",
        rf"{_YEAR}年(?P<month>\d{{1,2}})月(?P<day>\d{{1,2}})[日号]?",
        rf"{_YEAR}(?P<mark>[./-])(?P<month>\d{{1,2}})(?:月|(?P=mark)(?P<day>\d{{1,2}})[日号]?)?",
        rf"{_YEAR}(?P<month>\d{{2}})(?:(?P<day>\d{{2}})(?:\d{{6}})?)?",
        rf"{_YEAR}(?:年度?)?(?:第?(?P<quarter>[1-4])季度|-?Q(?P<q>[1-4]))",
        rf"{_YEAR}年?(?P<half>[上下])半年",
    )
)
# Days since the last one of 1899, as Excel counts them and keeps them in a cell that lost its format. From 1970
# on: below stand 20241 and the like, which may be a year and a month.
_SERIAL: Final = re.compile(r"(?P<days>\d{5})(?:\.\d{1,12})?")
_SERIAL_START: Final = datetime.date(1899, 12, 30)
_SERIAL_RANGE: Final = range(25_569, 73_051)

_RANGE_MARK: Final = re.compile(r"[起]?(?:至|到|~|—+|–|-{2,}|―)")
_ENDLESS: Final = re.compile(r"今|长期(?:有效)?|永久|不限|无限期")
_ONLY_END_BEFORE: Final = re.compile(
    r"(?:有效期限?|截止日期|截止时间|从?自?即日起|[:,])*(?:截[至止](?:到|至|于)?|至|到|不[晚迟]于|最[晚迟]|有效期限?)[:于]?"
)
_ONLY_END_AFTER: Final = re.compile(r"(?:之前|以前|前|为止|止|截[止至]|到期|之内|以内|内)(?:完成|有效)?$")
_ONLY_START_BEFORE: Final = re.compile(r"^[自从]")
_ONLY_START_AFTER: Final = re.compile(r"(?:起?长期有效|起|开始|以来|之后|以后|后)$")
# Of a period's end that leaves out what it shares with the start: 5月8日, 8日, 5.8, 8.
_REST: Final = re.compile(r"(?:(?P<month>\d{1,2})(?:月|[./-](?=\d)))?(?:(?P<number>\d{1,2})[日号]?)?")


class Period(NamedTuple):
    """From one date to another, both included, ISO text of any precision; None where it is open or unknown."""

    start: str | None
    end: str | None


def parse_date(text: str) -> str | None:
    """A date as ISO text, as precise as it was written: ``2024``, ``2024-03`` or ``2024-03-05``.

    Reads 2024年3月5日, 二〇二四年三月五日, 2024.3.5, 2024/3/5, 2024-03, 20240305, 202403, 2024年, 2024, ISO times
    and the day numbers of Excel (45356). A quarter, half a year and 年底 stand for their last month.

    :returns: None if the text is no date, or none that exists.
    """
    point = _point(_plain(text))
    return point.end if point else None


def parse_period(text: str) -> Period | None:
    """A period: 2024年3月5日至2025年3月, 2024.3-5, 2024年第一季度, 截至2024年底, 2024年3月起; or a date by itself.

    :returns: None if the text is none, or one that ends before it begins.
    """
    plain = _plain(text)
    return _point(plain) or _range(plain) or _open(plain)


def _plain(text: str) -> str:
    """The text with figures for numerals, without times, weekdays and blanks; empty if it is too long for a date."""
    if len(text) > _LIMIT:
        return ""
    text = unicodedata.normalize("NFKC", text).strip().strip("。.;,()[]")
    text = _TIME.sub("", _WEEKDAY.sub("", text))
    text = re.sub(r"(?<=\d)\s+(?=\d)", "-", text)
    text = re.sub(r"\s+", "", text)
    text = _HAN_YEAR.sub(lambda found: str(parse_digits(found[0].replace("O", "〇"))), text)
    return _HAN_NUMBER.sub(_figures, text)


def _figures(found: re.Match[str]) -> str:
    text = found[0].replace("廿", "二十").replace("卅", "三十").replace("元", "一")
    number = parse_numeral(text.replace("十十", "十"))
    return found[0] if number is None else str(number)


def _point(text: str) -> Period | None:
    if serial := _SERIAL.fullmatch(text):
        days = int(serial["days"])
        if days not in _SERIAL_RANGE:
            return None
        day = (_SERIAL_START + datetime.timedelta(days)).isoformat()
        return Period(day, day)
    for pattern in _POINTS:
        if found := pattern.fullmatch(text):
            parts = found.groupdict()
            year = parts["year"]
            if quarter := parts.get("quarter") or parts.get("q"):
                return Period(f"{year}-{3 * int(quarter) - 2:02d}", f"{year}-{3 * int(quarter):02d}")
            if half := parts.get("half"):
                return Period(f"{year}-01", f"{year}-06") if half == "上" else Period(f"{year}-07", f"{year}-12")
            date = _iso(year, "12" if parts.get("last") else parts.get("month"), parts.get("day"))
            if date:
                return Period(date, date)
    return None


def _iso(year: str, month: str | None, day: str | None) -> str | None:
    numbers = [int(part) for part in (year, month, day) if part]
    try:
        datetime.date(*[*numbers, 1, 1][:3])
    except ValueError:
        return None
    return "-".join([f"{numbers[0]:04d}", *(f"{number:02d}" for number in numbers[1:])])


def _range(text: str) -> Period | None:
    marks = list(_RANGE_MARK.finditer(text)) or list(re.finditer("-", text))
    for mark in marks:
        start = _point(_ONLY_START_BEFORE.sub("", text[: mark.start()]))
        rest = text[mark.end() :]
        if not start or not start.start:
            continue
        if _ENDLESS.fullmatch(rest):
            return Period(start.start, None)
        rest = _ONLY_END_AFTER.sub("", rest)
        end = _point(rest) or _shortened(start.start, rest)
        # As text: of 2024-03 and 2024 the shorter begins no later than the longer ends.
        if end and end.end and (start.start <= end.end or start.start.startswith(end.end)):
            return Period(start.start, end.end)
    return None


def _shortened(start: str, rest: str) -> Period | None:
    """The end of a period that leaves out the year, or the year and the month, of its start."""
    found = _REST.fullmatch(rest)
    known = start.split("-")
    if not found or len(known) == 1:
        return None
    month, number = found["month"], found["number"]
    if month and number:
        date = _iso(known[0], month, number)
    elif month:
        date = _iso(known[0], month, None)
    elif number and len(known) == 3:
        date = _iso(known[0], known[1], number)
    else:
        date = _iso(known[0], number, None) if number else None
    return Period(date, date) if date else None


def _open(text: str) -> Period | None:
    """A period of which one side is given."""
    if before := _ONLY_END_BEFORE.match(text):
        point = _point(_ONLY_END_AFTER.sub("", text[before.end() :]))
        return Period(None, point.end) if point else None
    if after := _ONLY_END_AFTER.search(text):
        point = _point(text[: after.start()])
        return Period(None, point.end) if point else None
    if after := _ONLY_START_AFTER.search(text):
        point = _point(_ONLY_START_BEFORE.sub("", text[: after.start()]))
        return Period(point.start, None) if point else None
    return None
