"""A need in, institutions to talk to out."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from api.access import SignedIn
from api.batching import answered
from api.deps import ReadyMatcher, RunningService, require_json
from api.openapi import problems
from api.schemas.answered import PartnersAnswer
from api.schemas.asked import PartnersIn
from matcher.views import partners_json

router = APIRouter(prefix="/v1", tags=["匹配"])


@router.post(
    "/partners",
    summary="为需求推荐合作机构",
    description="按相关成果的数量、关联度和新近程度推荐机构，附依据。不会推荐提出需求的企业自己。",
    response_description="推荐的机构",
    response_model=PartnersAnswer,
    responses=problems(400, 401, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
async def partners(
    asked: PartnersIn, request: Request, service: RunningService, _: ReadyMatcher, caller: SignedIn
) -> Response:
    """Name partners for one question."""
    # Matches themselves are not shown: explaining one is enough.
    query = asked.query(caller.viewer, limit=1, partners=asked.limit)
    answer = await service.answers.ask(request, query)
    return answered({"partners": partners_json(answer.partners)})
