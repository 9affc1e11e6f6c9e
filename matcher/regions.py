"""Places as people write them: province, city and county with their code of GB/T 2260."""

from __future__ import annotations

import csv
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from matcher.values import PROVINCES

# Addresses name their place in the beginning.
_LIMIT: Final = 120
_NOT_IN_NAMES: Final = re.compile(r"[\s/\-·>、,|;:()]+")
_POSTAL_CODE: Final = re.compile(r"\d{6}(?!\d)")
_COUNTRY: Final = re.compile(r"中华人民共和国|中国")
_FREE_TRADE_ZONE: Final = re.compile(r"自由贸易试验区")
# What is taken for a city or a county that no table knows.
_CITY: Final = re.compile(r"[\u4e00-\u9fff]{2,8}?(?:市|自治州|地区|盟)")
_COUNTY: Final = re.compile(r"[\u4e00-\u9fff]{1,10}?(?:自治县|自治旗|县|区|市|旗)")
# Stands in addresses and tables where a city's districts begin; it is no place.
_SEAT: Final = "市辖区"

# What a city has beside its counties.
_ZONE: Final = re.compile(r"[\u4e00-\u9fff]{0,6}?(?:开发区|高新区|经开区|新区|园区|示范区|产业园|科技园|科学城)")

_KIND: Final = re.compile(r"(?:自治州|自治县|自治旗|特区|林区|地区|新区|盟|县|区|市|旗)$")
_PEOPLES: Final = (
    "蒙古|回|藏|维吾尔|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|哈萨克|傣|黎|傈僳|佤|畲|拉祜|水|东乡|纳西|景颇|柯尔克孜|土|达斡尔|仫佬|羌"
    "|布朗|撒拉|毛南|仡佬|锡伯|阿昌|普米|塔吉克|怒|鄂温克|保安|裕固|独龙|鄂伦春|各"
)
_PEOPLE: Final = re.compile(rf"(?:(?:{_PEOPLES})族|蒙古|哈萨克|柯尔克孜|维吾尔|塔吉克|锡伯)+(?=自治[州县旗])")
_AUTONOMOUS: Final = re.compile(r"自治(?=[州县旗]$)")

# Official names of a city's districts that mean nothing without the city.
_GENERIC: Final = frozenset({"城区", "郊区", "矿区", "东区", "西区"})
_MUNICIPALITIES: Final = frozenset({"北京市", "天津市", "上海市", "重庆市"})
# Places in Qinghai whose names begin like provinces.
_NO_PROVINCES: Final = ("海南藏族", "河南蒙古族", "海南州")
# One character for a province, as on number plates, and 内蒙; only where nothing else stands in the text.
_SIGN_ORDER: Final = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新台港澳"
_SIGNS: Final[Mapping[str, str]] = {
    **dict(zip(_SIGN_ORDER, PROVINCES.values(), strict=True)),
    **{
        sign: PROVINCES[short]
        for sign, short in zip("申蜀黔滇秦陇", ("上海", "四川", "贵州", "云南", "陕西", "甘肃"), strict=True)
    },
    "内蒙": PROVINCES["内蒙古"],
}


class Region(NamedTuple):
    """A place by its official names of today; what no table knows stands as it was written.

    :param code: six digits of GB/T 2260, of the smallest of the three that is known for certain.
    """

    province: str | None = None
    city: str | None = None
    county: str | None = None
    code: str | None = None


def parse_province(text: str) -> str | None:
    """The full name of the province that a text starts with, or that it is the sign of (川); None for no province."""
    text = text.strip()
    if text in _SIGNS:
        return _SIGNS[text]
    for short in (text[:3], text[:2]):
        if short in PROVINCES and not text.startswith(_NO_PROVINCES):
            return PROVINCES[short]
    return None


def parse_region(text: str) -> Region:
    """Province, city and county out of one text: 四川省巴中市南江县, 巴中南江, 南江县, 川, 610065 四川省成都市武侯区….

    Abbreviations and former names (郫县, 襄樊市) lead to the names of today. A name that several places bear
    leads to none of them: 鼓楼区 stays as it was written, without code, province and city.
    """
    return _parse(text[:_LIMIT])


# A file names few places, each of them often.
@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> Region:
    rest = unicodedata.normalize("NFKC", text).strip()
    rest = _POSTAL_CODE.sub("", rest, count=1) if rest[:6].isdigit() else rest
    rest = _NOT_IN_NAMES.sub("", rest)
    if country := _COUNTRY.match(rest):
        rest = rest[country.end() :]
    province, rest = _province(rest)
    table = _gazetteer()
    code = table.provinces[province] if province else ""
    city = province if province in _MUNICIPALITIES else None
    while rest:
        rest = rest.removeprefix(_SEAT)
        name, codes = table.longest(rest, code[:2] if code.endswith("0000") else code[:4])
        if not name:
            break
        found = _one_of(codes)
        if name in table.official and (found is None or (name in _GENERIC and not code[2:4].strip("0"))):
            return Region(province, city, name, code or None)
        if found is None or not _may_stand(table, name, found, rest, code):
            break
        code, rest = found, rest[len(name) :]
        province = table.names[f"{code[:2]}0000"]
        if not code.endswith("00"):
            upper = table.names.get(f"{code[:4]}00")
            return Region(province, province if province in _MUNICIPALITIES else upper, table.names[code], code)
        city = table.names[code]
    return _as_written(province, city, rest, code)


def name_of(code: str) -> str | None:
    """The full official name of a place by its code, with or without trailing zeros: 四川省巴中市南江县 for 511922."""
    names = _gazetteer().names
    code = code.ljust(6, "0")
    if code not in names:
        return None
    above = dict.fromkeys((f"{code[:2]}0000", f"{code[:4]}00", code))
    return "".join(names.get(part, "") for part in above)


def place(province: str = "", city: str = "", county: str = "", rest: str = "") -> Region:
    """The place that columns of a table name together; `rest` is an address or a place of any size.

    A column whose text no table knows, or that contradicts the larger place, stays as it was written.
    """
    found = Region()
    for level, text in (("province", province), ("city", city), ("county", county), ("", rest)):
        if text:
            found = _narrowed(found, text, level)
    return found


def counties(city: str) -> dict[str, str]:
    """The official names of a city's districts and counties by their codes, in the order of these.

    :param city: six digits, the last two of them zeros.
    """
    return {code: name for code, name in _gazetteer().names.items() if code[:4] == city[:4] and code != city}


def _narrowed(upper: Region, text: str, level: str) -> Region:
    names = _gazetteer().names
    code = upper.code or ""
    above = "".join(names.get(part, "") for part in dict.fromkeys((f"{code[:2]}0000", f"{code[:4]}00")) if code)
    inside, alone = parse_region(above + text), parse_region(text)
    # A text that names a place elsewhere says nothing about this one, unless it is the name of a place here too.
    elsewhere = not _agree(upper, alone) and _precision(inside) <= _precision(upper)
    read = [region for region in (inside, alone) if not elsewhere and _agree(upper, region)]
    best = max((*read, upper), key=_precision)
    # Names without a code add up.
    best = Region(best.province or upper.province, best.city or upper.city, best.county or upper.county, best.code)
    if level and getattr(best, level) is None:
        best = best._replace(**{level: text})
    return best


def _agree(one: Region, other: Region) -> bool:
    return all(a is None or b is None or a == b for a, b in zip(one[:3], other[:3], strict=True))


def _precision(region: Region) -> int:
    """How many levels are known for certain."""
    code = region.code or ""
    return sum(code[i : i + 2] not in ("", "00") for i in (0, 2, 4))


def _province(text: str) -> tuple[str | None, str]:
    """The province that a text begins with, and what follows."""
    province = parse_province(text)
    if province is None:
        return None, text
    if text in _SIGNS:
        return province, ""
    if text.startswith(province):
        rest = text[len(province) :]
    elif _gazetteer().longest(text, "")[0] in _gazetteer().official:
        # 吉林市, 河北区 and 海南区 are called like provinces.
        return None, text
    else:
        short = next(key for key, name in PROVINCES.items() if name == province)
        rest = text[len(short) :].removeprefix("省").removeprefix("自治区")
    rest = _FREE_TRADE_ZONE.sub("", rest, count=1) if rest.startswith("自由贸易试验区") else rest
    return province, rest.removeprefix(province) if province in _MUNICIPALITIES else rest


def _one_of(codes: Iterable[str]) -> str | None:
    """The only place among these, or the city that all others lie in."""
    first, *others = sorted(codes)
    return first if all(first.endswith("00") and other.startswith(first[:4]) for other in others) else None


def _may_stand(table: _Gazetteer, name: str, place: str, rest: str, within: str) -> bool:
    """Whether a name means its place here: a short one (巴中) could as well begin a street's name (海口路)."""
    if name in table.official or name in table.former:
        return True
    follows = rest[len(name) :]
    if not follows:
        return True
    if not place.endswith("00"):
        return False
    follows = follows.removeprefix(_SEAT)
    return bool(within or table.longest(follows, place[:4])[0] or _ZONE.match(follows))


def _as_written(province: str | None, city: str | None, rest: str, code: str) -> Region:
    if city is None and (found := _CITY.match(rest)):
        city, rest = found[0], rest[found.end() :]
    county = _COUNTY.match(rest.removeprefix(_SEAT))
    return Region(province, city, county[0] if county else None, code or None)


@dataclass(frozen=True)
class _Gazetteer:
    """The tables of `matcher/places/`, as they are looked up.

    :param names: official name by code.
    :param official: codes by official name; `former` by a name of the past; `short` by what is left of an
        official name without its kind and its peoples (巴中, 峨边县, 阿坝州).
    :param provinces: code by official name.
    """

    names: Mapping[str, str]
    official: Mapping[str, frozenset[str]]
    former: Mapping[str, frozenset[str]]
    short: Mapping[str, frozenset[str]]
    provinces: Mapping[str, str]
    longest_name: int

    def longest(self, text: str, within: str) -> tuple[str, frozenset[str]]:
        """The longest name that a text begins with, and the places of that name; empty if there is none.

        :param within: the digits that their codes begin with.
        """
        for length in range(min(len(text), self.longest_name), 1, -1):
            for table in (self.official, self.former, self.short):
                codes = table.get(text[:length], frozenset())
                inside = frozenset(code for code in codes if code.startswith(within) and code[2:] != "0000")
                if inside:
                    return text[:length], inside
        return "", frozenset()


@functools.cache
def _gazetteer() -> _Gazetteer:
    places = resources.files("matcher") / "places"
    names = {row["code"]: row["name"] for row in _rows(places / "divisions.csv")}
    official: dict[str, set[str]] = {}
    former: dict[str, set[str]] = {}
    short: dict[str, set[str]] = {}
    for code, name in names.items():
        official.setdefault(name, set()).add(code)
        people = _PEOPLE.sub("", name)
        for form in {_KIND.sub("", people), _AUTONOMOUS.sub("", people)} - {name}:
            if len(form) > 1:
                short.setdefault(form, set()).add(code)
    for row in _rows(places / "former.csv"):
        former.setdefault(row["name"], set()).add(row["code"])
    return _Gazetteer(
        names=names,
        official=_frozen(official),
        former=_frozen(former),
        short=_frozen(short),
        provinces={name: code for code, name in names.items() if code.endswith("0000")},
        longest_name=max(map(len, (*official, *former))),
    )


def _frozen(table: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(codes) for name, codes in table.items()}


def _rows(path: Traversable) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))
