"""A need in, ranked offers out."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from api.access import Asking
from api.batching import answered
from api.deps import ReadyMatcher, RunningService, require_json
from api.openapi import WITHOUT_KEY, problems
from api.problems import Refused
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
    responses=problems(400, 401, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
    openapi_extra=WITHOUT_KEY,
)
async def match(asked: MatchIn, request: Request, service: RunningService, _: ReadyMatcher, caller: Asking) -> Response:
    """Answer one question."""
    kinds = asked.filters.kinds if asked.filters else None
    if caller.account is None and not set(kinds or ()) <= set(caller.viewer.sight.kinds):
        raise Refused(401, "不带密钥只能匹配公开的成果和专利；查找需求须在请求头中加上 Authorization: Bearer 密钥。")
    query = asked.query(caller.viewer, limit=asked.limit, min_level=asked.min_level)
    return answered(answer_json(await service.answers.ask(request, query)))
