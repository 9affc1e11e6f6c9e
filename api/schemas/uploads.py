"""Uploads and judgements, asked for and answered."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.asked import ID_LIMIT, Text
from api.schemas.examples import shown
from matcher.records import Kind, Visibility

_COUNTS = {"read": 120, "added": 100, "updated": 10, "unchanged": 5, "rejected": 5}
_UPLOAD = {
    "id": "up-1f2e3d4c5b6a7988",
    "file_name": "成果表.xlsx",
    "kind": "achievement",
    "visibility": "public",
    "status": "done",
    "status_name": "已完成",
    "message": None,
    "counts": _COUNTS,
    "rejects": True,
    "created_at": "2026-03-05T08:00:00+00:00",
    "finished_at": "2026-03-05T08:00:07+00:00",
}
_JUDGEMENT = {
    "need_id": "need-6wq3zr5t2xk4a",
    "offer_id": "ach-4kq2m7x3vbn5e",
    "level": 4,
    "level_name": "强相关",
    "at": "2026-03-05T08:00:00+00:00",
}


class CountsOut(BaseModel):
    """What became of a file's rows."""

    model_config = shown("各行的处理结果", _COUNTS)

    read: int = Field(description="读到的行数")
    added: int = Field(description="新增")
    updated: int = Field(description="更新")
    unchanged: int = Field(description="没有变化")
    rejected: int = Field(description="被拒收，原因见拒收表")


class UploadOut(BaseModel):
    """A file and how far it has been read."""

    model_config = shown("一次上传", _UPLOAD)

    id: str = Field(description="上传编号")
    file_name: str = Field(description="文件名")
    kind: Kind | None = Field(description="指定的记录类型；按列名判断时为 null")
    visibility: Visibility = Field(description="没有写明公开范围的行按此处理")
    status: Literal["waiting", "running", "done", "failed"] = Field(description="状态，供程序判断")
    status_name: str = Field(description="状态的中文名称")
    message: str | None = Field(description="处理失败的原因，否则为 null")
    counts: CountsOut | None = Field(description="各行的处理结果；完成前为 null")
    rejects: bool = Field(description="是否有拒收表可下载")
    created_at: str = Field(description="收到的时间（UTC）")
    finished_at: str | None = Field(description="处理完的时间（UTC）")


class UploadPage(BaseModel):
    """Some uploads, and where the next ones are."""

    model_config = shown("一页上传", {"uploads": [_UPLOAD], "next": None})

    uploads: list[UploadOut] = Field(description="上传，最近的在前")
    next: str | None = Field(description="下一页的 cursor；没有下一页时为 null")


class JudgementIn(BaseModel):
    """A judgement to write down."""

    model_config = shown("一条标注", {name: _JUDGEMENT[name] for name in ("need_id", "offer_id", "level")})

    need_id: Text = Field(min_length=1, max_length=ID_LIMIT, description="需求编号")
    offer_id: Text = Field(min_length=1, max_length=ID_LIMIT, description="成果或专利编号")
    level: int = Field(ge=1, le=4, description="关联度：4 强相关，3 较强相关，2 弱相关，1 无相关")


class JudgementOut(BaseModel):
    """A judgement."""

    model_config = shown("一条标注", _JUDGEMENT)

    need_id: str = Field(description="需求编号")
    offer_id: str = Field(description="成果或专利编号")
    level: int = Field(description="关联度：4 到 1")
    level_name: str = Field(description="关联度名称")
    at: str = Field(description="标注时间（UTC）")


class JudgementPage(BaseModel):
    """Some judgements, and where the next ones are."""

    model_config = shown("一页标注", {"judgements": [_JUDGEMENT], "next": None})

    judgements: list[JudgementOut] = Field(description="您的标注，最近的在前")
    next: str | None = Field(description="下一页的 cursor；没有下一页时为 null")
