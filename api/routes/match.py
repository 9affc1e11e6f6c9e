"""A need in, ranked offers out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from api.deps import CallingViewer, ReadyMatcher, RunningService, require_json
from api.openapi import problems
from api.schemas.answered import MatchAnswer
from api.schemas.asked import MatchIn
from matcher.views import answer_json

router = APIRouter(prefix="/v1", tags=["匹配"])


@router.post(
    "/match",
    summary="为需求查找成果和专利",
    description="返回按关联度排列的成果和专利，附理由、所属专项和建议联系的机构。没有合适的记录时 `matches` 为空。",
    response_description="匹配结果",
    response_model=MatchAnswer,
    responses=problems(400, 413, 415, 422, 500, 503),
    dependencies=[Depends(require_json)],
)
async def match(
    asked: MatchIn, service: RunningService, matcher: ReadyMatcher, viewer: CallingViewer
) -> dict[str, Any]:
    """Answer one question."""
    query = asked.query(viewer, limit=asked.limit, min_level=asked.min_level)

    def work() -> dict[str, Any]:
        answer = matcher.match(query)
        service.metrics.steps(answer.steps)
        return answer_json(answer, matcher)

    return await service.compute(work)
