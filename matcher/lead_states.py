"""How a lead lives: what it can be, what it can become, and what has to be known of a contract or a loss."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from matcher.errors import InvalidLead
from matcher.normal import clean, storable

Status = Literal["new", "contacted", "negotiating", "signed", "lost"]
STATUSES: tuple[Status, ...] = get_args(Status)
STATUS_NAMES: Mapping[Status, str] = {
    "new": "新线索",
    "contacted": "已联系",
    "negotiating": "洽谈中",
    "signed": "已签约",
    "lost": "未成",
}
# What may follow what. The same again adds a note, or corrects a contract or a reason; nothing becomes new again.
FOLLOWING: Mapping[Status, tuple[Status, ...]] = {
    "new": ("contacted", "negotiating", "signed", "lost"),
    "contacted": ("contacted", "negotiating", "signed", "lost"),
    "negotiating": ("negotiating", "contacted", "signed", "lost"),
    # A contract that was entered by mistake, or fell through.
    "signed": ("signed", "negotiating", "lost"),
    # Opened again.
    "lost": ("lost", "contacted", "negotiating"),
}
OVER: tuple[Status, ...] = ("signed", "lost")

Reason = Literal["unfit", "price", "timing", "other_partner", "gone", "other"]
REASONS: tuple[Reason, ...] = get_args(Reason)
REASON_NAMES: Mapping[Reason, str] = {
    "unfit": "技术不适用",
    "price": "价格谈不拢",
    "timing": "时机不合适",
    "other_partner": "已与别家合作",
    "gone": "需求已取消或已解决",
    "other": "其他",
}

NOTE_LIMIT = 2000
# Yuan of one contract: a hundred billion, beyond any; more is a slip of the finger.
AMOUNT_LIMIT = 100_000_000_000
# No contract of the platform is older.
FIRST_DAY = datetime.date(2000, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What somebody did with a lead.

    :param amount: of the contract, in yuan; `signed_on` its day, today by default; `major` whether it brings in a
        major achievement (引进转化重大科技成果). These three belong to `signed` alone.
    :param reason: of a loss, and of nothing else.
    """

    status: Status
    note: str = ""
    amount: int | None = None
    signed_on: datetime.date | None = None
    major: bool = False
    reason: Reason | None = None

    def details(self) -> dict[str, Any]:
        """What is known beside status and note, for the history."""
        values = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        day = values["signed_on"]
        return {name: value for name, value in (values | {"signed_on": day and day.isoformat()}).items() if value}


def checked_step(step: Step, today: datetime.date) -> Step:
    """A step with its note in the form that is stored, and the day of a contract.

    :raises InvalidLead: naming the field and the reason.
    """
    if step.status not in STATUSES[1:]:
        raise InvalidLead("status", f"“{step.status[:20]}”不可用；可用的值有 {'、'.join(STATUSES[1:])}")
    note = clean(storable(step.note))
    if len(note) > NOTE_LIMIT:
        raise InvalidLead("note", f"长 {len(note)} 字，超过 {NOTE_LIMIT} 字；请精简")
    signed_on = _checked_contract(step, today)
    if step.status == "lost" and step.reason not in REASONS:
        named = "、".join(f"{code} {name}" for code, name in REASON_NAMES.items())
        raise InvalidLead("reason", f"未成的线索须写明原因：{named}")
    if step.status != "lost" and step.reason is not None:
        raise InvalidLead("reason", "只有状态为 lost（未成）时才填")
    return Step(
        status=step.status,
        note=note,
        amount=step.amount,
        signed_on=signed_on,
        major=step.major,
        reason=step.reason,
    )


def _checked_contract(step: Step, today: datetime.date) -> datetime.date | None:
    if step.status != "signed":
        for name in ("amount", "signed_on", "major"):
            if getattr(step, name):
                raise InvalidLead(name, "只有状态为 signed（已签约）时才填")
        return None
    if step.amount is None:
        raise InvalidLead("amount", "签约须写明合同金额（元）")
    if not 1 <= step.amount <= AMOUNT_LIMIT:
        raise InvalidLead("amount", f"为 {step.amount}；应为 1 到 {AMOUNT_LIMIT} 元，请核对单位是否为元")
    day = step.signed_on or today
    if not FIRST_DAY <= day <= today:
        raise InvalidLead("signed_on", f"为 {day}；签约日期应在 {FIRST_DAY} 到今天（{today}）之间")
    return day


def check_following(before: Status, after: Status) -> None:
    """Refuse what cannot follow.

    :raises InvalidLead: saying what can.
    """
    if after not in FOLLOWING[before]:
        named = "、".join(f"{one} {STATUS_NAMES[one]}" for one in FOLLOWING[before])
        raise InvalidLead(
            "status", f"线索现为“{STATUS_NAMES[before]}”，不能改为“{STATUS_NAMES[after]}”；可改为 {named}"
        )


def level_told(status: Status, reason: Reason | None) -> int | None:
    """The level that an outcome says the pair has, for `matcher train`; None where it says nothing about that.

    Who signs has found what he needs (4); who negotiates has found it worth his time (3); who says that it does
    not fit has found it useless (1). A price or a bad moment says nothing about the technology.
    """
    if status == "signed":
        return 4
    if status == "negotiating":
        return 3
    return 1 if status == "lost" and reason == "unfit" else None
