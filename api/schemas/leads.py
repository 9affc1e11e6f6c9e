"""Leads: what is asked for, how they are listed, and how they live."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.schemas import examples
from api.schemas.asked import ProgrammeCode, Text
from api.schemas.examples import shown
from matcher.accounts import NAME_LIMIT as ACCOUNT_NAME_LIMIT
from matcher.lead_lists import NAME_LIMIT
from matcher.lead_states import AMOUNT_LIMIT, NOTE_LIMIT, Reason, Status
from matcher.lead_wanted import DEFAULT_LEVEL, DEFAULT_ROWS, MOST_ROWS, SCOPE_LIMIT, LeadsWanted, Show
from matcher.records import Kind

_NEED, _OFFER = examples.STORED_NEED, examples.ACHIEVEMENT
_SIDE_FIELDS = ("id", "kind", "kind_name", "title", "institution", "province", "city", "county")
_SIDE = {name: _OFFER[name] for name in _SIDE_FIELDS}
_PROGRAMME = {"code": "agriculture", "name": "现代农业"}
_PAIR: dict[str, Any] = {
    "enterprise": _NEED["institution"],
    "need": {name: _NEED[name] for name in _SIDE_FIELDS},
    "offer": _SIDE,
    "level": 4,
    "level_name": "强相关",
    "score": 0.91,
    "programmes": [_PROGRAMME],
    "region": "四川省绵阳市",
    "budget": "80 万元",
    "deadline": "2026-12-31",
}
_ROW: dict[str, Any] = {
    "id": "lead-1f2e3d4c5b6a7988",
    "group": _NEED["institution"]["id"],
    **_PAIR,
    "why": "共同涉及“银耳”“烘干”；原文：“以热泵代替燃煤，分三段控制温湿度”。",
    "new": True,
    "taken": False,
    "status": "new",
    "status_name": "新线索",
    "assignee": None,
}
_LEAD: dict[str, Any] = {
    "id": _ROW["id"],
    "status": "signed",
    "status_name": "已签约",
    **_PAIR,
    "listed_at": "2026-03-05T08:00:00+00:00",
    "claimed_until": None,
    "assignee": "巴州技术转移中心",
    "mine": True,
    "amount": 800_000,
    "signed_on": "2026-04-02",
    "major": False,
    "reason": None,
    "reason_name": None,
    "updated_at": "2026-04-02T03:00:00+00:00",
}
_STEP: dict[str, Any] = {
    "at": "2026-04-02T03:00:00+00:00",
    "by": "您",
    "status": "signed",
    "status_name": "已签约",
    "note": "技术许可合同，分两期付款。",
    "amount": 800_000,
    "signed_on": "2026-04-02",
    "major": False,
    "reason": None,
    "reason_name": None,
    "assigned_to": None,
    "lapsed": False,
}
_WANTED: dict[str, Any] = {"institution": "蜀北农林大学", "region": "四川省巴中市", "min_level": 3, "limit": 50}
_SAVED: dict[str, Any] = {
    "id": "list-1f2e3d4c5b6a7988",
    "name": "巴中的企业",
    "wanted": {**_WANTED, "show": "all"},
    "created_at": "2026-03-05T08:00:00+00:00",
    "drawn_at": None,
}


def _scope(description: str) -> Any:
    return Field(None, min_length=1, max_length=SCOPE_LIMIT, description=description)


class LeadsWantedIn(BaseModel):
    """Which leads somebody wants."""

    model_config = shown("要列出的线索：前四项限定成果和专利，后三项限定需求，至少写一项", _WANTED)

    offer: Text | None = _scope("成果或专利编号")
    institution: Text | None = _scope("持有单位的名称或编号")
    programme: ProgrammeCode | None = Field(None, description="成果和专利所属专项的代码")
    county: Text | None = _scope("成果和专利所在地：地名（任一级）或区划代码")
    need: Text | None = _scope("需求编号")
    enterprise: Text | None = _scope("提出需求的企业的名称或编号")
    region: Text | None = _scope("需求所在地：地名（任一级）或区划代码")
    min_level: int = Field(
        DEFAULT_LEVEL, ge=1, le=4, description="最低关联度：4 强相关，3 较强相关，2 弱相关，1 无相关"
    )
    limit: int = Field(DEFAULT_ROWS, ge=1, le=MOST_ROWS, description="最多列出多少条")
    show: Show = Field("all", description="all 全部，他人跟进的排在后面；open 不含他人跟进的和已了结的；new 只含新线索")

    def wanted(self) -> LeadsWanted:
        """The same for the engine."""
        return LeadsWanted(**self.model_dump(include=set(LeadsWantedIn.model_fields)))


class LeadsIn(LeadsWantedIn):
    """A list to draw."""

    model_config = shown("要列出的线索：前四项限定成果和专利，后三项限定需求，至少写一项", {**_WANTED, "peek": False})

    peek: bool = Field(False, description="只看看：列出的新线索不算已告知您")


class LeadOwner(BaseModel):
    """Who needs or offers."""

    model_config = shown("企业或单位", examples.INSTITUTION_REF)

    id: str = Field(description="机构编号")
    name: str = Field(description="名称")


class LeadSide(BaseModel):
    """The need or the offer of a lead."""

    model_config = shown("线索的一方", _SIDE)

    id: str = Field(description="记录编号")
    kind: Kind = Field(description="记录类型")
    kind_name: str = Field(description="记录类型的中文名称")
    title: str = Field(description="标题")
    institution: LeadOwner | None = Field(description="单位；不对您公开时为 null")
    province: str | None = Field(description="省级行政区")
    city: str | None = Field(description="市州")
    county: str | None = Field(description="区县")


class LeadProgramme(BaseModel):
    """A programme of a pair."""

    model_config = shown("所属专项", _PROGRAMME)

    code: str = Field(description="专项代码")
    name: str = Field(description="专项名称")


class _Pair(BaseModel):
    enterprise: LeadOwner | None = Field(description="提出需求的企业；不对您公开时为 null")
    level: int = Field(description="关联度：4 到 1")
    level_name: str = Field(description="关联度名称")
    score: float = Field(description="得分，0 到 1")
    programmes: list[LeadProgramme] = Field(description="双方共同的专项；没有共同的，为成果或需求的专项")
    region: str | None = Field(description="需求所在地")
    budget: str | None = Field(description="拟投入资金")
    deadline: str | None = Field(description="需求的截止日期")


class LeadRowOut(_Pair):
    """A line of a list."""

    model_config = shown("清单中的一条线索", _ROW)

    id: str | None = Field(description="线索编号；他人跟进的和只是看看的为 null")
    group: str = Field(description="同一企业的各条线索取值相同；未公开名称的企业，每条需求各为一组")
    need: LeadSide = Field(description="需求")
    offer: LeadSide = Field(description="成果或专利")
    why: str = Field(description="一句话说明理由")
    new: bool = Field(description="是否新线索：此前没有告诉过您，也不在他人手中")
    taken: bool = Field(description="是否由他人跟进")
    status: Status | None = Field(description="状态，供程序判断；没有编号的为 null")
    status_name: str = Field(description="状态的中文名称")
    assignee: str | None = Field(description="负责人")


class LeadsOut(BaseModel):
    """A list that was drawn."""

    model_config = shown(
        "线索清单",
        {"leads": [_ROW], "new": 1, "taken": 0, "matched": 1, "offers": 12, "needs": 37, "message": None},
    )

    leads: list[LeadRowOut] = Field(description="线索，同一企业的在一起，好的在前")
    new: int = Field(description="其中的新线索数")
    taken: int = Field(description="其中由他人跟进的")
    matched: int = Field(description="达到关联度的共有多少对")
    offers: int = Field(description="范围内的成果和专利数")
    needs: int = Field(description="范围内的需求数")
    message: str | None = Field(description="没有线索时的说明")


class StepIn(BaseModel):
    """What was done with a lead."""

    model_config = shown(
        "一步进展", {"status": "signed", "note": _STEP["note"], "amount": 800_000, "signed_on": "2026-04-02"}
    )

    status: Status = Field(description="contacted 已联系，negotiating 洽谈中，signed 已签约，lost 未成；不能改回 new")
    note: Text = Field("", max_length=NOTE_LIMIT, description="备注，只有负责人和管理员能看到")
    amount: int | None = Field(None, ge=1, le=AMOUNT_LIMIT, description="合同金额（元），签约时必填")
    signed_on: Text | None = Field(None, max_length=10, description="签约日期，如 2026-04-02；缺省为今天")
    major: bool = Field(False, description="是否引进转化重大科技成果")
    reason: Reason | None = Field(
        None,
        description="未成的原因：unfit 技术不适用，price 价格谈不拢，timing 时机不合适，other_partner 已与别家合作，"
        "gone 需求已取消或已解决，other 其他",
    )


class StepOut(BaseModel):
    """One step of a lead's life."""

    model_config = shown("一步进展", _STEP)

    at: str = Field(description="时间（UTC）")
    by: str = Field(description="操作者：您、账号名称或平台")
    status: Status = Field(description="此后的状态")
    status_name: str = Field(description="状态的中文名称")
    note: str = Field(description="备注")
    amount: int | None = Field(description="合同金额（元）")
    signed_on: str | None = Field(description="签约日期")
    major: bool = Field(description="是否引进转化重大科技成果")
    reason: Reason | None = Field(description="未成的原因，供程序判断")
    reason_name: str | None = Field(description="未成的原因")
    assigned_to: str | None = Field(description="交给了谁；不是指派时为 null")
    lapsed: bool = Field(description="是否因逾期没有进展而让给他人")


class LeadOut(_Pair):
    """A lead."""

    model_config = shown("一条线索", _LEAD)

    id: str = Field(description="线索编号")
    status: Status = Field(description="状态，供程序判断")
    status_name: str = Field(description="状态的中文名称")
    need: LeadSide | None = Field(description="需求；已撤回或不再对您公开时为 null")
    offer: LeadSide | None = Field(description="成果或专利；已撤回或不再对您公开时为 null")
    listed_at: str = Field(description="列出的时间（UTC）")
    claimed_until: str | None = Field(description="新线索为您保留到何时（UTC）；不是新线索时为 null")
    assignee: str | None = Field(description="负责人")
    mine: bool = Field(description="是否由您负责")
    amount: int | None = Field(description="合同金额（元）")
    signed_on: str | None = Field(description="签约日期")
    major: bool = Field(description="是否引进转化重大科技成果")
    reason: Reason | None = Field(description="未成的原因，供程序判断")
    reason_name: str | None = Field(description="未成的原因")
    updated_at: str = Field(description="最近更新的时间（UTC）")


class LeadAnswer(LeadOut):
    """A lead with all that was done with it."""

    model_config = shown("一条线索及其全部进展", {**_LEAD, "steps": [_STEP]})

    steps: list[StepOut] = Field(description="进展，最早的在前")


class LeadPage(BaseModel):
    """Some leads, and where the next ones are."""

    model_config = shown("一页线索", {"leads": [_LEAD], "next": None})

    leads: list[LeadOut] = Field(description="线索，最近列出的在前")
    next: str | None = Field(description="下一页的 cursor；没有下一页时为 null")


class AssigneeIn(BaseModel):
    """Who is to hold a lead."""

    model_config = shown("负责人", {"account": "acc-1f2e3d4c5b6a7988"})

    account: Text = Field(min_length=1, max_length=ACCOUNT_NAME_LIMIT, description="中介或管理员账号的编号或名称")


class LeadListIn(BaseModel):
    """A list to save."""

    model_config = shown("要保存的线索清单", {"name": _SAVED["name"], "wanted": _WANTED})

    name: Text = Field(min_length=1, max_length=NAME_LIMIT, description="名称")
    wanted: LeadsWantedIn = Field(description="条件")


class LeadListOut(BaseModel):
    """A saved list."""

    model_config = shown("保存的线索清单", _SAVED)

    id: str = Field(description="清单编号")
    name: str = Field(description="名称")
    wanted: LeadsWantedIn = Field(description="条件")
    created_at: str = Field(description="保存的时间（UTC）")
    drawn_at: str | None = Field(description="上次生成的时间（UTC）；没有生成过为 null")


class LeadListsAnswer(BaseModel):
    """All lists of an account."""

    model_config = shown("保存的线索清单", {"lists": [_SAVED]})

    lists: list[LeadListOut] = Field(description="您保存的清单")


class DrawIn(BaseModel):
    """How a saved list is drawn."""

    model_config = shown("重新生成", {"peek": False})

    peek: bool = Field(False, description="只看看：列出的新线索不算已告知您")
