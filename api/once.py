"""Writes that may be sent again: the Idempotency-Key, entity tags, cursors."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Header, Query, Request, Response

from api.access import Caller
from api.service import Service
from matcher.errors import InvalidQuery
from matcher.replies import Reply

CURSOR_LIMIT = 64
# Ids that this service gives out.
ID = r"^[0-9a-z-]+$"
_NAME = r"^[\x21-\x7e]+$"
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=_NAME,
        description="由调用方为每个新请求任取的值；网络中断后以同样的值重发，不会重复写入，并得到第一次的答复",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=100, description="读取记录时得到的 ETag；记录已被改过时返回 412"),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", max_length=1000, description="上次得到的 ETag；内容没变时返回 304")
]
Cursor = Annotated[str | None, Query(max_length=CURSOR_LIMIT, description="上一页答复中的 next；缺省为第一页")]
_REVISION = re.compile(r'\s*(?:W/)?"(\d{1,18})-[0-9a-f]{16}"\s*')


@dataclass(frozen=True)
class Answered:
    """What a write answers.

    :param secret: fields that only the first answer holds; they are not kept.
    """

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, Any] = field(default_factory=dict)


def once(
    request: Request,
    service: Service,
    caller: Caller,
    name: str | None,
    asked: Mapping[str, Any],
    work: Callable[[], Answered],
) -> Response:
    """Do a write, unless a request of the same name has done it already.

    :param name: the Idempotency-Key.
    :param asked: what is asked for, by which a request is known again.
    """
    if name is None:
        return _response(work(), {})
    replies, account = service.matcher.replies, caller.viewer.account
    wanted = json.dumps([request.method, request.url.path, asked], ensure_ascii=False, sort_keys=True)
    known = replies.begin(account, name, hashlib.sha256(wanted.encode("utf-8", "replace")).hexdigest())
    if known:
        headers = {**known.headers, "Idempotency-Replayed": "true"}
        return Response(known.body, known.status, headers, "application/json" if known.body else None)
    try:
        answered = work()
    except BaseException:
        replies.abandon(account, name)
        raise
    body = "" if answered.body is None else _json({**answered.body, **dict.fromkeys(answered.secret)})
    replies.finish(account, name, Reply(answered.status, answered.headers, body))
    return _response(answered, answered.secret)


def _response(answered: Answered, secret: Mapping[str, Any]) -> Response:
    if answered.body is None:
        return Response(status_code=answered.status, headers=dict(answered.headers))
    body = _json({**answered.body, **answered.secret, **secret})
    return Response(body, answered.status, dict(answered.headers), "application/json")


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)


def entity_tag(revision: int, body: Mapping[str, Any]) -> str:
    """The tag of a record as one caller reads it: changes when anything of that does."""
    digest = hashlib.blake2b(_json(body).encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f'"{revision}-{digest}"'


def seen_revision(if_match: str | None) -> int | None:
    """The revision that a caller has seen, None if it does not matter to him.

    :raises InvalidQuery: if the header holds no tag of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = _REVISION.fullmatch(if_match)
    if not found:
        raise InvalidQuery("If-Match", "不是本平台给出的 ETag；请先读取记录")
    return int(found[1])


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller has this version already."""
    known = {one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")}
    return tag in known or "*" in known


def cursor_of(number: int | str) -> str:
    """The cursor behind the record with this number."""
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def position(cursor: str | None) -> str | None:
    """What `cursor_of` was given.

    :raises InvalidQuery: if the cursor is none of ours.
    """
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise _bad_cursor() from error
    if not re.fullmatch(r"[0-9a-z-]{1,40}", text):
        raise _bad_cursor()
    return text


def number(cursor: str | None) -> int | None:
    """`position` of a cursor that holds a number.

    :raises InvalidQuery: if the cursor is none of ours.
    """
    text = position(cursor)
    if text is not None and not re.fullmatch(r"\d{1,18}", text):
        raise _bad_cursor()
    return int(text) if text is not None else None


def _bad_cursor() -> InvalidQuery:
    return InvalidQuery("cursor", "不是本接口给出的值；请从第一页开始")
