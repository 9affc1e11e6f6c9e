"""Records: written by their owners, read by all who may see them."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.access import Caller, SignedIn, require_role
from api.batching import answered
from api.deps import ReadyMatcher, RunningService, StoreMatcher, require_json
from api.once import (
    Answered,
    Cursor,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    cursor_of,
    entity_tag,
    is_known,
    number,
    once,
    seen_revision,
)
from api.openapi import answers, problems
from api.schemas.answered import MatchAnswer, PartnersAnswer, RecordAnswer
from api.schemas.asked import ProgrammeCode, Province
from api.schemas.records import (
    LIST_LIMIT,
    FacetsAnswer,
    HistoryAnswer,
    RecordIn,
    RecordPage,
    StatisticsAnswer,
)
from matcher import audit
from matcher.engine import Matcher
from matcher.errors import InvalidRecord, NotFound
from matcher.listing import Wanted
from matcher.queries import DEFAULT_LIMIT, DEFAULT_MIN_LEVEL, MATCH_LIMIT, PARTNER_LIMIT, PARTNERS
from matcher.rank import LEVELS
from matcher.records import KINDS, Kind, Visibility, parse_record
from matcher.rows import StoredRecord
from matcher.store import no_record
from matcher.views import answer_json, facets_json, history_json, partners_json, record_answer_json

router = APIRouter(prefix="/v1", tags=["记录"])

Id = Annotated[str, Path(alias="id", description="记录编号，如 ach-4kq2m7x3vbn5e")]
Kinds = Annotated[list[Kind] | None, Query(alias="kind", max_length=len(KINDS), description="记录类型，可重复")]
Programmes = Annotated[
    list[ProgrammeCode] | None, Query(alias="programme", max_length=7, description="专项代码，可重复")
]
Provinces = Annotated[list[Province] | None, Query(alias="province", max_length=34, description="省级行政区，可重复")]
Limit = Annotated[int, Query(ge=1, le=LIST_LIMIT, description="最多返回多少条")]
MatchLimit = Annotated[int, Query(ge=1, le=MATCH_LIMIT, description="最多返回多少条匹配")]
MinLevel = Annotated[
    int, Query(ge=min(LEVELS), le=max(LEVELS), description="最低关联度：4 强相关，3 较强相关，2 弱相关，1 无相关")
]
RECORD_HEADERS: dict[str, Any] = {
    "ETag": {"description": "该版本的标记，用于 If-Match 和 If-None-Match", "schema": {"type": "string"}}
}


@router.post(
    "/records",
    summary="提交一条记录",
    description="提交成果、专利或技术需求；机构只有管理员可以提交。`source_id` 与已提交的相同时即为更新。",
    status_code=201,
    response_description="已写入",
    response_model=RecordAnswer,
    responses=answers(201, headers=RECORD_HEADERS) | problems(400, 401, 403, 409, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def create(
    request: Request,
    service: RunningService,
    matcher: StoreMatcher,
    caller: SignedIn,
    asked: Annotated[RecordIn, Body()],
    name: IdempotencyKey = None,
) -> Response:
    """Write a new record."""
    _check_institution(caller, asked.kind, asked.visibility)

    def work() -> Answered:
        # The same request sent again writes the same record, even if its first answer was never kept.
        own_id = hashlib.sha256(name.encode()).hexdigest()[:24] if name else secrets.token_hex(12)
        record, _ = parse_record(asked.kind, {"source_id": own_id, **asked.values()}, caller_source(caller))
        matcher.write(record, asked.contact or None, caller.viewer)
        service.wrote()
        body, headers = _shown(matcher, caller, record.id)
        return Answered(201, body, {"Location": f"/v1/records/{record.id}", **headers})

    return once(request, service, caller, name, asked.model_dump(), work)


@router.get(
    "/records",
    summary="列出记录",
    description="列出您可以看到的记录，最近提交的在前；`mine=true` 只列您自己提交的，含已截止和已撤回的。",
    response_description="一页记录",
    response_model=RecordPage,
    responses=problems(401, 422, 429, 500, 503),
)
def page(
    matcher: StoreMatcher,
    caller: SignedIn,
    kinds: Kinds = None,
    programmes: Programmes = None,
    provinces: Provinces = None,
    mine: Annotated[bool, Query(description="是否只列自己提交的")] = False,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List records."""
    wanted = Wanted(
        kinds=tuple(kinds or ()), programmes=tuple(programmes or ()), provinces=tuple(provinces or ()), mine=mine
    )
    found = matcher.listed(caller.viewer, wanted, limit + 1, number(cursor))
    more = len(found) > limit
    return {
        "records": [record_answer_json(stored, caller.viewer) for stored in found[:limit]],
        "next": cursor_of(found[limit - 1].key) if more else None,
    }


@router.get(
    "/records/{id}",
    summary="查看一条记录",
    description="返回成果、专利、需求或机构及其所属专项。记录不存在、已撤回或不对您公开时，一律返回 404。",
    response_description="记录",
    response_model=RecordAnswer,
    responses=answers(200, headers=RECORD_HEADERS)
    | answers(304, description="内容没有变化")
    | problems(401, 404, 422, 429, 500, 503),
)
def read(id_: Id, matcher: StoreMatcher, caller: SignedIn, known: IfNoneMatch = None) -> Response:
    """Show one record."""
    body, headers = _shown(matcher, caller, id_)
    headers |= {"Vary": "Authorization, Cookie", "Cache-Control": "private, no-cache"}
    if is_known(known, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(json.dumps(body, ensure_ascii=False), headers=headers, media_type="application/json")


@router.put(
    "/records/{id}",
    summary="修改一条记录",
    description="以提交的内容替换自己的记录；类型和 `source_id` 不能改变。已撤回的记录由此恢复。",
    response_description="已修改",
    response_model=RecordAnswer,
    responses=answers(200, headers=RECORD_HEADERS)
    | problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def replace(
    request: Request,
    service: RunningService,
    id_: Id,
    matcher: StoreMatcher,
    caller: SignedIn,
    asked: Annotated[RecordIn, Body()],
    match: IfMatch = None,
    name: IdempotencyKey = None,
) -> Response:
    """Change a record."""
    stored = _own(matcher, caller, id_)
    old = stored.record
    if asked.kind != old.kind:
        raise InvalidRecord("kind", f"不能从 {old.kind} 改为 {asked.kind}；请撤回后另行提交")
    _check_institution(caller, asked.kind, asked.visibility)
    if asked.source_id not in (None, old.source_id):
        raise InvalidRecord("source_id", "不能改变；请撤回后另行提交")
    seen = seen_revision(match)

    def work() -> Answered:
        values = asked.values() | {"source_id": old.source_id}
        record, _ = parse_record(asked.kind, values, old.source)
        if record.id != id_:
            raise InvalidRecord("标题", "机构的名称不能改变；请另行提交，并把旧名称写为别名")
        contact = matcher.store.contact(id_) if asked.contact is None else asked.contact or None
        matcher.write(record, contact, caller.viewer, seen)
        service.wrote()
        body, headers = _shown(matcher, caller, id_)
        return Answered(200, body, headers)

    return once(request, service, caller, name, asked.model_dump(), work)


@router.delete(
    "/records/{id}",
    summary="撤回一条记录",
    description="撤回自己的记录：立即退出所有匹配，历史保留；再次提交即恢复。",
    status_code=204,
    response_description="已撤回",
    responses=problems(401, 403, 404, 409, 412, 422, 429, 500, 503),
)
def withdraw(
    request: Request,
    service: RunningService,
    id_: Id,
    matcher: StoreMatcher,
    caller: SignedIn,
    match: IfMatch = None,
    name: IdempotencyKey = None,
) -> Response:
    """Withdraw a record."""
    seen = seen_revision(match)

    def work() -> Answered:
        _own(matcher, caller, id_)
        matcher.store.withdraw(id_, caller.viewer.account, seen)
        service.wrote()
        return Answered(204)

    return once(request, service, caller, name, {}, work)


@router.get(
    "/records/{id}/history",
    summary="查看变更历史",
    description="谁在何时改动了自己的记录的哪些字段；只有提交方可以查看。",
    response_description="变更历史",
    response_model=HistoryAnswer,
    responses=problems(401, 403, 404, 422, 429, 500, 503),
)
def history(id_: Id, matcher: StoreMatcher, caller: SignedIn) -> dict[str, Any]:
    """Show what happened to a record."""
    stored = _own(matcher, caller, id_)
    entries = audit.history(matcher.store.database, stored.id)
    return {"changes": [history_json(entry, caller.viewer) for entry in entries]}


@router.get(
    "/records/{id}/matches",
    tags=["匹配"],
    summary="匹配一条已有记录",
    description="为需求找成果和专利，为成果或专利找需求；返回内容同 `POST /v1/match`。",
    response_description="匹配结果",
    response_model=MatchAnswer,
    responses=problems(401, 404, 422, 429, 500, 503),
)
async def matches(
    id_: Id,
    request: Request,
    service: RunningService,
    matcher: ReadyMatcher,
    caller: SignedIn,
    kinds: Kinds = None,
    limit: MatchLimit = DEFAULT_LIMIT,
    min_level: MinLevel = DEFAULT_MIN_LEVEL,
) -> Response:
    """Match a stored record with the other side."""
    query = await service.compute(lambda: matcher.record_query(id_, caller.viewer, kinds or (), limit, min_level))
    return answered(answer_json(await service.answers.ask(request, query)))


@router.get(
    "/records/{id}/similar",
    tags=["匹配"],
    summary="查找同类的相近记录",
    description="为成果或专利找相近的成果和专利，为需求找相近的需求；返回内容同 `POST /v1/match`。",
    response_description="相近的记录",
    response_model=MatchAnswer,
    responses=problems(401, 404, 422, 429, 500, 503),
)
async def similar(
    id_: Id,
    request: Request,
    service: RunningService,
    matcher: ReadyMatcher,
    caller: SignedIn,
    limit: MatchLimit = DEFAULT_LIMIT,
    min_level: MinLevel = DEFAULT_MIN_LEVEL,
) -> Response:
    """Find records like a stored one."""
    query = await service.compute(lambda: matcher.record_query(id_, caller.viewer, (), limit, min_level, similar=True))
    return answered(answer_json(await service.answers.ask(request, query)))


@router.get(
    "/records/{id}/partners",
    tags=["匹配"],
    summary="为一条已有需求推荐合作机构",
    description="返回内容同 `POST /v1/partners`。",
    response_description="推荐的机构",
    response_model=PartnersAnswer,
    responses=problems(401, 404, 422, 429, 500, 503),
)
async def partners(
    id_: Id,
    request: Request,
    service: RunningService,
    matcher: ReadyMatcher,
    caller: SignedIn,
    limit: Annotated[int, Query(ge=1, le=PARTNER_LIMIT, description="最多返回多少家机构")] = PARTNERS,
) -> Response:
    """Name partners for a stored need."""
    query = await service.compute(lambda: matcher.record_query(id_, caller.viewer, limit=1, partners=limit))
    answer = await service.answers.ask(request, query)
    return answered({"partners": partners_json(answer.partners)})


@router.get(
    "/facets",
    tags=["统计"],
    summary="按类型、专项、省份计数",
    description="只计您可以看到且参与匹配的记录。",
    response_description="分类计数",
    response_model=FacetsAnswer,
    responses=problems(401, 422, 429, 500, 503),
)
def facets(
    matcher: StoreMatcher,
    caller: SignedIn,
    kinds: Kinds = None,
    programmes: Programmes = None,
    provinces: Provinces = None,
) -> dict[str, Any]:
    """Count records."""
    wanted = Wanted(kinds=tuple(kinds or ()), programmes=tuple(programmes or ()), provinces=tuple(provinces or ()))
    return facets_json(matcher.listing.facets(caller.viewer, wanted))


@router.get(
    "/statistics",
    tags=["统计"],
    summary="查看统计",
    description="您可以看到的各类记录数、自己提交的记录数和标注数。",
    response_description="统计",
    response_model=StatisticsAnswer,
    responses=problems(401, 429, 500, 503),
)
def statistics(service: RunningService, matcher: StoreMatcher, caller: SignedIn) -> dict[str, Any]:
    """Count what the caller may see."""
    every, own = (matcher.listing.facets(caller.viewer, Wanted(mine=mine))["kinds"] for mine in (False, True))
    return {
        "records": {kind: every[kind] for kind in KINDS},
        "own": {kind: own[kind] for kind in KINDS},
        "judgements": matcher.judgements.count(caller.viewer),
        "generation": matcher.index.generation if service.ready else None,
    }


@router.get(
    "/export",
    summary="导出记录",
    description="以 JSONL（每行一个 JSON 对象）导出您可以看到且参与匹配的记录，不含联系方式。",
    response_class=StreamingResponse,
    responses=answers(200, content={"application/x-ndjson": {}}, description="每行一条记录")
    | problems(401, 422, 429, 500, 503),
)
def export(
    matcher: StoreMatcher,
    caller: SignedIn,
    kinds: Kinds = None,
    programmes: Programmes = None,
    provinces: Provinces = None,
) -> StreamingResponse:
    """Give all records that the caller may see."""
    wanted = Wanted(kinds=tuple(kinds or ()), programmes=tuple(programmes or ()), provinces=tuple(provinces or ()))

    def lines() -> Iterator[str]:
        for stored in matcher.exported(caller.viewer, wanted):
            yield json.dumps(record_answer_json(stored, caller.viewer), ensure_ascii=False) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def caller_source(caller: Caller) -> str:
    """The source of the records that a caller writes one by one: no two accounts' ids can meet."""
    assert caller.account
    return caller.account.id


def _check_institution(caller: Caller, kind: Kind, visibility: Visibility) -> None:
    if kind == "institution":
        require_role(caller, "admin")
        if visibility != "public":
            raise InvalidRecord("公开范围", "机构一律公开；请写 public")


def _own(matcher: Matcher, caller: Caller, id_: str) -> StoredRecord:
    """A record of the caller's own; another's looks like none at all."""
    stored = matcher.record(id_, caller.viewer)
    if not caller.viewer.may_change(stored.record.kind, stored.owner):
        raise NotFound(no_record(id_))
    return stored


def _shown(matcher: Matcher, caller: Caller, id_: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A record as the caller reads it, and its entity tag."""
    stored = matcher.record(id_, caller.viewer)
    contact = matcher.store.contact(id_) if caller.viewer.owns(stored.owner) else None
    body = record_answer_json(stored, caller.viewer, contact)
    return body, {"ETag": entity_tag(stored.revision, body)}
