"""What surrounds every request: its id, its line in the log, the limit of its body, its last resort."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Refused, problem

REQUEST_ID_HEADER = "X-Request-ID"
# Ids that a proxy sets; anything else could forge lines of the log.
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# A path that no route has may hold anything, and there is no end of such paths.
NO_ROUTE = "-"

# What is answered is for the caller alone: not for a shared cache, another site's frame, or a guess at its type.
PROTECTING = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}

# Called once a request with route template, method, status and seconds.
Observer = Callable[[str, str, int, float], None]

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("api.access")


def log_access_somewhere() -> None:
    """Send the access log to standard error, unless the process has set logging up itself."""
    if access_logger.level == logging.NOTSET:
        access_logger.setLevel(logging.INFO)
    if not access_logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        access_logger.addHandler(handler)


class RequestEnvelope:
    """Gives each request an id and one line in the log, and turns what nobody caught into a 500.

    Each answer says that browsers shall keep it to themselves.

    The line holds no path, query, body or address: none of a question or of a person.
    """

    def __init__(self, app: ASGIApp, observe: Observer) -> None:
        self.app = app
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                for name, value in PROTECTING.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            logger.exception("request %s failed", request_id)
            if status:
                raise
            detail = f"服务内部出错，已记入日志。如需协助，请告知请求编号 {request_id}。"
            await problem(500, scope["path"], detail)(scope, receive, send_with_id)
        finally:
            self._record(scope, request_id, status, time.perf_counter() - began)

    def _record(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self.observe(route, method, status, seconds)
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        access_logger.info(json.dumps(line))


class BodyLimit:
    """Refuses bodies above a limit, by what their header says and by what really comes.

    Starlette's own limit answers a large Content-Length in plain text; here every error is a problem.
    """

    def __init__(self, app: ASGIApp, limit_of: Callable[[Request], Awaitable[int]]) -> None:
        """:param limit_of: bytes that the body of a request may have, asked before any of it is read."""
        self.app = app
        self.limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = await self.limit_of(Request(scope))
        detail = f"请求体超过 {limit} 字节的上限。请精简内容或分批提交。"
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > limit:
            await problem(413, scope["path"], detail)(scope, receive, send)
            return
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # FastAPI lets HTTP errors through that come up while it reads a body.
                raise Refused(413, detail)
            return message

        await self.app(scope, receive_some, send)
