"""Texts in, their programmes out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from api.access import SignedIn
from api.deps import ReadyMatcher, RunningService, require_json
from api.openapi import problems
from api.schemas.answered import TagAnswer
from api.schemas.asked import TagIn
from matcher.views import tag_json

router = APIRouter(prefix="/v1", tags=["专项"])


@router.post(
    "/tag",
    summary="标注文字所属的专项",
    description="每段文字可属于一个或多个专项，也可不属于任何专项（`programmes` 为空）。",
    response_description="标注结果",
    response_model=TagAnswer,
    responses=problems(400, 401, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
async def tag(asked: TagIn, service: RunningService, matcher: ReadyMatcher, _: SignedIn) -> dict[str, Any]:
    """Tag some texts."""
    tags = await service.compute(lambda: matcher.tag([item.text for item in asked.items]))
    return {
        "items": [
            {"id": item.id, "programmes": [tag_json(one) for one in own]}
            for item, own in zip(asked.items, tags, strict=True)
        ]
    }
