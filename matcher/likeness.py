"""Whether two records describe one thing: a few measures of likeness, weighed into a score.

All measures come from the texts and facts of the two records, none from the embedding model, so that the
threshold for merging without asking holds with any model. The weights are fitted by ``bench/duplicates.py``.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from matcher.patent_numbers import application, publication
from matcher.quantities import quantities, without_figures, without_part_numbers
from matcher.records import Patent, Record
from matcher.text import normalize, shingles
from matcher.values import name_key

FEATURES = (
    "title",
    "title_contained",
    "category",
    "contained",
    "contained_near",
    "figures",
    "other_owner",
)
# Bodies shorter than this say too little to tell one thing from its sibling.
BODY_LEAST = 40
SHINGLE = 3
# What is merged without asking shares this much of all that either body says. A shorter text may be a copy cut
# short, and may be an earlier application which a later one of the same title goes beyond: chosen after reading
# the likest real pairs.
SHARED_LEAST = 0.85
# What is left to differ counts by its order of magnitude: 1 % is to 5 % as 20 % is to all. Nothing counts as 1 %.
LEAST_DIFFERENCE = 0.01
# Without two bodies only the names speak: what equal titles are worth, by what is known of the owners. Chosen:
# one company has many patents of one title, so this is never enough to merge, and enough to ask for one owner.
TITLES_ALONE = {"same": 0.9, "unknown": 0.6, "other": 0.2}
# Dates further apart than this many years count as apart.
YEARS_APART = 1

_OPENING = re.compile(
    r"(?:本|该)(?:发明|实用新型|申请|公开|揭示|外观设计|成果|项目|技术)(?:的目的在于|具体)?"
    r"(?:公开|提供|涉及|提出|揭示|属于|是)?了?(?:一种|一项)?"
)
# What a company's name ends with says little: 某某科技有限公司, 某某股份有限公司 and 某某 are one.
_COMPANY = re.compile(r"(?<=..)(?:科技|技术|实业|发展|集团|控股|股份|有限|责任|总?公司)+$")
_ARTICLE = re.compile(r"^(?:一种|一类|一个|新型)+")
_METHOD = re.compile(r"方法|工艺|制法|流程|应用|用途")
_THING = re.compile(r"装置|设备|系统|机(?!理)|器|仪|产品|材料|组合物|结构|箱|线|炉|剂|品种")


@dataclass(frozen=True)
class Face:
    """What of a record is compared, made once and used for many pairs.

    :param title: its pairs of characters; `body` its runs of `SHINGLE`, empty where there is too little text.
    :param ways: of the two, method and thing, what its title says that it is.
    :param figures: of the body, see `matcher.quantities`.
    :param owners: keys of the organisations behind it.
    :param numbers: application and publication, as `matcher.patent_numbers` writes them.
    """

    kind: str
    name: str
    title: frozenset[str]
    ways: frozenset[str]
    body: frozenset[str]
    figures: frozenset[tuple[float, str]]
    owners: frozenset[str]
    year: int | None
    numbers: tuple[str | None, str | None]


@dataclass(frozen=True)
class Likeness:
    """How alike two records are.

    :param score: 0 to 1, the probability that they are one thing, as far as the pairs it was fitted to go.
    :param conflict: they carry the numbers of two different patents.
    :param mergeable: nothing but the score is wanting to merge them without asking: both say nearly the same, and
        no numbers speak against it.
    :param why: a Chinese sentence.
    """

    score: float
    conflict: bool
    mergeable: bool
    why: str
    features: Mapping[str, float]


@dataclass(frozen=True)
class Weights:
    """What the score is made of.

    :param automatic: from this score on a pair is merged without asking; `proposed` from this on it is shown.
    """

    coefficients: Sequence[float]
    intercept: float
    automatic: float
    proposed: float


@functools.cache
def weights() -> Weights:
    """The shipped weights."""
    raw: dict[str, Any] = json.loads(
        resources.files("matcher").joinpath("weights", "duplicates.json").read_text("utf-8")
    )
    return Weights(
        [raw["coefficients"][name] for name in FEATURES], raw["intercept"], raw["automatic"], raw["proposed"]
    )


def title_key(title: str) -> str:
    """What two ways to write one title have in common."""
    return _ARTICLE.sub("", "".join(re.findall(r"\w+", normalize(title).lower())))


def body_key(abstract: str) -> str:
    """What two ways to write one body have in common: no phrases of opening, part numbers and punctuation."""
    return _solid(without_part_numbers(normalize(abstract)))


def _solid(text: str) -> str:
    return "".join(re.findall(r"\w+", _OPENING.sub("", text).lower()))


def owner_key(name: str) -> str:
    """What two ways to write one organisation have in common, however much of a company's form is written out."""
    return _COMPANY.sub("", name_key(name))


def face_of(record: Record, institution_id: str | None = None) -> Face:
    """Make what is compared of a record.

    :param institution_id: of its owner where the store knows it, by whatever name.
    """
    name = title_key(record.title)
    text = normalize(record.abstract)
    # Figures may be written in many ways, and are compared by themselves.
    body = _solid(without_figures(without_part_numbers(text)))
    owners = {owner_key(owner) for owner in (record.institution, *record.co_institutions) if owner}
    is_patent = isinstance(record, Patent)
    return Face(
        kind=record.kind,
        name=name,
        title=frozenset(shingles(name, 2)),
        ways=frozenset(way for way, words in (("method", _METHOD), ("thing", _THING)) if words.search(name)),
        body=frozenset(shingles(body, SHINGLE)) if len(body) >= BODY_LEAST else frozenset(),
        figures=quantities(text),
        owners=frozenset(owners | ({institution_id} if institution_id else set())),
        year=int(record.date[:4]) if record.date else None,
        numbers=(
            application(record.application_number) if is_patent else None,  # type: ignore[attr-defined]
            publication(record.publication_number) if is_patent else None,  # type: ignore[attr-defined]
        ),
    )


def numbers_conflict(first: tuple[str | None, str | None], second: tuple[str | None, str | None]) -> bool:
    """Whether two patents' numbers (application, publication) are those of different applications."""
    if first[0] and second[0]:
        return first[0] != second[0]
    return bool(first[1] and second[1] and first[1] != second[1])


def measures(first: Face, second: Face) -> dict[str, float]:
    """How far two records agree, each measure between 0 and 1."""
    return {
        "title": _dice(first.title, second.title),
        "title_contained": _contained(first.title, second.title),
        "category": float(bool(first.ways and second.ways and not first.ways & second.ways)),
        "shared": _jaccard(first.body, second.body),
        "contained": _contained(first.body, second.body),
        "figures": 1.0 - _contained(first.figures, second.figures) if first.figures and second.figures else 0.0,
        "other_owner": float(_owners(first, second) == "other"),
    }


def evidence(found: Mapping[str, float]) -> list[float]:
    """What the score weighs of `measures`, in the order of `FEATURES`."""
    return [
        _near(found["title"]),
        _near(found["title_contained"]),
        found["category"],
        found["contained"],
        _near(found["contained"]),
        found["figures"],
        found["other_owner"],
    ]


def nearly_one(found: Mapping[str, float]) -> bool:
    """Whether two records say nearly the same with the same figures: one is enough to tell the next size."""
    return found["shared"] >= SHARED_LEAST and not found["figures"]


def compare(first: Face, second: Face) -> Likeness:
    """How alike two records of one kind are; the order does not matter."""
    features = measures(first, second)
    if first.body and second.body:
        own = weights()
        weighed = zip(own.coefficients, evidence(features), strict=True)
        logit = own.intercept + sum(weight * value for weight, value in weighed)
        score = 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))
    else:
        score = TITLES_ALONE[_owners(first, second)] * features["title"]
    conflict = numbers_conflict(first.numbers, second.numbers)
    mergeable = nearly_one(features) and not conflict
    return Likeness(round(score, 6), conflict, mergeable, _why(first, second, features, conflict), features)


def _why(first: Face, second: Face, features: Mapping[str, float], conflict: bool) -> str:
    title = "标题相同" if first.name == second.name else f"标题有 {features['title']:.0%} 的字词相同"
    if not (first.body and second.body):
        body = "至少一方没有可比的正文"
    elif features["shared"] > 0.995:
        body = "正文相同"
    elif features["contained"] - features["shared"] > 0.2:
        body = f"较短的正文有 {features['contained']:.0%} 出现在较长的正文中"
    else:
        body = f"正文有 {features['shared']:.0%} 的内容相同"
    parts = [title, body, {"same": "单位相同", "other": "单位不同", "unknown": "单位不全"}[_owners(first, second)]]
    if first.figures and second.figures:
        parts.append(f"指标数字有 {features['figures']:.0%} 对不上" if features["figures"] else "指标数字一致")
    if first.year and second.year and abs(first.year - second.year) > YEARS_APART:
        parts.append(f"年份不同（{first.year}、{second.year}）")
    if conflict:
        parts.append("但专利号不是同一件申请的")
    return "，".join(parts) + "。"


def _owners(first: Face, second: Face) -> str:
    """Whether the same organisation stands behind both: same, other or unknown."""
    if not (first.owners and second.owners):
        return "unknown"
    if first.owners & second.owners:
        return "same"
    return "other"


def _near(share: float) -> float:
    """How near a share is to all, 0 to 1, by the order of magnitude of what is left."""
    return -math.log10(min(1.0, 1 - share + LEAST_DIFFERENCE)) / 2


def _dice(first: frozenset[str], second: frozenset[str]) -> float:
    return 2 * len(first & second) / (len(first) + len(second)) if first or second else 0.0


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared) if shared else 0.0


def _contained(first: frozenset[Any], second: frozenset[Any]) -> float:
    least = min(len(first), len(second))
    return len(first & second) / least if least else 0.0
