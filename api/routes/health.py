"""Is it alive, can it answer, how is it doing."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from api.deps import ReadyMatcher, RunningService
from api.metrics import CONTENT_TYPE
from api.openapi import problems
from api.schemas.answered import Alive, Ready
from matcher.visibility import ANONYMOUS

router = APIRouter(tags=["运行"])


@router.get(
    "/healthz",
    summary="进程是否存活",
    description="进程在运行即返回 200，与数据和模型无关。",
    response_description="存活",
    response_model=Alive,
)
async def healthz() -> dict[str, Any]:
    """Say that the process lives."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="能否作答",
    description="模型和索引加载完毕后返回 200，此前返回 503 及原因。",
    response_description="就绪",
    response_model=Ready,
    responses=problems(503),
)
async def readyz(matcher: ReadyMatcher) -> dict[str, Any]:
    """Say whether questions can be answered."""
    index = matcher.index
    return {
        "status": "ready",
        "index": {"generation": index.generation, "records": index.count(ANONYMOUS.sight.visibilities)},
    }


@router.get(
    "/metrics",
    summary="运行指标",
    description="Prometheus 文本格式：请求数和耗时、匹配各步骤耗时、索引状态、进程资源。",
    response_description="指标",
    response_class=PlainTextResponse,
)
def metrics(service: RunningService) -> PlainTextResponse:
    """Give the figures for Prometheus."""
    service.answers.observe()
    content = service.metrics.render(service.matcher if service.ready else None)
    return PlainTextResponse(content, media_type=CONTENT_TYPE)
