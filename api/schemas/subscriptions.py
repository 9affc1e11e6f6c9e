"""Subscriptions to mail, asked for and answered."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas import examples
from api.schemas.asked import ID_LIMIT, ProgrammeCode, Text
from api.schemas.examples import shown
from matcher.addresses import ADDRESS_LIMIT
from matcher.records import ABSTRACT_LIMIT, PROGRAMME_CODES, TITLE_LIMIT
from matcher.subscribers import DEFAULT_MAIL_LEVEL, Follows, Frequency
from matcher.wishes import MAIL_LEVELS, MAILED_KINDS, REGION_LIMIT, Wish

_ASKED = {
    "email": "reader@example.cn",
    "follows": "text",
    "title": examples.NEED["title"],
    "text": examples.NEED["text"],
    "kinds": ["achievement", "patent"],
    "programmes": ["agriculture", "food"],
    "regions": ["四川省"],
    "min_level": 3,
    "frequency": "weekly",
}
_REGION = {"code": "51", "name": "四川省"}
_SUBSCRIPTION = {
    **_ASKED,
    "id": "sub-1f2e3d4c5b6a7988",
    "follows_name": "文字",
    "subject": None,
    "regions": [_REGION],
    "frequency_name": "每周",
    "state": "waiting",
    "state_name": "等待收件人确认",
    "created_at": "2026-03-05T08:00:00+00:00",
    "confirmed_at": None,
}


class SubscriptionIn(BaseModel):
    """An address, and what it is to follow."""

    model_config = shown("要建立的订阅", _ASKED)

    email: Text = Field(min_length=1, max_length=ADDRESS_LIMIT, description="收件人的邮箱；须由收件人在邮件中确认")
    follows: Follows = Field(
        description="关注什么：text 一段文字，record 一条记录（找供需的另一方），"
        "institution 一家机构的成果和专利，own 您的全部记录"
    )
    subject: Text | None = Field(
        None, min_length=1, max_length=ID_LIMIT, description="所关注的记录或机构的编号；仅用于 record 和 institution"
    )
    title: Text | None = Field(None, max_length=TITLE_LIMIT, description="文字的标题，可不填；仅用于 text")
    text: Text | None = Field(None, max_length=ABSTRACT_LIMIT, description="技术内容；仅用于 text")
    kinds: list[Literal["achievement", "patent", "need"]] | None = Field(
        None, max_length=len(MAILED_KINDS), description="文字要找的记录类型，缺省为成果和专利；仅用于 text"
    )
    programmes: list[ProgrammeCode] | None = Field(
        None, max_length=len(PROGRAMME_CODES), description="专项代码，属于其中任意一个即可；缺省不限"
    )
    regions: list[Text] | None = Field(
        None, max_length=REGION_LIMIT, description="地区的名称或 GB/T 2260 代码，在其中任意一个即可；缺省不限"
    )
    min_level: int = Field(
        DEFAULT_MAIL_LEVEL,
        ge=min(MAIL_LEVELS),
        le=max(MAIL_LEVELS),
        description="最低关联度：4 强相关，3 较强相关，2 弱相关",
    )
    frequency: Frequency = Field("daily", description="daily 每天，weekly 每周；没有新内容时不发")

    def wish(self) -> Wish:
        """What is wanted, as the engine takes it.

        :raises InvalidSubscription: naming the field and the reason.
        """
        return Wish(
            follows=self.follows,
            subject=self.subject,
            title=self.title or "",
            text=self.text or "",
            kinds=tuple(self.kinds or ()),
            programmes=tuple(self.programmes or ()),
            regions=tuple(self.regions or ()),
            min_level=self.min_level,
            frequency=self.frequency,
        )


class RegionOut(BaseModel):
    """A place."""

    model_config = shown("一个地区", _REGION)

    code: str = Field(description="GB/T 2260 代码，不带末尾的零")
    name: str = Field(description="全称")


class SubscriptionOut(BaseModel):
    """A subscription."""

    model_config = shown("一个订阅", _SUBSCRIPTION)

    id: str = Field(description="订阅编号")
    email: str = Field(description="收件人的邮箱，小写")
    follows: Follows = Field(description="关注什么")
    follows_name: str = Field(description="关注什么，中文名称")
    subject: str | None = Field(description="所关注的记录或机构的编号")
    title: str = Field(description="文字的标题")
    text: str = Field(description="文字")
    kinds: list[str] = Field(description="文字要找的记录类型")
    programmes: list[str] = Field(description="专项代码；为空则不限")
    regions: list[RegionOut] = Field(description="地区；为空则不限")
    min_level: int = Field(description="最低关联度")
    frequency: Frequency = Field(description="频率")
    frequency_name: str = Field(description="频率的中文名称")
    state: Literal["waiting", "active"] = Field(description="waiting 等待收件人确认，active 已生效")
    state_name: str = Field(description="状态的中文名称")
    created_at: str = Field(description="建立的时间（UTC）")
    confirmed_at: str | None = Field(description="收件人确认的时间（UTC）；尚未确认时为 null")


class SubscriptionPage(BaseModel):
    """Some subscriptions, and where the next ones are."""

    model_config = shown("一页订阅", {"subscriptions": [_SUBSCRIPTION], "next": None})

    subscriptions: list[SubscriptionOut] = Field(description="订阅，最近的在前")
    next: str | None = Field(description="下一页的 cursor；没有下一页时为 null")
