"""What callers send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from api.schemas import examples
from api.schemas.examples import shown
from matcher.queries import (
    DEFAULT_LIMIT,
    DEFAULT_MIN_LEVEL,
    MATCH_LIMIT,
    PARTNER_LIMIT,
    PARTNERS,
    TEXT_LIMIT,
    TITLE_LIMIT,
    MatchQuery,
)
from matcher.rank import LEVELS
from matcher.records import KINDS, OFFER_KINDS, PROGRAMME_CODES, Kind
from matcher.values import PROVINCES
from matcher.visibility import Viewer

TAG_ITEMS = 256
ID_LIMIT = 200
ENTERPRISE_LIMIT = 200


def _whole(value: Any) -> Any:
    # Clients that cut texts by UTF-16 units leave half an emoji at the end: no reason to refuse the rest.
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _listed(allowed: Mapping[str, str]) -> AfterValidator:
    """Accept the keys and values of `allowed`, and give the value."""
    names = "、".join(allowed.values())

    def check(value: str) -> str:
        if value in allowed:
            return allowed[value]
        if value not in allowed.values():
            raise PydanticCustomError("matcher_not_listed", "不是可用的值；可用的值有 {names}", {"names": names})
        return value

    return AfterValidator(check)


Text = Annotated[str, BeforeValidator(_whole)]
ProgrammeCode = Annotated[
    str,
    _listed({code: code for code in PROGRAMME_CODES}),
    Field(json_schema_extra={"enum": list(PROGRAMME_CODES)}),
]
# 四川 is as good as 四川省.
Province = Annotated[str, _listed(PROVINCES), Field(json_schema_extra={"enum": list(PROVINCES.values())})]


class FiltersIn(BaseModel):
    """Which records may be found; what is left out or empty does not restrict."""

    model_config = shown("筛选条件", examples.FILTERS)

    kinds: list[Kind] | None = Field(
        None,
        max_length=len(KINDS),
        description="记录类型：achievement 科技成果，patent 专利，need 技术需求；缺省为成果和专利",
    )
    programmes: list[ProgrammeCode] | None = Field(
        None, max_length=len(PROGRAMME_CODES), description="专项代码，属于其中任意一个即可；缺省不限"
    )
    provinces: list[Province] | None = Field(
        None, max_length=len(PROVINCES), description="省级行政区名称，如“四川省”；缺省不限"
    )


class QuestionIn(BaseModel):
    """A need in its own words."""

    model_config = shown("一条需求", examples.NEED)

    text: Text = Field(max_length=TEXT_LIMIT, description="需求内容：要解决的技术问题、材料、工艺、指标")
    title: Text | None = Field(None, max_length=TITLE_LIMIT, description="需求标题，可不填")
    filters: FiltersIn | None = Field(None, description="筛选条件，可不填")
    enterprise: Text | None = Field(
        None, max_length=ENTERPRISE_LIMIT, description="提出需求的企业名称，可不填；填写后不会向企业推荐它自己"
    )

    def query(self, viewer: Viewer, **more: Any) -> MatchQuery:
        """The question as the engine takes it."""
        filters = self.filters or FiltersIn(kinds=None, programmes=None, provinces=None)
        return MatchQuery(
            text=self.text,
            title=self.title or "",
            kinds=tuple(filters.kinds or OFFER_KINDS),
            programmes=tuple(filters.programmes or ()),
            provinces=tuple(filters.provinces or ()),
            asker=self.enterprise,
            viewer=viewer,
            **more,
        )


class MatchIn(QuestionIn):
    """A need, and how much of the answer is wanted."""

    model_config = shown("要匹配的需求", examples.MATCH_REQUEST)

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MATCH_LIMIT, description="最多返回多少条匹配")
    min_level: int = Field(
        DEFAULT_MIN_LEVEL,
        ge=min(LEVELS),
        le=max(LEVELS),
        description="最低关联度：4 强相关，3 较强相关，2 弱相关，1 无相关",
    )


class PartnersIn(QuestionIn):
    """A need for which institutions are wanted."""

    model_config = shown("要推荐合作机构的需求", examples.PARTNERS_REQUEST)

    limit: int = Field(PARTNERS, ge=1, le=PARTNER_LIMIT, description="最多返回多少家机构")


class TagItemIn(BaseModel):
    """One text to tag."""

    model_config = shown("一段要标注的文字", examples.TAG_ITEM_REQUEST)

    id: str = Field(min_length=1, max_length=ID_LIMIT, description="调用方自己的编号，原样返回")
    text: Text = Field(max_length=TEXT_LIMIT, description="要标注的文字")


class TagIn(BaseModel):
    """Texts to tag."""

    model_config = shown("要标注的文字", examples.TAG_REQUEST)

    items: list[TagItemIn] = Field(max_length=TAG_ITEMS, description=f"要标注的文字，一次最多 {TAG_ITEMS} 条")
