"""Duplicates and their sources, previews of files, and what an account gets when it asks for its data."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.schemas import examples
from api.schemas.examples import shown
from matcher.proposals import Decision
from matcher.records import Kind

_SIDE = {
    "id": examples.ACHIEVEMENT["id"],
    "kind": "achievement",
    "kind_name": "科技成果",
    "title": examples.ACHIEVEMENT["title"],
    "institution": examples.INSTITUTION_REF["name"],
    "date": "2023-06",
    "merged_into": None,
}
_PAIR = {
    "number": 7,
    "state": "proposed",
    "state_name": "待确认",
    "basis": "content",
    "score": 0.91,
    "why": "标题相同，正文九成以上相同。",
    "automatic": False,
    "created_at": "2026-03-05T08:00:00+00:00",
    "decided_at": None,
    "records": [_SIDE, _SIDE | {"id": "ach-5kq2m7x3vbn5f"}],
}
_SOURCE = {
    "id": examples.ACHIEVEMENT["id"],
    "source": "省成果登记",
    "source_id": "CG-2023-018",
    "leads": True,
    "differing": {},
}
_COLUMN = {"field": "title", "field_name": "成果名称", "column": "名称"}
_REFUSAL = {"line": 3, "field": "标题", "reason": "为空；每条记录都须有标题"}
_PART: dict[str, Any] = {
    "name": "成果表.xlsx：Sheet1",
    "kind": "achievement",
    "kind_name": "科技成果",
    "columns": [_COLUMN],
    "unused": ["备注"],
    "records": [{"title": examples.ACHIEVEMENT["title"]}],
    "rejected": [_REFUSAL],
    "note": None,
    "reason": None,
}


class DuplicateSide(BaseModel):
    """One record of a pair."""

    model_config = shown("一对中的一条记录", _SIDE)

    id: str = Field(description="记录编号")
    kind: Kind = Field(description="记录类型")
    kind_name: str = Field(description="记录类型的中文名称")
    title: str = Field(description="标题")
    institution: str | None = Field(description="单位")
    date: str | None = Field(description="日期")
    merged_into: str | None = Field(description="已并入的记录编号；独立时为 null")


class DuplicatePair(BaseModel):
    """Two records that may be one thing."""

    model_config = shown("一对可能重复的记录", _PAIR)

    number: int = Field(description="这一对的编号")
    state: str = Field(description="状态，供程序判断")
    state_name: str = Field(description="状态的中文名称")
    basis: str = Field(description="依据，供程序判断")
    score: float = Field(description="重复的可能性，0 到 1")
    why: str = Field(description="一句话说明理由")
    automatic: bool = Field(description="是否由程序自动合并")
    created_at: str = Field(description="发现的时间（UTC）")
    decided_at: str | None = Field(description="决定的时间（UTC）")
    records: list[DuplicateSide] = Field(description="两条记录")


class DuplicatePage(BaseModel):
    """Some pairs, and where the next ones are."""

    model_config = shown("一页可能重复的记录", {"pairs": [_PAIR], "next": None})

    pairs: list[DuplicatePair] = Field(description="按编号排列")
    next: str | None = Field(description="下一页的 cursor；没有下一页时为 null")


class DecisionIn(BaseModel):
    """What to do with a pair."""

    model_config = shown("对一对记录的决定", {"decision": "merge"})

    decision: Decision = Field(description="merge 合并，reject 否定、不再提示，undo 撤销合并")


class SourceOut(BaseModel):
    """One of the records that a merged record was made of."""

    model_config = shown("一个来源", _SOURCE)

    id: str = Field(description="记录编号")
    source: str | None = Field(description="来源的名称；不对您公开时为 null")
    source_id: str | None = Field(description="在该来源中的编号；不对您公开时为 null")
    leads: bool = Field(description="是否由它代表其余各条")
    differing: dict[str, Any] = Field(description="与代表记录不同的字段及其内容")


class SourcesAnswer(BaseModel):
    """All sources of a record that the caller may see."""

    model_config = shown("全部来源", {"sources": [_SOURCE]})

    sources: list[SourceOut] = Field(description="代表记录在前")


class ColumnOut(BaseModel):
    """Which column is taken for a field."""

    model_config = shown("一列的用途", _COLUMN)

    field: str = Field(description="字段")
    field_name: str = Field(description="字段的中文名称")
    column: str = Field(description="列名")


class RefusalOut(BaseModel):
    """A row that would be refused."""

    model_config = shown("一行会被拒收的原因", _REFUSAL)

    line: int = Field(description="行号")
    field: str = Field(description="字段")
    reason: str = Field(description="原因")


class PartPreview(BaseModel):
    """How one part of a file would be read."""

    model_config = shown("文件的一个部分", _PART)

    name: str = Field(description="部分的名称，如工作表名")
    kind: Kind | None = Field(description="判断出的记录类型；不是数据表时为 null")
    kind_name: str | None = Field(description="记录类型的中文名称")
    columns: list[ColumnOut] = Field(description="各字段取自哪一列")
    unused: list[str] = Field(description="没有用到的列")
    records: list[dict[str, Any]] = Field(description="最先的几条记录将会是什么样")
    rejected: list[RefusalOut] = Field(description="最先的几行会被拒收的")
    note: str | None = Field(description="需要知道的情况")
    reason: str | None = Field(description="不能读取的原因")


class PreviewAnswer(BaseModel):
    """How a file would be read."""

    model_config = shown("文件预览", {"file": "成果表.xlsx", "parts": [_PART]})

    file: str = Field(description="文件名")
    parts: list[PartPreview] = Field(description="各部分")
