"""Sums of money as people write them, in yuan."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Final, NamedTuple

from matcher.numerals import NUMERAL_CHARACTERS, parse_numeral

# Longer than any budget is written; a paragraph about money names no single sum.
_LIMIT: Final = 60
# Above all budgets, and exact in every JSON reader.
_LARGEST: Final = 10**15

# A number without a unit beside one in 万 is in yuan from here on: 5000-1万元, but 100-50万 is in 万.
_PLAIN_YUAN: Final = 1000

_NEGOTIABLE: Final = re.compile(
    r"(?:价格|金额|具体|双方|可)*(?:面议|面谈|电议|协商|商议|商定|可议|议价|洽谈|另议|详谈)"
)
_CURRENCY: Final = re.compile(r"人民币|RMB|CNY|[¥￥]", re.IGNORECASE)
# What may stand around a sum without changing it.
_AROUND: Final = re.compile(
    r"拟?投入|预算|资金|投资|经费|金额|总额|总计|共计|合计|研发|意向|计划|左右|上下|大约|大概|约|近|为|共|在|之间|不?含税"
    r"|[:()\[\]。;\s]"
)
_SUM: Final = rf"[{NUMERAL_CHARACTERS}\d.]{{1,30}}[Ww]?"
_YUAN: Final = r"(?:元|圆|块钱|块)?[整正]?(?:人民币)?"
_RANGE: Final = re.compile(rf"(?P<low>{_SUM}){_YUAN}(?:-+|~+|—+|–|至|到)(?P<high>{_SUM})(?P<yuan>{_YUAN})")
_AT_LEAST: Final = r"(?:不低于|不少于|不小于|大于等于|大于|至少|最低|高于|超过|>=|≥|>|起)"
_AT_MOST: Final = r"(?:不超过|不高于|不多于|不大于|小于等于|小于|至多|最高|最多|低于|<=|≤|<|上限)"
_ONE: Final = re.compile(
    rf"(?P<least>{_AT_LEAST})?(?P<most>{_AT_MOST})?(?P<sum>{_SUM})(?P<more>[余多])?(?P<scale>[万亿]?)(?P<yuan>{_YUAN})"
    r"(?P<least_after>及?以上|起|\+)?(?P<most_after>及?以[内下]|之内|封顶)?"
)
_UNITS: Final = re.compile("[元圆块万萬亿億Ww]")
_GROUPED: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


class Money(NamedTuple):
    """What a text says about a sum.

    :param low: the least, `high` the most, in whole yuan; None where it is open or not said.
    :param negotiable: whether it is to be talked about (面议).
    """

    low: int | None = None
    high: int | None = None
    negotiable: bool = False


def parse_money(text: str) -> Money:
    """The sum that a text names: 50-100万元, 100万以上, 约30万, 1.2亿元, 人民币伍拾万元整, 面议.

    A text that names several sums, a price per piece or year, a number without a unit or a foreign currency
    names none: no unit and no rate of exchange is guessed.
    """
    if len(text) > _LIMIT:
        return Money()
    plain = unicodedata.normalize("NFKC", text)
    named = _AROUND.sub("", _GROUPED.sub("", _NEGOTIABLE.sub("", plain))).strip(",")
    # ¥500000 needs no 元.
    low, high = _sums(_CURRENCY.sub("", named), has_unit=bool(_CURRENCY.search(named)))
    return Money(low, high, negotiable=bool(_NEGOTIABLE.search(plain)))


def _sums(text: str, has_unit: bool) -> tuple[int | None, int | None]:
    if found := _RANGE.fullmatch(text):
        low, high = found["low"], found["high"]
        if not has_unit and not _UNITS.search(high + found["yuan"]):
            return None, None
        least, most = _yuan(low), _yuan(high)
        if least is not None and not _UNITS.search(low):
            # 50-100万: the unit belongs to both, unless the first would then be the larger.
            shared = _yuan(low + re.sub(r"[^万萬亿億Ww]", "", high)[-1:])
            if shared is not None and most is not None and (shared <= most or least < _PLAIN_YUAN):
                least = shared
        if least is None or most is None:
            return None, None
        return min(least, most), max(least, most)
    found = _ONE.fullmatch(text)
    if not found or not (has_unit or _UNITS.search(found["sum"] + found["scale"] + found["yuan"])):
        return None, None
    amount = _yuan(found["sum"] + found["scale"])
    if found["least"] or found["least_after"] or found["more"]:
        return (None, None) if found["most"] or found["most_after"] else (amount, None)
    if found["most"] or found["most_after"]:
        return None, amount
    return amount, amount


def _yuan(text: str) -> int | None:
    """A number in whole yuan; W stands for 万."""
    number: Decimal | None = parse_numeral(re.sub("[Ww]", "万", text))
    return int(number) if number is not None and number <= _LARGEST else None
