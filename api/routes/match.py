"""A need in, ranked offers out."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Depends, Request, Response

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
    responses=problems(400, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
async def match(
    asked: MatchIn, request: Request, service: RunningService, _: ReadyMatcher, viewer: CallingViewer
) -> Response:
    """Answer one question."""
    query = asked.query(viewer, limit=asked.limit, min_level=asked.min_level)
    answer = await service.answers.ask(request, query)
    # Tests hold it to the model; to check every answer would take a millisecond of each.
    return Response(orjson.dumps(answer_json(answer)), media_type="application/json")
