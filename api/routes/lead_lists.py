"""Saved lists of leads."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from api.access import Judge
from api.deps import ReadyMatcher, RunningService, StoreMatcher, require_json
from api.once import ID, Answered, IdempotencyKey, once
from api.openapi import problems
from api.routes.leads import MOST_QUESTIONS, listed
from api.schemas.asked import ID_LIMIT
from api.schemas.leads import DrawIn, LeadListIn, LeadListOut, LeadListsAnswer, LeadsOut
from matcher.lead_views import saved_json

router = APIRouter(prefix="/v1/lead-lists", tags=["线索"])

ListId = Annotated[str, Path(alias="id", max_length=ID_LIMIT, pattern=ID, description="清单编号，如 list-…")]


@router.get(
    "",
    summary="列出保存的线索清单",
    description="您自己保存的清单和上次生成的时间。",
    response_description="保存的清单",
    response_model=LeadListsAnswer,
    responses=problems(401, 403, 429, 500, 503),
)
def every(matcher: StoreMatcher, caller: Judge) -> dict[str, Any]:
    """List the caller's lists."""
    return {"lists": [saved_json(saved) for saved in matcher.leads.lists.all(caller.viewer.account)]}


@router.post(
    "",
    summary="保存一份线索清单",
    description="以一个名称保存条件，以便再次生成。",
    status_code=201,
    response_description="已保存",
    response_model=LeadListOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def save(
    request: Request,
    service: RunningService,
    matcher: StoreMatcher,
    caller: Judge,
    asked: LeadListIn,
    name: IdempotencyKey = None,
) -> Response:
    """Save a list."""

    def work() -> Answered:
        saved = matcher.leads.lists.save(caller.viewer.account, asked.name, asked.wanted.wanted())
        return Answered(201, saved_json(saved))

    return once(request, service, caller, name, asked.model_dump(), work)


@router.delete(
    "/{id}",
    summary="删除一份线索清单",
    description="只删除保存的条件；由它列出过的线索不变。",
    status_code=204,
    response_description="已删除",
    responses=problems(401, 403, 404, 409, 422, 429, 500, 503),
)
def remove(
    request: Request,
    service: RunningService,
    id_: ListId,
    matcher: StoreMatcher,
    caller: Judge,
    name: IdempotencyKey = None,
) -> Response:
    """Forget a list."""

    def work() -> Answered:
        matcher.leads.lists.remove(caller.viewer.account, id_)
        return Answered(204)

    return once(request, service, caller, name, {}, work)


@router.post(
    "/{id}/draw",
    summary="重新生成一份线索清单",
    description="按保存的条件再列一次；上次之后新增的 `new` 为 true。",
    response_description="线索清单",
    response_model=LeadsOut,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
async def draw(
    request: Request,
    service: RunningService,
    id_: ListId,
    matcher: ReadyMatcher,
    caller: Judge,
    asked: DrawIn,
    name: IdempotencyKey = None,
) -> Response:
    """Draw a list again."""

    def work() -> Answered:
        drawn = matcher.leads.draw_saved(caller.viewer, id_, asked.peek, most_questions=MOST_QUESTIONS)
        return Answered(200, listed(matcher, drawn))

    return await service.compute(lambda: once(request, service, caller, name, asked.model_dump(), work))
