"""The seven programmes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.access import SignedIn
from api.openapi import problems
from api.schemas.answered import ProgrammesAnswer
from matcher.programs import programmes
from matcher.views import programme_json

router = APIRouter(prefix="/v1", tags=["专项"])


@router.get(
    "/programmes",
    summary="列出七个专项",
    description="按政策文件的顺序列出七个成果转化专项的代码、名称、范围和主要方向。",
    response_description="全部专项",
    response_model=ProgrammesAnswer,
    responses=problems(401, 429, 500, 503),
)
async def list_programmes(_: SignedIn) -> dict[str, Any]:
    """Give the programmes in the order of the policy."""
    return {"programmes": [programme_json(programme) for programme in programmes()]}
