"""Single values as people write them: dates, lists, places."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Mapping

_DATE = re.compile(
    r"(?P<year>(?:19|20)\d{2})\s*(?:[年./\-]\s*(?P<month>\d{1,2})\s*(?:[月./\-]\s*(?P<day>\d{1,2})\s*日?)?\s*月?|年)?"
    r"(?:[T\s].*)?"
)
_COMPACT_DATE = re.compile(r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})?")
_SEPARATOR = re.compile(r"[;；、,，|\n]+")
# A comma divides where a Chinese name stands on one side of it; a slash, where on both.
_HAN = r"\u4e00-\u9fff"
_NAME_SEPARATOR = re.compile(rf"[;；、，|\n]+|(?<=[{_HAN})）])\s*/\s*(?=[{_HAN}])|(?<=[{_HAN}）])\s*,|,\s*(?=[{_HAN}])")
_CITY = re.compile(r"^([\u4e00-\u9fff]{2,8}?(?:市|自治州|地区|盟))")
_COUNTY = re.compile(r"^([\u4e00-\u9fff]{1,10}?(?:自治县|县|区|市|旗))")

PROVINCES: Mapping[str, str] = {
    name[:3] if name.startswith(("内蒙古", "黑龙江")) else name[:2]: name
    for name in [
        "北京市",
        "天津市",
        "河北省",
        "山西省",
        "内蒙古自治区",
        "辽宁省",
        "吉林省",
        "黑龙江省",
        "上海市",
        "江苏省",
        "浙江省",
        "安徽省",
        "福建省",
        "江西省",
        "山东省",
        "河南省",
        "湖北省",
        "湖南省",
        "广东省",
        "广西壮族自治区",
        "海南省",
        "重庆市",
        "四川省",
        "贵州省",
        "云南省",
        "西藏自治区",
        "陕西省",
        "甘肃省",
        "青海省",
        "宁夏回族自治区",
        "新疆维吾尔自治区",
        "台湾省",
        "香港特别行政区",
        "澳门特别行政区",
    ]
}
_MUNICIPALITIES = frozenset({"北京市", "天津市", "上海市", "重庆市"})
# Places in Qinghai whose names begin like provinces.
_NO_PROVINCES = ("海南藏族", "河南蒙古族")


def parse_date(text: str) -> str | None:
    """A date as ISO text, as precise as it was written: ``2024``, ``2024-03`` or ``2024-03-05``.

    Reads 2024年3月5日, 2024.3.5, 2024/3/5, 2024-03, 20240305, 202403, 2024年, 2024年底, 2024 and ISO times.

    :returns: None if the text is no date, or none that exists.
    """
    text = unicodedata.normalize("NFKC", text).strip().replace("年底", "年12月").replace("月底", "月")
    found = _COMPACT_DATE.fullmatch(text) or _DATE.fullmatch(text)
    if not found:
        return None
    year, month, day = (int(found[name]) if found[name] else None for name in ("year", "month", "day"))
    try:
        datetime.date(year or 1, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None
    parts = [f"{year:04d}", *(f"{part:02d}" for part in (month, day) if part is not None)]
    return "-".join(parts)


def parse_list(text: str) -> tuple[str, ...]:
    """Items separated by ；、，| or line breaks, without repeats."""
    return tuple(dict.fromkeys(item.strip() for item in _SEPARATOR.split(text) if item.strip()))


def parse_names(text: str) -> tuple[str, ...]:
    """Names of organisations; a comma inside a Latin name (``Foo Co., Ltd.``) does not divide."""
    return tuple(dict.fromkeys(item.strip() for item in _NAME_SEPARATOR.split(text) if item.strip()))


def parse_province(text: str) -> str | None:
    """The full name of the province that a text starts with, or None."""
    text = text.strip()
    for short in (text[:3], text[:2]):
        if short in PROVINCES and not text.startswith(_NO_PROVINCES):
            return PROVINCES[short]
    return None


def parse_region(text: str) -> tuple[str | None, str | None, str | None]:
    """Province, city and county out of one text such as 四川省巴中市南江县; None where not named."""
    rest = unicodedata.normalize("NFKC", text).replace(" ", "").replace("/", "").replace("-", "")
    province = parse_province(rest)
    if province:
        full = rest.startswith(province)
        short = next(key for key, name in PROVINCES.items() if name == province)
        # 吉林市 is a city that is called like its province.
        keeps = not full and rest.startswith(f"{short}市")
        rest = rest if keeps else rest[len(province) if full else len(short) :]
        rest = rest if full else rest.removeprefix("省").removeprefix("自治区")
    city = None
    if province in _MUNICIPALITIES:
        city = province
        rest = rest.removeprefix("市辖区").removeprefix(province or "")
    elif found := _CITY.match(rest):
        city = found[1]
        rest = rest[found.end() :]
    county = _COUNTY.match(rest.removeprefix("市辖区"))
    return province, city, county[1] if county else None


def name_key(name: str) -> str:
    """What two spellings of one organisation's name have in common: width, case, blanks and brackets."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s()\[\]（）【】·.,，。]+", "", folded)


def harmless(text: str) -> str:
    """A cell that a spreadsheet will not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
