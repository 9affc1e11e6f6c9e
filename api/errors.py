"""Exceptions to problem details, with pydantic's messages in plain Chinese."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.problems import KINDS, Refused, problem
from matcher.errors import (
    Busy,
    Conflict,
    DamagedIndex,
    DiskFull,
    FieldError,
    Forbidden,
    IndexUnavailable,
    InProgress,
    MatcherError,
    ModelError,
    NotFound,
    RankerMismatch,
    StoreUnavailable,
)
from matcher.faults import is_full

logger = logging.getLogger(__name__)

# Field errors named in the summary sentence; all of them are listed beside it.
SUMMARISED = 3
FALLBACK_REASON = "值不可用"
# pydantic's error type to Chinese; {…} are filled from the error's context.
REASONS: Mapping[str, str] = {
    "missing": "缺少该字段",
    "extra_forbidden": "没有这个字段，请检查拼写",
    "string_type": "应为文字",
    "string_unicode": "含有无法识别的字符",
    "string_too_long": "超过 {max_length} 字，请精简后重试",
    "string_too_short": "至少须有 {min_length} 字",
    "int_type": "应为整数",
    "int_parsing_size": "数字过大",
    "greater_than_equal": "不能小于 {ge}",
    "less_than_equal": "不能大于 {le}",
    "list_type": "应为数组",
    "too_long": "最多 {max_length} 项，请分批提交",
    "bool_parsing": "应为 true 或 false",
    "bool_type": "应为 true 或 false",
    "int_parsing": "应为整数",
    "string_pattern_mismatch": "含有不允许的字符",
    "union_tag_not_found": "须用 kind 写明记录类型：achievement、patent、need 或 institution",
    "union_tag_invalid": "kind 应为 achievement、patent、need 或 institution",
    "model_type": "应为 JSON 对象",
    "model_attributes_type": "应为 JSON 对象",
}
# Where a value stands in a request; its name says enough.
_PLACES = ("body", "query", "path", "header")
# Types whose message is Chinese already: this project's own.
OWN_TYPE = "matcher_"
# Whose messages are for the caller.
REFUSALS: Mapping[type[MatcherError], int] = {NotFound: 404, Forbidden: 403, InProgress: 409, Conflict: 412}
# What may pass without the caller's doing, with what the caller is told: the errors' own sentences name folders
# and settings, for the operator's log.
UNAVAILABLE: Mapping[type[MatcherError], str] = {
    Busy: "服务正忙，这次没有完成。请稍后重试。",
    DamagedIndex: "索引暂不可用，管理员修复后会自动恢复。请稍后再试。",
    DiskFull: "服务器的磁盘已满，这次没有写入；此前已确认的数据不受影响。请稍后再试。",
    IndexUnavailable: "索引暂不可用，恢复后会自动继续服务。请稍后再试。",
    ModelError: "模型暂不可用，管理员修复后会自动恢复。请稍后再试。",
    RankerMismatch: "模型暂不可用，管理员修复后会自动恢复。请稍后再试。",
    StoreUnavailable: "数据库暂不可用，这次没有完成；此前已确认的数据不受影响。请稍后再试。",
}
# Seconds after which a caller may ask again.
RETRY_AFTER = "5"


def install(app: FastAPI) -> None:
    """Let every exception that a route raises leave as a problem."""
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(MatcherError, _engine_error)
    app.add_exception_handler(OSError, _system_error)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found: Sequence[Mapping[str, Any]] = error.errors()
    broken = next((e for e in found if e["type"] == "json_invalid"), None)
    if broken:
        position = f"请求体在第 {broken['loc'][1] + 1} 个字符处不是有效的 JSON。请检查引号、逗号和括号。"
        return problem(400, request.url.path, position)
    errors = [{"field": field_name(e["loc"]), "reason": reason(e)} for e in found]
    return problem(422, request.url.path, _summary(errors), errors)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # The framework's own details are English.
    detail = error.detail if isinstance(error, Refused) else None
    headers = _allowing(request) or error.headers if error.status_code == 405 else error.headers
    return problem(error.status_code, request.url.path, detail, headers=headers)


def _allowing(request: Request) -> dict[str, str]:
    """All methods of an address; the framework names those of one of its routes only."""
    path = getattr(request.scope.get("route"), "path", "")
    methods = request.app.openapi()["paths"].get(path, {})
    return {"Allow": ", ".join(sorted(method.upper() for method in methods))} if methods else {}


async def _engine_error(request: Request, error: Exception) -> Response:
    path = request.url.path
    if isinstance(error, FieldError):
        return problem(422, path, f"{error}。", [{"field": error.field, "reason": error.reason}])
    for kind, status in REFUSALS.items():
        if isinstance(error, kind):
            return problem(status, path, str(error))
    # These name folders and settings: for the operator's log, not for the caller.
    logger.error("%s: %s", type(error).__name__, error)
    for kind, detail in UNAVAILABLE.items():
        if isinstance(error, kind):
            return problem(503, path, detail, headers={"Retry-After": RETRY_AFTER})
    return problem(500, path, KINDS[500].detail)


async def _system_error(request: Request, error: Exception) -> Response:
    if not is_full(error):
        raise error
    logger.error("%s", error)
    return problem(503, request.url.path, UNAVAILABLE[DiskFull], headers={"Retry-After": RETRY_AFTER})


def field_name(location: Sequence[str | int]) -> str:
    """A location of pydantic as people write it: ``filters.kinds[0]``; the body itself is 请求体."""
    parts = location[1:] if location[:1] and location[0] in _PLACES else location
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return name.lstrip(".") or "请求体"


def reason(error: Mapping[str, Any]) -> str:
    """What is wrong, in plain Chinese, without the value that was sent."""
    kind, context = error["type"], error.get("ctx", {})
    if kind.startswith(OWN_TYPE):
        return str(error["msg"])
    if kind == "literal_error":
        allowed = "、".join(re.findall(r"'([^']*)'", context["expected"]))
        return f"不是可用的值；可用的值有 {allowed}"
    return REASONS.get(kind, FALLBACK_REASON).format(**context)


def _summary(errors: Sequence[Mapping[str, str]]) -> str:
    named = "；".join(f"{e['field']}：{e['reason']}" for e in errors[:SUMMARISED])
    return f"{named}。" if len(errors) <= SUMMARISED else f"{named}；等共 {len(errors)} 处。"
