"""The rights of an account in what is held about it: a copy, and erasure (see docs/privacy.md)."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Response

from api.access import SignedIn
from api.deps import ReadyMatcher, RunningService, StoreMatcher
from api.openapi import answers, problems
from api.sessions import COOKIE

router = APIRouter(prefix="/v1/account", tags=["账号"])
_OBJECT: dict[str, Any] = {"content": {"application/json": {"schema": {"type": "object"}}}}


@router.get(
    "/export",
    summary="导出平台持有的自己的全部数据",
    description="账号、记录、联系方式、标注、上传和操作历史；密钥本身不在其中。",
    responses=answers(200, description="全部数据", **_OBJECT) | problems(401, 429, 500, 503),
)
def export(matcher: StoreMatcher, caller: SignedIn) -> Response:
    """Give all that is held about the caller."""
    assert caller.account
    held = matcher.people.export_account(caller.account)
    headers = {"Content-Disposition": f'attachment; filename="{caller.account.id}.json"'}
    return Response(json.dumps(held, ensure_ascii=False), headers=headers, media_type="application/json")


@router.delete(
    "",
    summary="注销账号并删除个人数据",
    description="关闭账号，删除密钥、联系方式、上传的文件和不公开的记录；公开的记录保留，但不再有联系方式。不能撤销。",
    responses=answers(200, description="删除了什么", **_OBJECT) | problems(401, 403, 429, 500, 503),
)
def erase(service: RunningService, matcher: ReadyMatcher, caller: SignedIn) -> Response:
    """Erase what is held about the caller."""
    assert caller.account
    erased = matcher.people.erase_account(caller.account, caller.account.key)
    service.wrote()
    answer = Response(json.dumps(erased.as_json(), ensure_ascii=False), media_type="application/json")
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
