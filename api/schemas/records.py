"""Records as callers write them, and the pages and counts of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas import examples
from api.schemas.answered import RecordAnswer
from api.schemas.asked import ProgrammeCode, Province, Text
from api.schemas.examples import shown
from matcher.records import ABSTRACT_LIMIT, NAME_LIMIT, SOURCE_ID_LIMIT, TITLE_LIMIT, Kind, Visibility

LIST_LIMIT = 100
ITEMS = 50
ITEM_LIMIT = 200
FIELD_LIMIT = 1000
URL_LIMIT = 2000
_DAY = "2024、2024-03 或 2024-03-05"

Item = Annotated[str, Field(max_length=ITEM_LIMIT)]
Items = Annotated[list[Item], Field(max_length=ITEMS)]


def _text(description: str, limit: int = FIELD_LIMIT) -> Any:
    return Field(None, max_length=limit, description=description)


def _items(description: str) -> Any:
    return Field(default_factory=list, max_length=ITEMS, description=description)


class _RecordIn(BaseModel):
    title: Text = Field(min_length=1, max_length=TITLE_LIMIT, description="标题；机构为其名称")
    abstract: Text = Field("", max_length=ABSTRACT_LIMIT, description="正文")
    source_id: Text | None = Field(
        None,
        min_length=1,
        max_length=SOURCE_ID_LIMIT,
        description="提交方自己的编号，同一编号再次提交即为更新；缺省由平台编号。修改记录时不可更改",
    )
    province: Province | None = Field(None, description="省级行政区，如“四川省”")
    city: Text | None = _text("市州", 64)
    county: Text | None = _text("区县", 64)
    date: Text | None = _text(f"日期：{_DAY}", 40)
    keywords: list[Item] = _items("关键词")
    programmes: list[ProgrammeCode] = _items("专项代码；缺省由平台标注")
    url: Text | None = _text("原始网页", URL_LIMIT)
    visibility: Visibility = Field(
        "public",
        description="公开范围：public 公开，intermediaries 仅中介可见（隐去名称和联系方式），private 仅自己可见",
    )
    contact: Text | None = _text("联系方式，只有提交方自己能看到；修改记录时不填即不变，空文字即删除", 500)

    def values(self) -> dict[str, str]:
        """The fields as `matcher.records.parse_record` takes them."""
        given = self.model_dump(exclude={"kind", "contact"}, exclude_none=True)
        return {name: "；".join(value) if isinstance(value, list) else value for name, value in given.items()}


class AchievementIn(_RecordIn):
    """A research result to write."""

    model_config = shown("要提交的科技成果", examples.ACHIEVEMENT_REQUEST)

    kind: Literal["achievement"] = Field(description="记录类型")
    institution: Text | None = _text("完成单位", NAME_LIMIT)
    co_institutions: list[Item] = _items("其他完成单位")
    maturity: Text | None = _text("成熟度")
    cooperation: Text | None = _text("合作方式")
    status: Text | None = _text("转化状态；“已签约”“已转让”的成果不再参与匹配")


class PatentIn(_RecordIn):
    """A patent to write."""

    model_config = shown("要提交的专利", examples.PATENT_REQUEST)

    kind: Literal["patent"] = Field(description="记录类型")
    institution: Text | None = _text("专利权人或申请人", NAME_LIMIT)
    co_institutions: list[Item] = _items("其他专利权人或申请人")
    publication_number: Text | None = _text("公开（公告）号", 100)
    application_number: Text | None = _text("申请号", 100)
    ipc: list[Item] = _items("IPC 分类号")
    legal_status: Text | None = _text("法律状态；失效的专利不再参与匹配")
    application_date: Text | None = _text(f"申请日：{_DAY}", 40)
    publication_date: Text | None = _text(f"公开日：{_DAY}", 40)
    inventors: list[Item] = _items("发明人")


class NeedIn(_RecordIn):
    """A need to write."""

    model_config = shown("要提交的技术需求", examples.NEED_REQUEST)

    kind: Literal["need"] = Field(description="记录类型")
    institution: Text | None = _text("提出需求的企业", NAME_LIMIT)
    industry: Text | None = _text("所属行业")
    budget: Text | None = _text("拟投入资金，如“50-100万元”“面议”")
    cooperation: Text | None = _text("合作方式")
    deadline: Text | None = _text(f"截止日期：{_DAY}；过期后不再参与匹配", 40)
    expires: Text | None = _text(f"发布有效期：{_DAY}；过期后不再参与匹配", 40)


class InstitutionIn(_RecordIn):
    """An institution to write."""

    model_config = shown("要提交的机构（只有管理员可以提交）", examples.INSTITUTION_REQUEST)

    kind: Literal["institution"] = Field(description="记录类型")
    type: Text | None = _text("机构类型")
    aliases: list[Item] = _items("其他名称")


RecordIn = Annotated[AchievementIn | PatentIn | NeedIn | InstitutionIn, Field(discriminator="kind")]


class RecordPage(BaseModel):
    """Some records, and where the next ones are."""

    model_config = shown("一页记录", {"records": [examples.RECORD_ANSWER], "next": "MTAyNA"})

    records: list[RecordAnswer] = Field(description="记录，最近提交的在前")
    next: str | None = Field(description="下一页的 cursor；没有下一页时为 null")


class FacetOut(BaseModel):
    """How many records have one value."""

    model_config = shown("一个取值的记录数", {"value": "achievement", "name": "科技成果", "count": 120})

    value: str = Field(description="取值，可用作筛选条件")
    name: str = Field(description="中文名称")
    count: int = Field(description="您可以看到的记录数")


class FacetsAnswer(BaseModel):
    """Counts by kind, programme and province."""

    model_config = shown("分类计数", examples.FACETS)

    kinds: list[FacetOut] = Field(description="按记录类型")
    programmes: list[FacetOut] = Field(description="按专项；属于几个专项的记录各计一次")
    provinces: list[FacetOut] = Field(description="按省级行政区")


class StatisticsAnswer(BaseModel):
    """What the platform holds, as far as the caller may see it."""

    model_config = shown("统计", examples.STATISTICS)

    records: dict[Kind, int] = Field(description="各类记录数，只计您可以看到且参与匹配的")
    own: dict[Kind, int] = Field(description="其中由您提交的，已截止和已撤回的也计入")
    judgements: int = Field(description="您做过的标注数")
    generation: int | None = Field(description="索引的代数；还在加载时为 null")


class ChangeOut(BaseModel):
    """One entry of a record's history."""

    model_config = shown("一次变更", examples.CHANGE)

    at: str = Field(description="时间（UTC）")
    by: str = Field(description="操作者：您、管理员或平台")
    action: str = Field(description="操作，供程序判断")
    action_name: str = Field(description="操作的中文名称")
    fields: list[str] = Field(description="改动了哪些字段")


class HistoryAnswer(BaseModel):
    """What happened to a record."""

    model_config = shown("变更历史", {"changes": [examples.CHANGE]})

    changes: list[ChangeOut] = Field(description="最近的在前")
