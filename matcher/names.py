"""Names of organisations: which spellings and which parts belong to one of them.

A wrong merge puts one institution's achievements under another's name, so whatever is in doubt stays apart:
hospitals, institutes, branches and colleges with a legal person of their own (四川大学华西医院, 浙江大学城市学院),
subsidiaries (某某（成都）有限公司), and what stands in brackets (中国石油大学（华东）).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

# No organisation's name is longer, and the patterns look only at names.
_LIMIT: Final = 100

_COMPANY: Final = re.compile(r"(?:股份有限公司|有限责任公司|有限公司)$")
# The form of a company changes when it goes public, its name does not; but 某某集团股份有限公司 is often the listed
# subsidiary of 某某集团有限公司.
_COMPANY_FORMS: Final = ("有限公司", "有限责任公司", "股份有限公司")
_GROUP_FORMS: Final = ("有限公司", "有限责任公司")
_GROUP: Final = re.compile(r"集团\)?$")

_FORMER: Final = re.compile(
    r"(?P<name>[^()]{2,60}(?:\([^()]{1,20}\)[^()]{0,20})?)\((?:原名称?|曾用名|更名前|前身|原)[:为是]?(?P<former>[^()]{4,60})\)"
)

# Disciplines that departments are called after. 经济, 管理, 信息, 科技, 工程 and 医学 alone are not among them:
# independent colleges bear them (安徽农业大学经济技术学院, 贵州大学科技学院).
_DISCIPLINE: Final = (
    "材料|高分子|化学|化工|制药|药|机械|机电|电气|电子|自动化|控制|计算机|软件|人工智能|网络空间安全|土木|建筑|水利|水电|水产|环境|生态|资源|能源|动力"
    "|生命|生物|食品|农|林|园艺|园林|风景|动物|植物|作物|畜牧|兽医|动医|草业|茶|蚕|纺织|轻纺|皮革|地质|地球|石油|油气|矿业|测绘|冶金|物理"
    "|数学|统计|力学|空天|航空|航天|车辆|汽车|交通|船舶|海洋|核|光学|通信|口腔|护理|公共卫生|中医|中药|针灸"
)
_JOIN: Final = "与|及|和|科学|工程|技术|学|保护|系统|设计|制造|信息|安全|医学|加工|城市规划|规划|管理|环保"
_CAMPUS: Final = r"(?!.{0,5}(?:学院|大学))[\u4e00-\u9fff]{2,6}校区|校本部"
_DEPARTMENT: Final = rf"(?:{_DISCIPLINE})(?:{_DISCIPLINE}|{_JOIN}){{0,12}}(?:学院|系)"
_GROUP_OF_PEOPLE: Final = (
    r"(?:(?!公司|集团|医院|附属|中学|小学|出版|研究院|研究生院|研究所|分校|基金|工厂|产业|科技园|孵化|学院|大学|学生|设计院|中心)"
    r"[\u4e00-\u9fffA-Za-z0-9]){0,30}(?:实验室|课题组|研究组|研究室|教研室|团队)"
)
_TAIL: Final = re.compile(rf"(?:{_CAMPUS})?(?:{_DEPARTMENT}){{0,2}}(?:{_GROUP_OF_PEOPLE})?")
# 全国大学生… is about students.
_UNIVERSITY: Final = re.compile(r"[\u4e00-\u9fff]{2,18}?大学(?!大学|生(?![命物态理]))")
_SCHOOL_CAMPUS: Final = re.compile(rf"(?P<school>[\u4e00-\u9fff]{{2,18}}?(?:学院|学校))(?:{_CAMPUS})")
_BRACKETED_TAIL: Final = re.compile(r"\(([^()]+(?:校区|校本部|学院|系|实验室|课题组|团队))\)$")


class Names(NamedTuple):
    """The names by which an institution is looked for.

    :param name: the one to create it under.
    :param others: other names of the very same institution.
    """

    name: str
    others: tuple[str, ...]


def institution_names(name: str) -> Names:
    """Whose achievement it is that a record says is this organisation's.

    四川农业大学成都校区 and 四川大学化学学院某某课题组 are their universities', a company that is written with another
    form of 有限公司 is the same, and of 某某大学（原某某学院） both names are.
    """
    current, former = split_former(name)
    mother = mother_name(current)
    if mother:
        return Names(mother, ())
    others = (*company_forms(current), *((former, *company_forms(former)) if former else ()))
    return Names(current, tuple(dict.fromkeys(other for other in others if other != current)))


def split_former(name: str) -> tuple[str, str | None]:
    """The name of today and the one before it, of 某某大学（原某某学院）; None where no other is named."""
    found = _FORMER.fullmatch(_folded(name))
    return (found["name"], found["former"]) if found else (name, None)


def company_forms(name: str) -> tuple[str, ...]:
    """The other ways of writing the form of a company: 有限公司, 有限责任公司, 股份有限公司."""
    found = _COMPANY.search(name)
    if not found or len(name) > _LIMIT:
        return ()
    stem = name[: found.start()]
    forms = _GROUP_FORMS if _GROUP.search(_folded(stem)) else _COMPANY_FORMS
    return tuple(stem + form for form in forms if form != found[0]) if found[0] in forms else ()


def mother_name(name: str) -> str | None:
    """The university or college that a campus, department, laboratory or group is part of; None for all others."""
    text = _BRACKETED_TAIL.sub(r"\1", _folded(name))
    if found := _UNIVERSITY.match(text):
        tail = text[found.end() :]
        if tail and _TAIL.fullmatch(tail):
            return found[0]
    found = _SCHOOL_CAMPUS.fullmatch(text)
    return found["school"] if found else None


def _folded(name: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", name)) if len(name) <= _LIMIT else ""
