"""Duplicates: pairs that wait for a decision, and the sources of merged records."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import Admin, SignedIn
from api.deps import RunningService, StoreMatcher, require_json
from api.once import Answered, Cursor, IdempotencyKey, cursor_of, number, once
from api.openapi import problems
from api.schemas.duplicates import DecisionIn, DuplicatePage, DuplicatePair, SourcesAnswer
from api.schemas.records import LIST_LIMIT
from matcher.merges import State
from matcher.sources import pair_json, source_json

router = APIRouter(prefix="/v1", tags=["重复"])

Number = Annotated[int, Path(alias="number", ge=1, le=2**53, description="这一对的编号")]


@router.get(
    "/duplicates",
    summary="列出可能重复的记录",
    description="只有管理员可以查看；双方都对其公开的才列出。",
    response_description="一页可能重复的记录",
    response_model=DuplicatePage,
    responses=problems(401, 403, 422, 429, 500, 503),
)
def page(
    matcher: StoreMatcher,
    caller: Admin,
    state: Annotated[State, Query(description="proposed 待确认，merged 已合并，rejected 已否定")] = "proposed",
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="最多返回多少对")] = 20,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List pairs."""
    found = matcher.duplicates.pairs(caller.viewer, state, number(cursor) or 0, limit + 1)
    return {
        "pairs": [pair_json(pair) for pair in found[:limit]],
        "next": cursor_of(found[limit - 1].proposal.number) if len(found) > limit else None,
    }


@router.post(
    "/duplicates/{number}",
    summary="决定是否合并一对记录",
    description="合并、否定，或撤销合并；合并的每个来源都保留，撤销后与合并之前完全一样。",
    response_description="决定之后的这一对",
    response_model=DuplicatePair,
    responses=problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def decide(
    request: Request,
    service: RunningService,
    pair: Number,
    matcher: StoreMatcher,
    caller: Admin,
    asked: DecisionIn,
    name: IdempotencyKey = None,
) -> Response:
    """Decide about a pair."""

    def work() -> Answered:
        decided = matcher.duplicates.decide(asked.decision, pair, caller.viewer)
        service.wrote()
        return Answered(200, pair_json(decided))

    return once(request, service, caller, name, asked.model_dump(), work)


@router.get(
    "/records/{id}/sources",
    summary="查看合并记录的来源",
    description="一条记录由哪些来源合并而成，各自有何不同；只列您可以看到的。",
    response_description="全部来源",
    response_model=SourcesAnswer,
    responses=problems(401, 404, 429, 500, 503),
)
def sources(
    id_: Annotated[str, Path(alias="id", description="记录编号")], matcher: StoreMatcher, caller: SignedIn
) -> dict[str, Any]:
    """Show what a record was made of."""
    return {"sources": [source_json(one) for one in matcher.duplicates.sources(id_, caller.viewer)]}
