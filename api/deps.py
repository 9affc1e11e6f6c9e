"""What routes ask for, named once."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.problems import Refused
from api.service import Service
from matcher.engine import Matcher

# Seconds after which a client may ask again while the service loads.
RETRY_AFTER = "2"


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


RunningService = Annotated[Service, Depends(_service)]


async def _store(service: RunningService) -> Matcher:
    return service.matcher


async def _ready(service: RunningService) -> Matcher:
    if not service.ready:
        raise Refused(503, service.reason, {"Retry-After": RETRY_AFTER})
    return service.matcher


async def require_json(request: Request) -> None:
    """Refuse a body that is declared as something else than JSON."""
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json" and not (declared.startswith("application/") and declared.endswith("+json")):
        raise Refused(415)


# The engine for what needs the store alone; `ReadyMatcher` for what needs model and index.
StoreMatcher = Annotated[Matcher, Depends(_store)]
ReadyMatcher = Annotated[Matcher, Depends(_ready)]
