"""Chinese numerals as numbers: 五十万, 伍拾万, 3千5百, 1.2亿, 二〇二四.

cn2an, the library for this, is not used: its wheel (0.5.24) also installs packages called `build`, `src` and
`example`, and it needs another that was last released in 2023.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_DIGITS: Final = {
    **dict(zip("零一二三四五六七八九", range(10), strict=True)),
    **dict(zip("〇壹贰叁肆伍陆柒捌玖", range(10), strict=True)),
    **{"○": 0, "两": 2, "貳": 2, "參": 3, "叄": 3, "陸": 6},
}
_NUMBER: Final = rf"(?:\d{{1,15}}(?:\.\d{{1,8}})?|[{''.join(_DIGITS)}])"
_ZERO: Final = "[零〇○]"
# What stands before 亿, between 亿 and 万, and after 万.
_SECTION: Final = re.compile(
    rf"(?P<zero>{_ZERO})?(?:(?P<thousands>{_NUMBER})[千仟])?(?:{_ZERO}?(?P<hundreds>{_NUMBER})[百佰])?"
    rf"(?:{_ZERO}?(?P<tens>{_NUMBER})?(?P<ten>[十拾]))?(?P<gap>{_ZERO})?(?P<ones>{_NUMBER})?"
)
_PARTS: Final = re.compile(r"(?:([^亿億万萬]+)[亿億])?(?:([^亿億万萬]+)[万萬])?([^亿億万萬]*)")
# Longer than any sum of money or date is written.
_LIMIT: Final = 40

#: The characters of a numeral, for a pattern's brackets.
NUMERAL_CHARACTERS: Final = f"{''.join(_DIGITS)}十拾百佰千仟万萬亿億"


def parse_numeral(text: str) -> Decimal | None:
    """The number that a numeral means; None if the text is none.

    Figures may stand among the characters (3千5百, 1.2亿). A last digit without a unit is one of the next
    lower unit, as it is spoken: 三百五 is 350, 一万二 is 12000; after 零 it is itself.
    """
    if not text or len(text) > _LIMIT:
        return None
    parts = _PARTS.fullmatch(text)
    if not parts:
        return None
    total, above = Decimal(0), 0
    for part, unit in zip(parts.groups(), (10**8, 10**4, 1), strict=True):
        if part:
            number = _section(part, above, last=unit == 1)
            if number is None:
                return None
            total += number * unit
            above = unit
    return total


def parse_digits(text: str) -> int | None:
    """The number whose digits are written one by one, as in a year: 二〇二四; None if the text is none."""
    if not 0 < len(text) <= _LIMIT or any(character not in _DIGITS for character in text):
        return None
    return int("".join(str(_DIGITS[character]) for character in text))


def _section(text: str, above: int, last: bool) -> Decimal | None:
    """A number below 10000, or in figures; `above` is the section's unit before it, 0 for none."""
    found = _SECTION.fullmatch(text)
    if not found:
        return None
    thousands, hundreds, tens, ones = (_value(found[name]) for name in ("thousands", "hundreds", "tens", "ones"))
    number = Decimal(0) + (thousands or 0) * 1000 + (hundreds or 0) * 100 + (tens or (1 if found["ten"] else 0)) * 10
    if ones is not None:
        spoken = ones < 10 and not found["ten"] and not found["gap"] and not found["zero"]
        if spoken and not last and (hundreds is not None or thousands is not None):
            # 三百五万 could be 350万 or 305万.
            return None
        if spoken and hundreds is not None:
            ones *= 10
        elif spoken and thousands is not None:
            ones *= 100
        elif spoken and above and not number:
            ones *= above // 10
    return number + (ones or 0)


def _value(text: str | None) -> Decimal | None:
    if text is None:
        return None
    return Decimal(_DIGITS[text]) if text in _DIGITS else Decimal(text)
