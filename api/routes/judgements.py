"""Judgements of matches, which `matcher train` learns from."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import Judge
from api.deps import RunningService, StoreMatcher, require_json
from api.once import ID, Answered, Cursor, IdempotencyKey, cursor_of, number, once
from api.openapi import problems
from api.schemas.asked import ID_LIMIT
from api.schemas.records import LIST_LIMIT
from api.schemas.uploads import JudgementIn, JudgementOut, JudgementPage
from matcher.errors import InvalidQuery
from matcher.records import OFFER_KINDS
from matcher.views import judgement_json

router = APIRouter(prefix="/v1", tags=["标注"])


@router.post(
    "/judgements",
    summary="标注一对匹配",
    description="中介或管理员写下一项成果或专利与一条需求的关联度；再次标注同一对即替换。",
    response_description="标注",
    response_model=JudgementOut,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def judge(
    request: Request,
    service: RunningService,
    matcher: StoreMatcher,
    caller: Judge,
    asked: JudgementIn,
    name: IdempotencyKey = None,
) -> Response:
    """Write a judgement down."""

    def work() -> Answered:
        need, offer = (matcher.record(id_, caller.viewer) for id_ in (asked.need_id, asked.offer_id))
        if need.record.kind != "need":
            raise InvalidQuery("need_id", "不是技术需求的编号")
        if offer.record.kind not in OFFER_KINDS:
            raise InvalidQuery("offer_id", "不是成果或专利的编号")
        made = matcher.judgements.put(caller.viewer.account, need.id, offer.id, asked.level)
        return Answered(200, judgement_json(made))

    return once(request, service, caller, name, asked.model_dump(), work)


@router.get(
    "/judgements",
    summary="列出自己的标注",
    description="最近的在前；其中的记录已撤回或不再对您公开时，不列出该条标注。",
    response_description="一页标注",
    response_model=JudgementPage,
    responses=problems(401, 403, 422, 429, 500, 503),
)
def page(
    matcher: StoreMatcher,
    caller: Judge,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="最多返回多少条")] = 20,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List the caller's judgements."""
    found = matcher.judgements.page(caller.viewer, limit + 1, number(cursor))
    return {
        "judgements": [judgement_json(one) for one in found[:limit]],
        "next": cursor_of(found[limit - 1].key) if len(found) > limit else None,
    }


@router.delete(
    "/judgements",
    summary="收回一条标注",
    description="收回自己对一对需求和成果的标注。",
    status_code=204,
    response_description="已收回",
    responses=problems(401, 403, 404, 422, 429, 500, 503),
)
def withdraw(
    matcher: StoreMatcher,
    caller: Judge,
    need_id: Annotated[str, Query(max_length=ID_LIMIT, pattern=ID, description="需求编号")],
    offer_id: Annotated[str, Query(max_length=ID_LIMIT, pattern=ID, description="成果或专利编号")],
) -> Response:
    """Take a judgement back."""
    matcher.judgements.withdraw(caller.viewer.account, need_id, offer_id)
    return Response(status_code=204)
