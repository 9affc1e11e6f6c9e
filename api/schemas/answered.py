"""What callers get: `matcher.views` builds it, and these models hold it to its word."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.schemas import examples
from api.schemas.examples import shown
from matcher.records import Kind, Visibility


class InstitutionRef(BaseModel):
    """An institution as a record names it."""

    model_config = shown("机构", examples.INSTITUTION_REF)

    id: str = Field(description="机构编号")
    name: str = Field(description="机构名称")


class RecordBase(BaseModel):
    """What records of all kinds show."""

    id: str = Field(description="记录编号")
    kind: Kind = Field(description="记录类型")
    kind_name: str = Field(description="记录类型的中文名称")
    state: Literal["active", "ended", "merged", "withdrawn"] = Field(
        description="状态：active 参与匹配，ended 已到期、失效或签约，merged 已并入另一条记录，withdrawn 已撤回"
    )
    merged_into: str | None = Field(description="与它重复、代表它参与匹配的记录的编号；没有则为 null")
    title: str = Field(description="标题；机构为其名称")
    abstract: str = Field(description="正文；原始数据没有时为空")
    institution: InstitutionRef | None = Field(description="成果、专利的持有单位，或提出需求的企业")
    province: str | None = Field(description="省级行政区")
    city: str | None = Field(description="市州")
    county: str | None = Field(description="区县")
    region_code: str | None = Field(description="行政区划代码（GB/T 2260），为能够确定的最小一级；不能确定时为 null")
    date: str | None = Field(description="日期，精确到原始数据给出的程度：2024、2024-03 或 2024-03-05")
    keywords: list[str] = Field(description="关键词")
    url: str | None = Field(description="原始网页")


class AchievementOut(RecordBase):
    """A research result."""

    model_config = shown("科技成果", examples.ACHIEVEMENT)

    kind: Literal["achievement"] = Field(description="记录类型")
    maturity: str | None = Field(description="成熟度")
    cooperation: str | None = Field(description="合作方式")
    status: str | None = Field(description="转化状态，如“已签约”")


class PatentOut(RecordBase):
    """A patent or an application for one."""

    model_config = shown("专利", examples.PATENT)

    kind: Literal["patent"] = Field(description="记录类型")
    publication_number: str | None = Field(description="公开（公告）号")
    application_number: str | None = Field(description="申请号")
    ipc: list[str] = Field(description="IPC 分类号，统一写法如 A01G18/00")
    legal_status: str | None = Field(description="法律状态")
    application_date: str | None = Field(description="申请日")
    publication_date: str | None = Field(description="公开日")
    inventors: list[str] = Field(description="发明人")


class NeedOut(RecordBase):
    """What an enterprise asks for."""

    model_config = shown("技术需求", examples.STORED_NEED)

    kind: Literal["need"] = Field(description="记录类型")
    industry: str | None = Field(description="所属行业")
    budget: str | None = Field(description="拟投入资金，原文")
    budget_min: int | None = Field(description="拟投入资金的下限（元）；没有写明或无法换算时为 null")
    budget_max: int | None = Field(description="拟投入资金的上限（元）；没有写明或无法换算时为 null")
    negotiable: bool = Field(description="拟投入资金是否可面议")
    cooperation: str | None = Field(description="合作方式")
    deadline: str | None = Field(description="截止日期")
    expires: str | None = Field(description="发布有效期")


class InstitutionOut(RecordBase):
    """A university, institute, hospital or enterprise."""

    model_config = shown("机构", examples.INSTITUTION)

    kind: Literal["institution"] = Field(description="记录类型")
    type: str | None = Field(description="机构类型")
    aliases: list[str] = Field(description="其他名称")


RecordOut = Annotated[AchievementOut | PatentOut | NeedOut | InstitutionOut, Field(discriminator="kind")]


class ProgrammeScore(BaseModel):
    """A programme that a record belongs to."""

    model_config = shown("记录所属的专项", examples.PROGRAMME_SCORE)

    code: str = Field(description="专项代码")
    name: str = Field(description="专项名称")
    score: float = Field(description="属于该专项的概率，0 到 1")


class TagOut(ProgrammeScore):
    """A programme that a text belongs to, with what decided it."""

    model_config = shown("文字所属的专项及依据", examples.TAG)

    terms: list[str] = Field(description="文字中起作用的专项词语")
    topic: str = Field(description="该专项中与文字最接近的方向")


class OwnOut(BaseModel):
    """What only the owner of a record reads of it."""

    model_config = shown("仅提交方自己可见的内容", examples.OWN)

    visibility: Visibility = Field(description="公开范围")
    source_id: str = Field(description="提交方自己的编号")
    contact: str | None = Field(description="联系方式")


class _WithProgrammes(BaseModel):
    programmes: list[ProgrammeScore] = Field(description="记录所属的专项；不属于任何专项时为空")
    own: OwnOut | None = Field(description="只有提交方自己能看到的内容；看别人的记录时为 null")


class AchievementAnswer(_WithProgrammes, AchievementOut):
    """A research result with its programmes."""

    model_config = shown("科技成果及所属专项", examples.with_programmes(examples.ACHIEVEMENT))


class PatentAnswer(_WithProgrammes, PatentOut):
    """A patent with its programmes."""

    model_config = shown("专利及所属专项", examples.with_programmes(examples.PATENT))


class NeedAnswer(_WithProgrammes, NeedOut):
    """A need with its programmes."""

    model_config = shown("技术需求及所属专项", examples.with_programmes(examples.STORED_NEED))


class InstitutionAnswer(_WithProgrammes, InstitutionOut):
    """An institution; it belongs to no programme."""

    model_config = shown("机构", examples.INSTITUTION | {"programmes": [], "own": None})


RecordAnswer = Annotated[AchievementAnswer | PatentAnswer | NeedAnswer | InstitutionAnswer, Field(discriminator="kind")]


class QueryOut(BaseModel):
    """How the question was understood."""

    model_config = shown("对需求的理解", examples.QUERY)

    programmes: list[TagOut] = Field(description="需求所属的专项；不属于任何专项时为空")
    terms: list[str] = Field(description="需求中库内出现过的词语，最有区分度的在前")


class Variant(BaseModel):
    """A near-duplicate that an entry stands for."""

    model_config = shown("内容基本相同的记录", examples.VARIANT)

    id: str = Field(description="记录编号")
    kind: Kind = Field(description="记录类型")
    title: str = Field(description="标题")


class WhyOut(BaseModel):
    """The grounds of a match."""

    model_config = shown("匹配理由", examples.WHY)

    sentence: str = Field(description="一句话说明为什么匹配")
    terms: list[str] = Field(description="双方都提到的技术词语")
    passage: str = Field(description="记录中最能回应需求的一句原文")
    features: dict[str, float] = Field(description="各项特征对关联度的贡献（对数几率），正为支持，负为反对")


class MatchOut(BaseModel):
    """One match."""

    model_config = shown("一条匹配", examples.MATCH)

    rank: int = Field(description="名次")
    score: float = Field(description="匹配分，0 到 1")
    level: int = Field(description="关联度：4 到 1")
    level_name: str = Field(description="关联度名称")
    record: RecordOut = Field(description="匹配到的记录")
    programmes: list[ProgrammeScore] = Field(description="记录所属的专项")
    variants: list[Variant] = Field(description="内容基本相同、已并入本条的其他记录")
    why: WhyOut = Field(description="匹配理由")


class PartnerInstitution(InstitutionRef):
    """An institution to talk to."""

    model_config = shown("合作机构", examples.PARTNER_INSTITUTION)

    type: str | None = Field(description="机构类型")
    province: str | None = Field(description="省级行政区；机构自身未登记时取其成果所在地")
    city: str | None = Field(description="市州")


class PartnerOut(BaseModel):
    """A partner with its evidence."""

    model_config = shown("推荐的合作机构及依据", examples.PARTNER)

    institution: PartnerInstitution = Field(description="机构")
    score: float = Field(description="推荐分，0 到 1")
    why: str = Field(description="一句话说明为什么推荐")
    evidence: list[str] = Field(description="作为依据的成果、专利编号，最相关的在前")


class IndexState(BaseModel):
    """The index that answered."""

    model_config = shown("索引状态", examples.INDEX)

    generation: int = Field(description="索引的代数，数据每更新一次加一")
    records: int = Field(description="可检索的记录数")


class MatchAnswer(BaseModel):
    """The answer to a need."""

    model_config = shown("匹配结果", examples.MATCH_ANSWER)

    query: QueryOut = Field(description="对需求的理解")
    matches: list[MatchOut] = Field(description="匹配结果，最相关的在前；没有合适的记录时为空")
    partners: list[PartnerOut] = Field(description="建议联系的机构")
    message: str | None = Field(description="没有匹配结果时的说明，否则为 null")
    index: IndexState = Field(description="作答时索引的状态")
    took_ms: float = Field(description="匹配用时（毫秒）")


class PartnersAnswer(BaseModel):
    """Institutions for a need."""

    model_config = shown("合作机构推荐结果", examples.PARTNERS_ANSWER)

    partners: list[PartnerOut] = Field(description="建议联系的机构，最合适的在前；没有时为空")


class TaggedItem(BaseModel):
    """The programmes of one text."""

    model_config = shown("一段文字的标注结果", examples.TAGGED_ITEM)

    id: str = Field(description="调用方给的编号")
    programmes: list[TagOut] = Field(description="所属专项，最可能的在前；不属于任何专项时为空")


class TagAnswer(BaseModel):
    """The programmes of each text."""

    model_config = shown("标注结果", examples.TAG_ANSWER)

    items: list[TaggedItem] = Field(description="与请求同序")


class ProgrammeOut(BaseModel):
    """A programme."""

    model_config = shown("专项", examples.PROGRAMME)

    code: str = Field(description="专项代码")
    name: str = Field(description="专项名称")
    definition: str = Field(description="范围")
    topics: list[str] = Field(description="主要方向")


class ProgrammesAnswer(BaseModel):
    """All programmes."""

    model_config = shown("全部专项", examples.PROGRAMMES_ANSWER)

    programmes: list[ProgrammeOut] = Field(description="七个专项，按政策文件的顺序")


class Alive(BaseModel):
    """The process lives."""

    model_config = shown("存活状态", examples.ALIVE)

    status: Literal["ok"] = Field(description="ok：进程存活")


class Ready(BaseModel):
    """The service can answer."""

    model_config = shown("就绪状态", examples.READY)

    status: Literal["ready"] = Field(description="ready：可以作答")
    index: IndexState = Field(description="索引的状态")


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    model_config = shown("一处有误的字段", examples.FIELD_PROBLEM)

    field: str = Field(description="字段，如 filters.kinds[0]")
    reason: str = Field(description="原因")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = shown("错误说明（RFC 9457）", examples.PROBLEM)

    type: str = Field(description="错误类型，供程序判断")
    title: str = Field(description="错误类型的中文名称")
    status: int = Field(description="HTTP 状态码")
    detail: str = Field(description="这一次出了什么问题、怎样改正")
    instance: str = Field(description="请求的地址")
    errors: list[FieldProblem] | None = Field(None, description="逐项列出有误的字段")
