"""Leads: lists of whom to call, and what becomes of each."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import Caller, Judge
from api.deps import ReadyMatcher, RunningService, StoreMatcher, require_json
from api.once import (
    ID,
    Answered,
    Cursor,
    IdempotencyKey,
    IfMatch,
    cursor_of,
    entity_tag,
    number,
    once,
    seen_revision,
)
from api.openapi import answers, problems
from api.schemas.asked import ID_LIMIT
from api.schemas.leads import AssigneeIn, LeadAnswer, LeadPage, LeadsIn, LeadsOut, StepIn
from api.schemas.records import LIST_LIMIT
from matcher.engine import Matcher
from matcher.errors import InvalidLead
from matcher.lead_book import Lead
from matcher.lead_states import Status, Step
from matcher.lead_views import EXPORT_COLUMNS, accounts_of, export_cells, lead_json, list_json
from matcher.leads import LeadList

router = APIRouter(prefix="/v1/leads", tags=["线索"])

# Questions of one list: some seconds of work. The command line takes as many as there are.
MOST_QUESTIONS = 500
# Leads of one exported file.
MOST_EXPORTED = 10_000
TAGGED: dict[str, Any] = {"ETag": {"description": "该版本的标记，用于 If-Match", "schema": {"type": "string"}}}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

LeadId = Annotated[str, Path(alias="id", max_length=ID_LIMIT, pattern=ID, description="线索编号，如 lead-…")]
StatusFilter = Annotated[Status | None, Query(description="只要这一状态的")]
Everybodys = Annotated[bool, Query(alias="all", description="列出所有人的线索，只有管理员可用")]


@router.post(
    "",
    summary="列出值得联系的企业",
    description="为成果和专利找需求，或为需求找成果和专利，每对一条。新线索只告诉一个人："
    f"列给您的为您保留 14 天，跟进后一直归您。两边都超过 {MOST_QUESTIONS} 条记录时须缩小范围。",
    response_description="线索清单",
    response_model=LeadsOut,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
async def draw(
    request: Request,
    service: RunningService,
    matcher: ReadyMatcher,
    caller: Judge,
    asked: LeadsIn,
    name: IdempotencyKey = None,
) -> Response:
    """Draw a list."""

    def work() -> Answered:
        drawn = matcher.leads.draw(caller.viewer, asked.wanted(), asked.peek, most_questions=MOST_QUESTIONS)
        return Answered(200, listed(matcher, drawn))

    # Beside the event loop, as every other question that takes the processor for long.
    return await service.compute(lambda: once(request, service, caller, name, asked.model_dump(), work))


@router.get(
    "",
    summary="列出自己的线索",
    description="列给您且没有交给他人的，以及他人交给您的；最近列出的在前。",
    response_description="一页线索",
    response_model=LeadPage,
    responses=problems(401, 403, 422, 429, 500, 503),
)
def page(
    matcher: StoreMatcher,
    caller: Judge,
    status: StatusFilter = None,
    everybodys: Everybodys = False,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="最多返回多少条")] = 20,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List the caller's leads."""
    found = matcher.leads.book.page(caller.viewer, status, limit + 1, number(cursor), everybodys)
    leads = found[:limit]
    records, names = matcher.leads.records(leads, caller.viewer), matcher.accounts.names(accounts_of(leads))
    return {
        "leads": [lead_json(lead, records, names, None, caller.viewer) for lead in leads],
        "next": cursor_of(leads[-1].key) if len(found) > limit else None,
    }


@router.get(
    "/export",
    summary="导出自己的线索",
    description="XLSX（表头冻结、可筛选、关联度着色）或 CSV；备注不在其中。",
    response_class=Response,
    responses=answers(200, content={XLSX: {}, "text/csv": {}}, description="表格文件")
    | problems(401, 403, 422, 429, 500, 503),
)
def export(
    matcher: StoreMatcher,
    caller: Judge,
    format_: Annotated[Literal["xlsx", "csv"], Query(alias="format", description="文件格式")] = "xlsx",
    status: StatusFilter = None,
    everybodys: Everybodys = False,
) -> Response:
    """Give the caller's leads as a file."""
    from matcher.sheets import CSV_ENCODING, write_csv, write_xlsx

    found = matcher.leads.book.page(caller.viewer, status, MOST_EXPORTED, everybodys=everybodys)
    records, names = matcher.leads.records(found, caller.viewer), matcher.accounts.names(accounts_of(found))
    cells = export_cells(found, records, names, matcher.settings.base_url)
    day = datetime.datetime.now(datetime.UTC).date()
    headers = {"Content-Disposition": f'attachment; filename="leads-{day}.{format_}"'}
    if format_ == "xlsx":
        book = io.BytesIO()
        write_xlsx(book, "线索", EXPORT_COLUMNS, cells)
        return Response(book.getvalue(), headers=headers, media_type=XLSX)
    text = io.StringIO(newline="")
    write_csv(text, EXPORT_COLUMNS, cells)
    return Response(text.getvalue().encode(CSV_ENCODING), headers=headers, media_type="text/csv")


@router.get(
    "/{id}",
    summary="查看一条线索",
    description="线索及其全部进展。不存在的和由他人负责的，一律返回 404。",
    response_description="线索",
    response_model=LeadAnswer,
    responses=answers(200, headers=TAGGED) | problems(401, 403, 404, 422, 429, 500, 503),
)
def read(id_: LeadId, matcher: StoreMatcher, caller: Judge) -> Response:
    """Show a lead."""
    body, headers = _shown(matcher, caller, matcher.leads.book.get(id_, caller.viewer))
    return Response(json.dumps(body, ensure_ascii=False), headers=headers, media_type="application/json")


@router.post(
    "/{id}/steps",
    summary="记录一步进展",
    description="签约（4）、洽谈（3）和“技术不适用”（1）同时成为您对这一对的标注，用于训练排序。",
    response_description="此后的线索",
    response_model=LeadAnswer,
    responses=answers(200, headers=TAGGED) | problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def step(
    request: Request,
    service: RunningService,
    id_: LeadId,
    matcher: StoreMatcher,
    caller: Judge,
    asked: StepIn,
    match: IfMatch = None,
    name: IdempotencyKey = None,
) -> Response:
    """Write a step down."""
    seen = seen_revision(match)
    made = Step(**asked.model_dump(exclude={"signed_on"}), signed_on=_day(asked.signed_on))

    def work() -> Answered:
        body, headers = _shown(matcher, caller, matcher.leads.book.step(id_, made, caller.viewer, seen))
        return Answered(200, body, headers)

    return once(request, service, caller, name, asked.model_dump(), work)


@router.put(
    "/{id}/assignee",
    summary="指派线索",
    description="把线索交给一个中介或管理员账号；此后只有它和管理员能看到这条线索。",
    response_description="此后的线索；交给他人之后不再列出进展",
    response_model=LeadAnswer,
    responses=answers(200, headers=TAGGED) | problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def assign(
    request: Request,
    service: RunningService,
    id_: LeadId,
    matcher: StoreMatcher,
    caller: Judge,
    asked: AssigneeIn,
    match: IfMatch = None,
    name: IdempotencyKey = None,
) -> Response:
    """Give a lead to somebody."""
    seen = seen_revision(match)

    def work() -> Answered:
        body, headers = _shown(matcher, caller, matcher.leads.assign(id_, asked.account, caller.viewer, seen))
        return Answered(200, body, headers)

    return once(request, service, caller, name, asked.model_dump(), work)


def listed(matcher: Matcher, drawn: LeadList) -> dict[str, Any]:
    """A list as it is answered."""
    return list_json(drawn, matcher.accounts.names(accounts_of(row.listed.lead for row in drawn.rows)))


def _shown(matcher: Matcher, caller: Caller, lead: Lead) -> tuple[dict[str, Any], dict[str, str]]:
    """A lead as the caller reads it, and its entity tag."""
    viewer = caller.viewer
    holds = lead.holder == viewer.account or viewer.role == "admin"
    steps: Sequence[Any] = matcher.leads.book.steps(lead, viewer) if holds else ()
    names = matcher.accounts.names(accounts_of([lead], steps))
    body = lead_json(lead, matcher.leads.records([lead], viewer), names, steps, viewer)
    return body, {"ETag": entity_tag(lead.revision, body)}


def _day(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidLead("signed_on", "不是日期；请写成 2026-04-02") from error
