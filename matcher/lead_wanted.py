"""Which leads somebody wants: a question of two sides, offers and needs, each wide or narrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from matcher.errors import InvalidLead
from matcher.rank import LEVELS
from matcher.records import PROGRAMME_CODES
from matcher.regions import parse_region

# What a list shows: everything, taken leads last; only what is open to the viewer; only what is new to everybody.
Show = Literal["all", "open", "new"]
SHOWS: tuple[Show, ...] = get_args(Show)
DEFAULT_LEVEL = 3
DEFAULT_ROWS = 50
MOST_ROWS = 500
# As long as an id or the name of an organisation may be.
SCOPE_LIMIT = 200
SCOPES = ("offer", "institution", "programme", "county", "need", "enterprise", "region")


@dataclass(frozen=True, kw_only=True)
class LeadsWanted:
    """A list of leads that somebody wants. What is None does not restrict its side.

    :param offer: id of an achievement or patent; `institution` id or name of its owner; `programme` a code;
        `county` name or code of GB/T 2260 of a place of any size. These four narrow the offers.
    :param need: id of a need; `enterprise` id or name of who asks; `region` a place, as `county`. These three
        narrow the needs.
    :param limit: rows at most.
    """

    offer: str | None = None
    institution: str | None = None
    programme: str | None = None
    county: str | None = None
    need: str | None = None
    enterprise: str | None = None
    region: str | None = None
    min_level: int = DEFAULT_LEVEL
    limit: int = DEFAULT_ROWS
    show: Show = "all"

    def as_json(self) -> dict[str, Any]:
        """For the store; `from_json` reads it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LeadsWanted:
        """What `as_json` made, also in an earlier version: what is no longer asked for is left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def check_wanted(wanted: LeadsWanted) -> None:
    """Refuse a list that cannot be drawn.

    :raises InvalidLead: naming the field and the reason.
    """
    given = {name: value for name in SCOPES if (value := getattr(wanted, name)) is not None}
    if not given:
        raise InvalidLead("范围", f"请至少指明一项：{'、'.join(SCOPES)}")
    for name, value in given.items():
        if not 1 <= len(value.strip()) <= SCOPE_LIMIT or not value.isprintable():
            raise InvalidLead(name, f"应为 1 到 {SCOPE_LIMIT} 个字，不含换行等控制字符")
    if wanted.programme is not None and wanted.programme not in PROGRAMME_CODES:
        raise InvalidLead("programme", f"“{wanted.programme[:20]}”无法识别；可用的值有 {'、'.join(PROGRAMME_CODES)}")
    for name in ("county", "region"):
        if name in given:
            place_of(name, given[name])
    if wanted.min_level not in LEVELS:
        raise InvalidLead("min_level", f"为 {wanted.min_level}；应为 1（无相关）、2、3 或 4（强相关）")
    if not 1 <= wanted.limit <= MOST_ROWS:
        raise InvalidLead("limit", f"为 {wanted.limit}；应在 1 到 {MOST_ROWS} 之间")
    if wanted.show not in SHOWS:
        raise InvalidLead("show", f"“{wanted.show[:20]}”无法识别；可用的值有 {'、'.join(SHOWS)}")


def place_of(field: str, text: str) -> tuple[str, str]:
    """A place as (digits that its code and those of all within begin with, its name); one of the two is empty.

    :raises InvalidLead: if the text names no place.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        if len(text) in (2, 4, 6):
            return _significant(text), ""
        raise InvalidLead(
            field, f"“{text[:20]}”不是区划代码；应为 2、4 或 6 位数字，或写“四川省巴中市通江县”这样的名称"
        )
    found = parse_region(text)
    if found.code:
        return _significant(found.code), ""
    name = found.county or found.city
    if not name:
        raise InvalidLead(field, f"“{text[:20]}”不是地名；请写“四川省巴中市通江县”这样的名称，或区划代码")
    return "", name


def _significant(code: str) -> str:
    while code.endswith("00") and len(code) > 2:
        code = code[:-2]
    return code
