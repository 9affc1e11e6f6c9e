"""The summary for the bureau."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.schemas.examples import shown

_POLICY = {
    "title": "巴中市促进科技成果转移转化行动方案",
    "issuer": "巴中市科学技术局",
    "published": "2017-07-10",
    "until": "2020",
}
_TARGET = {
    "code": "conversions",
    "name": "科技成果在市内转化应用",
    "goal": 300,
    "unit": "项",
    "done": 12,
    "share": 0.04,
    "counted": "已与本市需求方签约的成果和专利，一项签约多次只计一次",
}
_FIGURES = {"offers": 166, "needs": 82, "leads": 310, "talks": 45, "signed": 12, "amount": 5_600_000, "major": 1}
_PROGRAMME = {"code": "agriculture", "name": "现代农业"} | _FIGURES
_REGION = {"code": "511922", "name": "南江县"} | _FIGURES
_SUMMARY: dict[str, Any] = {
    "day": "2026-11-23",
    "first": "2026-01-01",
    "last": None,
    "policy": _POLICY,
    "targets": [_TARGET],
    "programmes": [_PROGRAMME],
    "regions": [_REGION],
    "total": _FIGURES,
    "notes": ["只计公开和仅中介可见的记录；不公开的记录及其线索不计入任何数字。"],
}


class PolicyOut(BaseModel):
    """Where the targets come from."""

    model_config = shown("目标的出处", _POLICY)

    title: str = Field(description="文件名称")
    issuer: str = Field(description="公布单位")
    published: str = Field(description="公布日期")
    until: str = Field(description="期限（年）")


class TargetOut(BaseModel):
    """How far a target has been reached."""

    model_config = shown("一项目标及其完成情况", _TARGET)

    code: str = Field(description="目标代码")
    name: str = Field(description="目标名称")
    goal: int = Field(description="目标值")
    unit: str = Field(description="单位")
    done: int | None = Field(description="已完成；不由本平台统计时为 null")
    share: float | None = Field(description="完成率，1 为全部完成；不由本平台统计时为 null")
    counted: str = Field(description="统计口径")


class FiguresOut(BaseModel):
    """What there is, and what has come of it."""

    model_config = shown("一组数字", _FIGURES)

    offers: int = Field(description="成果和专利")
    needs: int = Field(description="需求")
    leads: int = Field(description="线索")
    talks: int = Field(description="洽谈过的线索")
    signed: int = Field(description="签约的线索")
    amount: int = Field(description="合同金额（元）")
    major: int = Field(description="引进转化的重大成果")


class CountsOut(FiguresOut):
    """The figures of one programme or county."""

    model_config = shown("一个专项或县区的数字", _PROGRAMME)

    code: str | None = Field(description="专项代码或行政区划代码；没有时为 null")
    name: str = Field(description="名称")


class SummaryAnswer(BaseModel):
    """All figures at one moment."""

    model_config = shown("汇总", _SUMMARY)

    day: str = Field(description="统计日期")
    first: str | None = Field(description="洽谈和签约的起始日期；不限时为 null")
    last: str | None = Field(description="洽谈和签约的截止日期；不限时为 null")
    policy: PolicyOut = Field(description="目标的出处")
    targets: list[TargetOut] = Field(description="各项目标")
    programmes: list[CountsOut] = Field(description="各专项，按政策文件的顺序；末项为未归入专项的")
    regions: list[CountsOut] = Field(description="各县区，按行政区划代码的顺序；其后为其他地区和未注明的")
    total: FiguresOut = Field(description="合计；属于多个专项的记录只计一次")
    notes: list[str] = Field(description="数字的含义")
