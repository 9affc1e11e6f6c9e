"""What somebody wants to be told of, checked once, at the door."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from matcher.errors import InvalidSubscription
from matcher.normal import clean
from matcher.records import ABSTRACT_LIMIT, OFFER_KINDS, PROGRAMME_CODES, TITLE_LIMIT, Kind
from matcher.regions import name_of, parse_region
from matcher.subscribers import DEFAULT_MAIL_LEVEL, FREQUENCIES, FREQUENCY_NAMES, Follows, Frequency

FOLLOWS: tuple[Follows, ...] = get_args(Follows)
# Of what a mail may bring; institutions are named with the offers that they hold.
MAILED_KINDS: tuple[Kind, ...] = (*OFFER_KINDS, "need")
# Level 1 says that two texts have nothing to do with each other.
MAIL_LEVELS = (2, 3, 4)
# More than the provinces and fewer than the counties; who wants more wants the province.
REGION_LIMIT = 50
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to follow. Two wishes for the same thing are equal, however they were written.

    :param subject: id of the record or institution that is followed.
    :param title: of a text, as with a question.
    :param kinds: that a text looks for; offers where none is named. Records look for the other side.
    :param regions: codes of GB/T 2260 or names (四川省, 巴中市, 南江县); kept as codes without trailing zeros.
    :raises InvalidSubscription: naming the field and the reason.
    """

    follows: Follows
    subject: str | None = None
    title: str = ""
    text: str = ""
    kinds: tuple[Kind, ...] = ()
    programmes: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    min_level: int = DEFAULT_MAIL_LEVEL
    frequency: Frequency = "daily"

    def __post_init__(self) -> None:
        if self.follows not in FOLLOWS:
            raise InvalidSubscription("订阅方式", f"“{self.follows[:_SHOWN]}”无法识别；可用的值有 {'、'.join(FOLLOWS)}")
        self._set("title", clean(self.title).replace("\n", " ").strip())
        self._set("text", clean(self.text).strip())
        self._check_subject()
        self._set("kinds", _known("类型", self.kinds, MAILED_KINDS))
        if self.follows == "text":
            self._set("kinds", self.kinds or OFFER_KINDS)
        elif self.kinds:
            raise InvalidSubscription("类型", "只能与文字订阅一起使用；其他订阅总是寻找供需的另一方")
        self._set("programmes", _known("专项", self.programmes, PROGRAMME_CODES))
        if len(self.regions) > REGION_LIMIT:
            raise InvalidSubscription("地区", f"有 {len(self.regions)} 个，超过 {REGION_LIMIT} 个；请改选上一级地区")
        self._set("regions", _widest(region_prefix(text) for text in self.regions))
        if self.min_level not in MAIL_LEVELS:
            raise InvalidSubscription("最低关联度", f"为 {self.min_level}；应为 2（弱相关）、3 或 4（强相关）")
        if self.frequency not in FREQUENCIES:
            names = "、".join(f"{value}（{FREQUENCY_NAMES[value]}）" for value in FREQUENCIES)
            raise InvalidSubscription("频率", f"“{self.frequency[:_SHOWN]}”无法识别；可用的值有 {names}")

    def _check_subject(self) -> None:
        if self.follows == "text":
            if not self.text and not self.title:
                raise InvalidSubscription("文字", "为空；请写明关注什么技术或需求")
            if len(self.text) > ABSTRACT_LIMIT:
                raise InvalidSubscription("文字", f"长 {len(self.text)} 字，超过 {ABSTRACT_LIMIT} 字；请只写技术内容")
            if len(self.title) > TITLE_LIMIT:
                raise InvalidSubscription("标题", f"长 {len(self.title)} 字，超过 {TITLE_LIMIT} 字；长内容请放到文字")
        elif self.text or self.title:
            raise InvalidSubscription("文字", "只能与文字订阅一起使用")
        if (self.subject is not None) != (self.follows in ("record", "institution")):
            reason = "为空；请写明记录或机构的编号" if self.subject is None else "只能与记录或机构的订阅一起使用"
            raise InvalidSubscription("编号", reason)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def region_prefix(text: str) -> str:
    """The digits that the codes of all places within a place begin with: 51 for 四川省, 5119 for 巴中市.

    :param text: a name, or a code of two, four or six digits.
    :raises InvalidSubscription: if there is no such place, or several.
    """
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) in (2, 4, 6):
        prefix = _without_zeros(text)
        if name_of(prefix):
            return prefix
        raise InvalidSubscription("地区", f"没有代码为 {text} 的行政区；请用 GB/T 2260 的代码，或写地名")
    found = parse_region(text)
    code = found.code or ""
    # What no table knows is left as it was written, with the code of the larger place.
    vague = (found.county and code.endswith("00")) or (found.city not in (None, found.province) and code[2:4] == "00")
    if not code or vague:
        raise InvalidSubscription("地区", f"“{text[:_SHOWN]}”无法识别，或有几个同名的地方；请写全省、市、县的名称")
    return _without_zeros(code)


def _without_zeros(code: str) -> str:
    while len(code) > 2 and code.endswith("00"):
        code = code[:-2]
    return code


def _widest(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Without those that lie within another."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not (kept and prefix.startswith(kept[-1])):
            kept.append(prefix)
    return tuple(kept)


def _known(field: str, values: Iterable[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The values in their usual order, each once."""
    wanted = set(values)
    for value in wanted - set(allowed):
        raise InvalidSubscription(field, f"“{value[:_SHOWN]}”无法识别；可用的值有 {'、'.join(allowed)}")
    return tuple(value for value in allowed if value in wanted)
