"""Routes whose errors are pages too."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.pages.rendering import page
from api.problems import KINDS

# Mail programs look at a page's head before they show its link.
READ = ["GET", "HEAD"]
NOT_THERE = (
    "这个地址没有内容，或者您无权查看。记录可能已撤回或改为不公开，链接也可能不完整。请使用最近一封邮件中的链接。"
)

logger = logging.getLogger(__name__)


class PageRoute(APIRoute):
    """Says in HTML what the API says as a problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, and what it raises as a page."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:  # whatever it is, a person looks at the answer
                return await _error_page(request, error)

        return handled


def not_there() -> Response:
    """What does not exist and what is not for the reader look the same."""
    return page("message.html", 404, title="没有找到", text=NOT_THERE)


async def _error_page(request: Request, error: Exception) -> Response:
    handlers = request.app.exception_handlers
    handler = next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None)
    if handler is None:
        logger.error("a page failed", exc_info=error)
        return page("message.html", 500, title=KINDS[500].title, text=f"{KINDS[500].detail}请稍后再试。")
    answer: Response = await handler(request, error)
    if answer.status_code == 404:
        return not_there()
    told = json.loads(bytes(answer.body))
    kept = {name: value for name, value in answer.headers.items() if name in ("retry-after", "allow")}
    return page("message.html", answer.status_code, kept, title=told["title"], text=told["detail"])
