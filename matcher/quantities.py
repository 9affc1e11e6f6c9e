"""The figures in a text, alike however they are written: 1.2 t, 1200公斤 and 一千二百公斤 are one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from matcher.numerals import parse_digits, parse_numeral

_MORE: Final[Mapping[str, int]] = {"百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
# Units as `matcher.text.normalize` writes them or leaves them, by the one they are reckoned in.
_SCALES: Final[Mapping[str, tuple[str, float]]] = {
    **dict.fromkeys(("t", "吨"), ("g", 1e6)),
    **dict.fromkeys(("kg", "公斤", "千克"), ("g", 1e3)),
    **dict.fromkeys(("g", "克"), ("g", 1)),
    **dict.fromkeys(("mg", "毫克"), ("g", 1e-3)),
    **dict.fromkeys(("km", "公里", "千米"), ("m", 1e3)),
    **dict.fromkeys(("m", "米"), ("m", 1)),
    **dict.fromkeys(("cm", "厘米"), ("m", 1e-2)),
    **dict.fromkeys(("mm", "毫米"), ("m", 1e-3)),
    **dict.fromkeys(("μm", "微米"), ("m", 1e-6)),
    **dict.fromkeys(("nm", "纳米"), ("m", 1e-9)),
    **dict.fromkeys(("MW", "兆瓦"), ("W", 1e6)),
    **dict.fromkeys(("kW", "千瓦"), ("W", 1e3)),
    **dict.fromkeys(("MPa", "兆帕"), ("Pa", 1e6)),
    **dict.fromkeys(("kPa", "千帕"), ("Pa", 1e3)),
    **dict.fromkeys(("mL", "毫升"), ("L", 1e-3)),
    **dict.fromkeys(("L", "升"), ("L", 1)),
    **dict.fromkeys(("h", "小时"), ("min", 60)),
    **dict.fromkeys(("min", "分钟"), ("min", 1)),
    **dict.fromkeys(("℃", "度"), ("℃", 1)),
    "%": ("%", 1),
    "成": ("%", 10),
}
# 三成分 are three components, not three tenths.
_UNIT: Final = "|".join(
    "成(?![分品员为型本熟])" if unit == "成" else re.escape(unit) for unit in sorted(_SCALES, key=len, reverse=True)
)
_HAN_NUMERAL: Final = "零〇一二两三四五六七八九十百千万亿"
# Part numbers of a patent's drawing stand in brackets behind the part's name; editors drop them.
_PART_NUMBERS: Final = re.compile(
    r"(?<=[\u4e00-\u9fff])[(\[]\s*[0-9A-Za-z'’]{1,6}(?:\s*[,、;\-~]\s*[0-9A-Za-z'’]{1,6})*\s*[)\]]"
)
_ARABIC: Final = re.compile(
    rf"(?<![A-Za-z0-9.])(?P<number>\d{{1,15}}(?:\.\d{{1,9}})?)\s?(?P<more>[百千万亿]{{0,2}})\s?"
    rf"(?P<unit>(?:{_UNIT})(?![A-Za-z²³]))?"
)
_HAN: Final = re.compile(
    rf"(?<![第{_HAN_NUMERAL}])(?P<percent>百分之)?(?P<number>[{_HAN_NUMERAL}]{{1,16}}(?:点[零〇一二三四五六七八九]{{1,6}})?)"
    rf"(?P<unit>{_UNIT})?"
)


def without_part_numbers(text: str) -> str:
    """A patent's text without the numbers that point into its drawing."""
    return _PART_NUMBERS.sub("", text)


def without_figures(text: str) -> str:
    """The text without the figures that `quantities` finds in it, and their units."""
    return _HAN.sub(lambda match: match[0] if _han(match) is None else "", _ARABIC.sub("", text))


def quantities(text: str) -> frozenset[tuple[float, str]]:
    """The figures of a text, each once, with the unit that they are reckoned in; part numbers are none.

    Chinese numerals count where they surely are figures: with a unit, after 百分之, or from ten on.

    :param text: as `matcher.text.normalize` writes it.
    """
    text = without_part_numbers(text)
    found = {_arabic(match) for match in _ARABIC.finditer(text)}
    found |= {figure for match in _HAN.finditer(text) if (figure := _han(match)) is not None}
    return frozenset(found)


def _arabic(match: re.Match[str]) -> tuple[float, str]:
    value = float(match["number"])
    for character in match["more"]:
        value *= _MORE[character]
    return _scaled(value, match["unit"])


def _han(match: re.Match[str]) -> tuple[float, str] | None:
    value = _value(match["number"])
    if value is None or (value < 10 and not (match["unit"] or match["percent"])):
        return None
    # 百分之十八 is one word with its unit before it.
    return _scaled(value, "%" if match["percent"] else match["unit"])


def _scaled(value: float, unit: str | None) -> tuple[float, str]:
    base, factor = _SCALES[unit] if unit else ("", 1)
    # Six digits: what 0.1 and 3 make differs from 0.3 in the seventeenth.
    return float(f"{value * factor:.6g}"), base


def _value(numeral: str) -> float | None:
    """What a Chinese numeral says, or None for a run of numerals that says nothing (千万亿, 一二三)."""
    whole, _, fraction = numeral.partition("点")
    number = parse_numeral(whole)
    if number is None or not fraction:
        return None if number is None else float(number)
    digits = parse_digits(f"一{fraction}")  # an own digit before them, so that zeros count
    return None if digits is None else float(number) + float(f"0.{str(digits)[1:]}")
