"""One record by its id."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from api.deps import CallingViewer, StoreMatcher
from api.openapi import problems
from api.schemas.answered import RecordAnswer
from matcher.views import record_json, record_programmes_json

router = APIRouter(prefix="/v1", tags=["记录"])


@router.get(
    "/records/{id}",
    summary="查看一条记录",
    description="返回公开的成果、专利、需求或机构及其所属专项。记录不存在、已撤回或不公开时，一律返回 404。",
    response_description="记录",
    response_model=RecordAnswer,
    responses=problems(404, 500),
)
def record(
    id_: Annotated[str, Path(alias="id", description="记录编号，如 ach-4kq2m7x3vbn5e")],
    matcher: StoreMatcher,
    viewer: CallingViewer,
) -> dict[str, Any]:
    """Show one record."""
    stored = matcher.record(id_, viewer)
    return {**record_json(stored), "programmes": record_programmes_json(stored.tags)}
