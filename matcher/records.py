"""What is true of every achievement, patent, need and institution, checked once, at the door."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from matcher.dates import Period, parse_period
from matcher.errors import InvalidRecord
from matcher.ipc import parse_ipc
from matcher.money import parse_money
from matcher.names import split_former
from matcher.normal import clean, storable
from matcher.regions import Region, parse_province, place
from matcher.values import name_key, parse_list, parse_names

Kind = Literal["achievement", "patent", "need", "institution"]
Visibility = Literal["public", "intermediaries", "private"]
KINDS: tuple[Kind, ...] = get_args(Kind)
OFFER_KINDS: tuple[Kind, ...] = ("achievement", "patent")
KIND_NAMES: Mapping[Kind, str] = {
    "achievement": "科技成果",
    "patent": "专利",
    "need": "技术需求",
    "institution": "机构",
}
PROGRAMME_NAMES: Mapping[str, str] = {
    "agriculture": "现代农业",
    "food": "食品饮料",
    "biomedicine": "生物医药（现代中药）",
    "energy_materials": "新能源新材料",
    "machinery": "机械制造",
    "environment": "节能环保",
    "traditional": "传统优势特色产业改造提升",
}
PROGRAMME_CODES = tuple(PROGRAMME_NAMES)
# 是 and 否 answer the column 是否公开.
VISIBILITIES: Mapping[str, Visibility] = {
    "public": "public",
    "公开": "public",
    "是": "public",
    "完全公开": "public",
    "intermediaries": "intermediaries",
    "仅中介": "intermediaries",
    "仅中介可见": "intermediaries",
    "定向公开": "intermediaries",
    "private": "private",
    "不公开": "private",
    "否": "private",
    "保密": "private",
    "仅自己可见": "private",
}

TITLE_LIMIT = 500
ABSTRACT_LIMIT = 20_000
# As wide as the store's columns: PostgreSQL refuses what is longer, SQLite would keep it.
SOURCE_LIMIT = 200
SOURCE_ID_LIMIT = 200
PLACE_LIMIT = 64
NAME_LIMIT = 200
_PREFIX: Mapping[Kind, str] = {"achievement": "ach", "patent": "pat", "need": "need", "institution": "org"}
# Bodies that say nothing; platforms fill empty boxes with them.
_JUNK_BODY = re.compile(
    r"(?:未提供|暂无|无|略|见附件|详见附件|同上|没有|不详|N/?A|null|none|[\W_\d]*)[。.；;\s]*", re.I
)


# Texts of a record of any kind that people write freely, and may put personal data into.
FREE_TEXTS = ("title", "abstract", "maturity", "cooperation", "status", "industry", "budget", "legal_status")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What all four kinds share.

    :param source: names the file or system it came from; unique together with `source_id`.
    :param abstract: the body; empty where the source had none worth reading.
    :param institution: owner of an offer, the asking enterprise of a need, None when unknown.
    :param region_code: of GB/T 2260, of the smallest of province, city and county that is known for certain.
    :param date: ISO text of any precision: completion, publication.
    :param programmes: codes that the source itself declared.
    """

    kind: Kind
    source: str
    source_id: str
    title: str
    abstract: str = ""
    institution: str | None = None
    co_institutions: tuple[str, ...] = ()
    province: str | None = None
    city: str | None = None
    county: str | None = None
    region_code: str | None = None
    date: str | None = None
    keywords: tuple[str, ...] = ()
    programmes: tuple[str, ...] = ()
    url: str | None = None
    visibility: Visibility = "public"

    @property
    def id(self) -> str:
        """The public id: the same in every installation that loads the same source."""
        if self.kind == "institution":
            return institution_id(self.title)
        return f"{_PREFIX[self.kind]}-{_digest(self.source, self.source_id)}"

    @property
    def content_hash(self) -> str:
        """Changes when anything of the record does."""
        return hashlib.sha256(json.dumps(asdict(self), ensure_ascii=False, sort_keys=True).encode()).hexdigest()

    def details(self) -> dict[str, Any]:
        """The fields that only this kind has."""
        common = {field.name for field in fields(Record)}
        return {name: value for name, value in asdict(self).items() if name not in common}


@dataclass(frozen=True, kw_only=True)
class Achievement(Record):
    """A research result (科技成果).

    :param status: of its transfer, as the source says it; 已签约 and the like end it.
    """

    kind: Kind = "achievement"
    maturity: str | None = None
    cooperation: str | None = None
    status: str | None = None


@dataclass(frozen=True, kw_only=True)
class Patent(Record):
    """A patent (专利) or an application for one.

    :param ipc: symbols as `matcher.ipc.parse_ipc` writes them.
    """

    kind: Kind = "patent"
    publication_number: str | None = None
    application_number: str | None = None
    ipc: tuple[str, ...] = ()
    legal_status: str | None = None
    application_date: str | None = None
    publication_date: str | None = None
    inventors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Need(Record):
    """What an enterprise asks for (企业技术需求).

    :param budget: as it was written; `budget_min` and `budget_max` are what it says in yuan, None where it says
        nothing, and `negotiable` whether it is to be talked about.
    :param deadline: by when it wants a solution, ISO text of any precision.
    :param expires: until when it wants to be found, likewise.
    """

    kind: Kind = "need"
    industry: str | None = None
    budget: str | None = None
    budget_min: int | None = None
    budget_max: int | None = None
    negotiable: bool = False
    cooperation: str | None = None
    deadline: str | None = None
    expires: str | None = None


@dataclass(frozen=True, kw_only=True)
class Institution(Record):
    """A university, institute, hospital or enterprise; its name is its title."""

    kind: Kind = "institution"
    type: str | None = None
    aliases: tuple[str, ...] = ()


RECORD_TYPES: Mapping[Kind, type[Record]] = {
    "achievement": Achievement,
    "patent": Patent,
    "need": Need,
    "institution": Institution,
}


def institution_id(name: str) -> str:
    """The public id of an institution, from its name alone."""
    return f"{_PREFIX['institution']}-{_digest(name_key(name))}"


def kind_of(id_: str) -> Kind | None:
    """What a public id is of; None for what is none."""
    return next((kind for kind, prefix in _PREFIX.items() if id_.startswith(f"{prefix}-")), None)


def derived_source_id(title: str, institution: str | None) -> str:
    """The source id of a record to which its source gave none."""
    return _digest(name_key(title), name_key(institution or ""))


def embedded_text(title: str, abstract: str) -> str:
    """The text that a record's body vector stands for."""
    return f"{title}。{abstract}" if abstract else title


def parse_record(kind: Kind, values: Mapping[str, str], source: str) -> tuple[Record, str | None]:
    """Check one row and make it a record.

    :param values: field name to raw text, as `matcher.readers.ColumnMap.apply` gives them.
    :returns: the record, and its contact, which lives apart from the text.
    :raises InvalidRecord: naming the field and the reason in Chinese.
    """
    values = {field: storable(text) for field, text in values.items()}
    # Part of every id: a half surrogate, as in a file name of another encoding, is written out, not dropped.
    source = storable(source.encode("utf-8", "backslashreplace").decode())
    _check_length("来源", source, SOURCE_LIMIT, "请用 --source 指定一个较短的名称")
    title = clean(values.get("title", "")).replace("\n", " ")
    former = None
    if kind == "institution":
        title, former = split_former(title)
    if not title:
        raise InvalidRecord("名称" if kind == "institution" else "标题", "为空；每条记录都须有标题")
    if len(title) > TITLE_LIMIT:
        raise InvalidRecord("标题", f"长 {len(title)} 字，超过 {TITLE_LIMIT} 字；请把正文放到摘要列")
    abstract = clean(values.get("abstract", ""))
    if len(abstract) > ABSTRACT_LIMIT:
        raise InvalidRecord("正文", f"长 {len(abstract)} 字，超过 {ABSTRACT_LIMIT} 字；请只保留技术内容")
    if _JUNK_BODY.fullmatch(abstract) or abstract == title:
        abstract = ""
    if kind == "institution":
        _check_names("名称", [title])
    owners = parse_names(values.get("institution", ""))
    _check_names("单位", owners)
    region = _place(values)
    common: dict[str, Any] = {
        "source": source,
        "title": title,
        "abstract": abstract,
        "institution": owners[0] if owners else None,
        "co_institutions": owners[1:],
        "province": region.province,
        "city": region.city,
        "county": region.county,
        "region_code": region.code,
        "date": _date(values, "date", "日期"),
        "keywords": parse_list(values.get("keywords", "")),
        "programmes": _programmes(values.get("programmes", "")),
        "url": values.get("url") or None,
        "visibility": _visibility(values.get("visibility", "")),
    }
    record_type = RECORD_TYPES[kind]
    own = {name: parse(values) for name, parse in _OWN_FIELDS[kind].items()}
    if former:
        own["aliases"] = tuple(dict.fromkeys((*own["aliases"], former)))
    _check_names("别名", own.get("aliases", ()))
    if kind == "patent":
        common["date"] = common["date"] or own["publication_date"] or own["application_date"]
    source_id = values.get("source_id") or own.get("publication_number") or own.get("application_number")
    source_id = source_id or derived_source_id(title, common["institution"])
    _check_length("编号", source_id, SOURCE_ID_LIMIT, "请检查是否对错了列")
    return record_type(**common, **own, source_id=source_id), values.get("contact") or None


def _digest(*parts: str) -> str:
    raw = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=8).digest()
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _place(values: Mapping[str, str]) -> Region:
    province, city, county = (
        "" if _JUNK_BODY.fullmatch(values.get(field, "")) else values[field] for field in ("province", "city", "county")
    )
    if province and not parse_province(province):
        raise InvalidRecord("省份", f"“{province[:20]}”不是省级行政区；请写“四川省”这样的名称，或留空")
    for name, text in (("城市", city), ("区县", county)):
        _check_length(name, text, PLACE_LIMIT, "请只写地名")
    return place(province, city, county, values.get("region", ""))


def _check_length(field: str, text: str, limit: int, advice: str) -> None:
    if len(text) > limit:
        raise InvalidRecord(field, f"长 {len(text)} 字，超过 {limit} 字；{advice}")


def _check_names(field: str, names: Iterable[str]) -> None:
    """Organisations are known by the key of their name, and a key may be longer than its name: ㈱ is (株)."""
    for name in names:
        _check_length(field, max(name, name_key(name), key=len), NAME_LIMIT, "请只写名称，多个名称用分号隔开")


def _date(values: Mapping[str, str], field: str, name: str) -> str | None:
    """The day of a field; of a period, such as that of the research, its last one."""
    period = _period(values, field, name)
    return period and (period.end or period.start)


def _until(values: Mapping[str, str], field: str, name: str) -> str | None:
    # "长期有效" and the like are answers, not mistakes.
    if not any(c.isdigit() for c in values.get(field, "")):
        return None
    period = _period(values, field, name)
    return period and period.end


def _period(values: Mapping[str, str], field: str, name: str) -> Period | None:
    text = values.get(field, "").strip()
    if not text or (_JUNK_BODY.fullmatch(text) and not any(c.isdigit() for c in text)):
        return None
    period = parse_period(text)
    if period is None:
        raise InvalidRecord(name, f"“{text[:20]}”不是日期；请写成 2024-03-05、2024年3月 或 20240305")
    return period


def _programmes(text: str) -> tuple[str, ...]:
    """Codes of the programmes that the source names; other funding schemes' names are none of ours."""
    named = {name: code for code, name in PROGRAMME_NAMES.items()} | {code: code for code in PROGRAMME_CODES}
    return tuple(dict.fromkeys(named[item] for item in parse_list(text) if item in named))


def _visibility(text: str) -> Visibility:
    text = text.strip()
    if not text:
        return "public"
    if text not in VISIBILITIES:
        raise InvalidRecord("公开范围", f"“{text[:20]}”无法识别；可写“公开”“仅中介可见”或“不公开”")
    return VISIBILITIES[text]


def _text(field: str) -> Callable[[Mapping[str, str]], str | None]:
    return lambda values: values.get(field) or None


def _list(field: str) -> Callable[[Mapping[str, str]], tuple[str, ...]]:
    return lambda values: parse_list(values.get(field, ""))


def _publication_number(values: Mapping[str, str]) -> str | None:
    number = re.sub(r"\s+", "", values.get("publication_number", "")).upper()
    kind_code = values.get("kind_code", "").strip().upper()
    return (number + kind_code if number and number[-1:].isdigit() else number) or None


_OWN_FIELDS: Mapping[Kind, Mapping[str, Callable[[Mapping[str, str]], Any]]] = {
    "achievement": {
        "maturity": _text("maturity"),
        "cooperation": _text("cooperation"),
        "status": _text("status"),
    },
    "patent": {
        "publication_number": _publication_number,
        "application_number": _text("application_number"),
        "ipc": lambda values: parse_ipc(values.get("ipc", "")),
        "legal_status": _text("legal_status"),
        "application_date": lambda values: _date(values, "application_date", "申请日"),
        "publication_date": lambda values: _date(values, "publication_date", "公开日"),
        "inventors": _list("inventors"),
    },
    "need": {
        "industry": _text("industry"),
        "budget": _text("budget"),
        "budget_min": lambda values: parse_money(values.get("budget", "")).low,
        "budget_max": lambda values: parse_money(values.get("budget", "")).high,
        "negotiable": lambda values: parse_money(values.get("budget", "")).negotiable,
        "cooperation": _text("cooperation"),
        "deadline": lambda values: _until(values, "deadline", "截止日期"),
        "expires": lambda values: _until(values, "expires", "有效期"),
    },
    "institution": {"type": _text("type"), "aliases": _list("aliases")},
}
