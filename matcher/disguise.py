"""Hides an enterprise's own name in its own text, for those who may read the need but not learn whose it is."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from matcher.regions import parse_region
from matcher.shadow import Shadow
from matcher.text import domain_terms

SOMEBODY: Final = "某企业"

_FORMS: Final = (
    "股份有限责任公司|股份有限公司|有限责任公司|有限公司|股份公司|总公司|分公司|子公司|公司|专业合作社联合社|农民专业合作社"
    "|专业合作社|合作社|合伙企业|个体工商户|家庭农场|经营部|总厂|工厂|厂|集团|控股|实业|股份"
)
_FORM: Final = re.compile(f"(?:{_FORMS})$")
# What firms do, at the end of their names; with one of these an uncommon word makes a name.
_TRADES: Final = (
    "食品|饮料|酒业|茶业|茶叶|农业|农牧|牧业|渔业|林业|种业|粮油|药业|制药|医药|中药|生物|医疗|器械|化工|化学|新材料|材料|石墨|矿业"
    "|冶金|钢铁|铝业|建材|水泥|陶瓷|玻璃|机械|机电|机床|电机|电气|电器|电子|电力|电缆|仪器|仪表|汽车|动力|装备|设备|重工|模具|轴承|阀门"
    "|泵业|光电|新能源|能源|环保|环境|水务|纺织|服饰|服装|家具|包装|印刷|纸业|造纸|塑料|塑胶|橡胶|科技|技术|信息|软件|网络|通信|智能"
    "|数据|建设|建筑|工程|物流|贸易|商贸|投资|发展|开发|文化|旅游|实业|产业|生态|养殖|种植|果业|菌业|乳业|肉业|糖业|盐业|燃气|石油|航空"
    "|船舶|轨道|自动化|餐饮|精密|制造|碳素"
)
_TRADE: Final = re.compile(f"(?:{_TRADES})+$")
# Behind a brand these say that it is one.
_SAYS_BRAND: Final = f"(?=[ (]{{0,2}}(?:{_FORMS}|{_TRADES}|牌|品牌))"
_REGION: Final = re.compile("[\u4e00-\u9fff]{2,7}?(?:自治区|自治州|省|市|县|区|州|旗)")
_KIND_OF_PLACE: Final = re.compile("(?:自治区|自治州|[省市县区州旗])$")
_ASIDE: Final = re.compile(r"\([^()]*\)")
_SIGNS: Final = re.compile(r"[^\w]+|_")
# Between two characters of a name that the text writes in its own way.
_LOOSE: Final = r"(?:\([^()\n]{1,8}\)|[ \t()·.,&\-]{0,2})"
# A word that jieba's dictionary counted as often is everybody's: 绿色 2,851, 生态 2,000, 现代 9,035; 红光 258,
# 长虹 400 and 宏达 276 are not. Chosen between them.
COMMON_WORD: Final = 500
# Characters around a brand that are cut into words to see whether it stands alone.
_AROUND: Final = 8


def without_names(text: str, names: Iterable[str]) -> str:
    """Put 某企业 in place of an enterprise's own name, however much of it is written.

    The full name goes with and without its legal form and its place, in whatever width and with whatever
    brackets and blanks; so does its core, brand and trade together (红光食品), unless the brand is a common
    word (绿色食品). A brand alone goes where it is no word of the language; a word goes only in quotes, or
    before 公司, 牌 and the like.

    :param names: full names and aliases.
    """
    pattern = _pattern(tuple(dict.fromkeys(name for name in names if name.strip())))
    if pattern is None:
        return text
    shadow = Shadow.of(text)
    pieces: list[str] = []
    end = 0
    for found in pattern.finditer(shadow.text):
        if found["alone"] is not None and not _stands_alone(shadow.text, *found.span()):
            continue
        # 红光食品(四川) ends with the bracket that it opened.
        open_ends = found[0].count("(") > found[0].count(")") and shadow.text.startswith(")", found.end())
        start, stop = shadow.place(found.start(), found.end() + open_ends)
        pieces += (text[end:start], SOMEBODY)
        end = stop
    return "".join(pieces) + text[end:]


@dataclass
class _Written:
    """Patterns of what names may be written as.

    :ivar whole: those that are a name wherever they stand, with the length of what they match.
    :ivar placed: those that are one behind one of the `places`.
    :ivar alone: those that are one where no word reaches over their ends.
    """

    whole: dict[str, int] = field(default_factory=dict)
    placed: dict[str, int] = field(default_factory=dict)
    alone: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def take(self, name: str) -> None:
        """Take a name apart, which is one solid piece."""
        stem = name
        while (form := _FORM.search(stem)) and form.start() > 1:
            stem = stem[: form.start()]
        place = _leading_places(stem)
        trade = _TRADE.search(stem, len(place))
        brand = stem[len(place) : trade.start() if trade else len(stem)]
        if len(brand) < 2:
            # Nothing but the trade is left of 通江食品: the place is the brand.
            place, brand = "", stem
        core = stem[len(place) :]
        if len(name) > 3 or stem != name:
            self.whole[_loose(name)] = len(name)
        self.places |= {_loose(part): len(part) for part in _parts_of(place)}
        if not _is_common(brand):
            self._take_brand(core, brand)
        elif place:
            behind = "" if len(core) > 3 else f"(?={_LOOSE}(?:{_FORMS}))"
            self.placed[_loose(core) + behind] = len(core)

    def _take_brand(self, core: str, brand: str) -> None:
        if len(core) > 3:
            self.whole[_loose(core)] = len(core)
        if brand.isascii():
            edges = r"(?<![a-z0-9]){}(?![a-z0-9])" if len(brand) > 2 else f"(?<![a-z0-9]){{}}{_SAYS_BRAND}"
            self.whole[edges.replace("{}", _loose(brand), 1)] = len(brand)
            return
        self.whole[f"{_loose(brand)}{_SAYS_BRAND}"] = len(brand)
        self.whole[f'(?<=[“"「『]){_loose(brand)}(?=[”"」』])'] = len(brand)
        if not _known(brand):
            self.alone[_loose(brand)] = len(brand)

    def pattern(self) -> re.Pattern[str] | None:
        """All in one; `alone` is the group of what is to be looked at again."""
        if not self.whole and not self.placed:
            return None
        place = f"(?:(?:{_any(self.places)}){_LOOSE})"
        behind = f"(?:{_LOOSE}(?:{_FORMS})){{0,3}}"
        return re.compile(
            f"(?:{place}{{0,4}}(?:{_any(self.whole)})|{place}{{1,4}}(?:{_any(self.placed)})|(?P<alone>{_any(self.alone)})){behind}"
        )


@functools.lru_cache(maxsize=256)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    written = _Written()
    for name in names:
        form = Shadow.of(name).text
        for solid in {_SIGNS.sub("", form), _SIGNS.sub("", _ASIDE.sub("", form))} - {""}:
            written.take(solid)
    return written.pattern()


def _leading_places(stem: str) -> str:
    """The places that a name begins with, as long as a name is left."""
    end = 0
    for word, sort in _jieba().tag(stem, False):
        region = _REGION.match(stem, end)
        # jieba takes some brands for places: 雾里 is none of this country.
        place = sort == "ns" and any(parse_region(word))
        length = len(region[0]) if region else len(word) if place else 0
        if not length or len(stem) - end - length < 2:
            break
        end += length
        if length != len(word):
            return stem[:end] + _leading_places(stem[end:])
    return stem[:end]


def _parts_of(place: str) -> Iterator[str]:
    """Each place of a run such as 四川省巴中市, with and without what kind of place it is."""
    while place:
        region = _REGION.match(place)
        part = region[0] if region else _jieba().cut(place, False)[0]
        yield part
        if region and len(part) > 2:
            yield _KIND_OF_PLACE.sub("", part)
        place = place[len(part) :]


def _is_common(brand: str) -> bool:
    """Whether a brand is made of nothing but everybody's words."""
    jieba, terms = _jieba(), _terms()
    return all(
        word in terms or (jieba.has_word(word) and len(word) > 1 and jieba.suggest_freq(word) > COMMON_WORD)
        for word in jieba.cut(brand, False)
    )


def _known(brand: str) -> bool:
    return bool(_jieba().has_word(brand)) or brand in _terms()


def _stands_alone(text: str, start: int, stop: int) -> bool:
    """Whether no word reaches over an end of a piece: 交通威胁 does not name 通威."""
    earliest = max(0, start - _AROUND)
    ends = {0}
    for word in _jieba().cut(text[earliest : stop + _AROUND], False):
        ends.add(max(ends) + len(word))
    return start - earliest in ends and stop - earliest in ends


def _any(patterns: Mapping[str, int]) -> str:
    """One of these, longest first; with none, what never matches."""
    return "|".join(sorted(patterns, key=lambda pattern: (-patterns[pattern], pattern))) or "(?!)"


def _loose(name: str) -> str:
    return _LOOSE.join(map(re.escape, name))


@functools.cache
def _terms() -> frozenset[str]:
    return frozenset().union(*domain_terms().values())


@functools.cache
def _jieba() -> Any:
    import rjieba

    return rjieba.Jieba()
