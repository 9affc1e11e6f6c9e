"""Lists and names as people write them, and the provinces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_SEPARATOR = re.compile(r"[;；、,，|\n]+")
# A comma divides where a Chinese name stands on one side of it; a slash, where on both.
_HAN = r"\u4e00-\u9fff"
# Nothing divides within brackets, nor between the Academy of Sciences and those it keeps an institute with.
_NAME_SEPARATOR = re.compile(
    rf"(?:[;；，|\n]+|(?<!中国科学院)、|(?<=[{_HAN})）])\s*/\s*(?=[{_HAN}])|(?<=[{_HAN}）])\s*,|,\s*(?=[{_HAN}]))"
    r"(?![^()（）]{0,100}[)）])"
)

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


_FORMULA_SIGNS = tuple("=+-@\t\r＝＋－＠")


def parse_list(text: str) -> tuple[str, ...]:
    """Items separated by ；、，| or line breaks, without repeats."""
    return tuple(dict.fromkeys(item.strip() for item in _SEPARATOR.split(text) if item.strip()))


def parse_names(text: str) -> tuple[str, ...]:
    """Names of organisations; a comma inside a Latin name (``Foo Co., Ltd.``) does not divide, nor one in brackets."""
    return tuple(dict.fromkeys(item.strip() for item in _NAME_SEPARATOR.split(text) if item.strip()))


def name_key(name: str) -> str:
    """What two spellings of one organisation's name have in common: width, case, blanks and brackets."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s()\[\]（）【】·.,，。]+", "", folded)


def harmless(text: str) -> str:
    """A cell that a spreadsheet will not take for a formula, in whatever width its sign is written."""
    begins = text.lstrip(" \n\u3000")[:1] or text[:1]
    return f"'{text}" if begins in _FORMULA_SIGNS else text
