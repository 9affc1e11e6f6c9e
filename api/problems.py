"""RFC 9457 problem details: the one shape of every error answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Response
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemKind:
    """What is always the same about errors of one status."""

    type: str
    title: str
    detail: str


KINDS: Mapping[int, ProblemKind] = {
    400: ProblemKind(
        "malformed-body", "请求体无法解析", "请求体不是有效的 JSON（须为 UTF-8 编码）。请检查格式后重试。"
    ),
    401: ProblemKind("unauthenticated", "需要密钥", "该接口需要密钥。"),
    403: ProblemKind("forbidden", "没有权限", "您的账号不能进行该操作。"),
    404: ProblemKind("not-found", "没有找到", "没有这个地址。可用的接口见 /docs。"),
    405: ProblemKind("method-not-allowed", "请求方法不对", "该地址不支持这种请求方法；支持的方法见 Allow 响应头。"),
    409: ProblemKind("conflict", "请求冲突", "同一个请求正在处理。请稍后再试。"),
    412: ProblemKind("precondition-failed", "内容已变", "该记录刚被修改过。请重新读取后再改。"),
    413: ProblemKind("body-too-large", "请求体过大", "请求体超过上限。请精简内容或分批提交。"),
    415: ProblemKind(
        "unsupported-media-type",
        "请求体类型不对",
        "请求体须为 JSON；请加上请求头 Content-Type: application/json。",
    ),
    422: ProblemKind("invalid-request", "请求内容有误", "请求中有不可用的值。"),
    429: ProblemKind("too-many-requests", "请求过多", "请求过于频繁。请稍后再试。"),
    500: ProblemKind("internal-error", "服务内部出错", "服务内部出错，已记入日志。"),
    503: ProblemKind("unavailable", "服务暂不可用", "服务暂时不可用，请稍后再试。"),
}


class Refused(HTTPException):
    """A request that is turned away with a Chinese sentence for the caller."""

    def __init__(self, status: int, detail: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail or KINDS[status].detail, headers)


def problem(
    status: int,
    path: str,
    detail: str | None = None,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error as a response.

    :param path: of the request.
    :param detail: a Chinese sentence; that of the status by default.
    :param errors: what is wrong field by field, as {"field", "reason"}.
    """
    kind = KINDS.get(status) or KINDS[500 if status >= 500 else 400]
    content = {
        "type": f"urn:matcher:problem:{kind.type}",
        "title": kind.title,
        "status": status,
        "detail": detail or kind.detail,
        "instance": quote(path),
    }
    body = json.dumps(content | ({"errors": list(errors)} if errors else {}), ensure_ascii=False)
    # A message may quote half a surrogate pair that the caller sent; UTF-8 has no bytes for it.
    return Response(body.encode("utf-8", "replace"), status, headers, MEDIA_TYPE)
