"""The summary for the bureau: as JSON, as a workbook or as one table."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from api.access import Admin
from api.deps import StoreMatcher
from api.openapi import answers, problems
from api.schemas.summary import SummaryAnswer
from matcher.summary import Period, Summary, summarise

router = APIRouter(prefix="/v1", tags=["统计"])

Format = Literal["json", "xlsx", "csv"]
MEDIA_TYPES = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


@router.get(
    "/summary",
    summary="按专项和县区汇总",
    description="成果、需求、线索、洽谈、签约和合同金额，与政策目标对照；只有管理员可以查看，不公开的记录不计。",
    response_description="汇总",
    response_model=SummaryAnswer,
    responses=answers(200, content={media_type: {} for media_type in MEDIA_TYPES.values()}, description="汇总")
    | problems(401, 403, 422, 429, 500, 503),
)
def summary(
    matcher: StoreMatcher,
    _: Admin,
    first: Annotated[
        str | None, Query(alias="from", max_length=10, description="洽谈和签约从这一天起计，YYYY-MM-DD")
    ] = None,
    last: Annotated[
        str | None, Query(alias="to", max_length=10, description="洽谈和签约计到这一天（含），YYYY-MM-DD")
    ] = None,
    format_: Annotated[Format, Query(alias="format", description="json，xlsx 分表，csv 一张总表")] = "json",
) -> Any:
    """Count everything."""
    found = summarise(matcher.store.database, Period.parse(first, last))
    if format_ == "json":
        from matcher.summary_views import summary_json

        return summary_json(found)
    headers = {"Content-Disposition": f'attachment; filename="summary-{found.day}.{format_}"'}
    return Response(_file(found, format_), media_type=MEDIA_TYPES[format_], headers=headers)


def _file(found: Summary, format_: Format) -> bytes:
    from matcher.sheets import CSV_ENCODING, write_csv, write_workbook
    from matcher.summary_views import summary_sheets, summary_table

    if format_ == "xlsx":
        content = io.BytesIO()
        write_workbook(content, summary_sheets(found))
        return content.getvalue()
    text = io.StringIO(newline="")
    write_csv(text, *summary_table(found))
    return text.getvalue().encode(CSV_ENCODING)
