"""Accounts and keys, sessions of browsers."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from api.access import Admin, Arriving, SignedIn
from api.deps import RunningService, StoreMatcher, require_json
from api.once import ID, Answered, IdempotencyKey, once
from api.openapi import problems
from api.problems import Refused
from api.schemas.accounts import AccountIn, AccountMade, AccountOut, AccountPage, KeyIn, SessionIn, SessionOut
from api.sessions import COOKIE, HOURS
from matcher.errors import Forbidden
from matcher.views import account_json

router = APIRouter(prefix="/v1", tags=["账号"])

AccountId = Annotated[str, Path(alias="id", max_length=64, pattern=ID, description="账号编号，如 acc-…")]
KeyId = Annotated[str, Path(alias="key_id", max_length=64, pattern=ID, description="密钥编号，如 key-…")]


@router.get(
    "/account",
    summary="查看自己的账号",
    description="账号及其密钥（不含密钥本身）。",
    response_description="账号",
    response_model=AccountOut,
    responses=problems(401, 429, 500, 503),
)
def own(matcher: StoreMatcher, caller: SignedIn) -> dict[str, Any]:
    """Show the caller's account."""
    assert caller.account
    return account_json(caller.account, matcher.accounts.keys(caller.account))


@router.post(
    "/account/keys",
    summary="为自己再发一个密钥",
    description="密钥只在这一次的答复里出现。",
    status_code=201,
    response_description="新密钥",
    response_model=AccountMade,
    responses=problems(400, 401, 409, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def add_key(
    request: Request,
    service: RunningService,
    matcher: StoreMatcher,
    caller: SignedIn,
    asked: KeyIn,
    name: IdempotencyKey = None,
) -> Response:
    """Make a key for the caller."""
    account = caller.account
    assert account

    def work() -> Answered:
        key, secret = matcher.accounts.add_key(account, asked.name, _expiry(asked.days), account.key)
        return Answered(201, account_json(account, [key]), secret={"secret": secret})

    return once(request, service, caller, name, asked.model_dump(), work)


@router.delete(
    "/account/keys/{key_id}",
    summary="吊销自己的一个密钥",
    description="立即生效；以它登录的网页会话也随之失效。",
    status_code=204,
    response_description="已吊销",
    responses=problems(401, 403, 404, 422, 429, 500, 503),
)
def revoke_key(key_id: KeyId, matcher: StoreMatcher, caller: SignedIn) -> Response:
    """Revoke one of the caller's keys."""
    assert caller.account
    matcher.accounts.revoke(caller.account, key_id, caller.account.key)
    return Response(status_code=204)


@router.post(
    "/session",
    summary="登录",
    description="以密钥登录网页；答复带有会话 Cookie，数小时后失效。",
    response_description="已登录",
    response_model=SessionOut,
    responses=problems(400, 401, 403, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def sign_in(
    request: Request, service: RunningService, matcher: StoreMatcher, _: Arriving, asked: SessionIn, answer: Response
) -> dict[str, Any]:
    """Begin a session."""
    found = matcher.accounts.open(asked.key)
    if found is None:
        raise Refused(401, "密钥无效、已到期或已吊销。请核对后重试。", {"WWW-Authenticate": "Bearer"})
    account, key = found
    answer.set_cookie(
        COOKIE,
        service.sessions.sign(key.id),
        max_age=HOURS * 3600,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return {"account": account_json(account, matcher.accounts.keys(account)), "hours": HOURS}


@router.delete(
    "/session",
    summary="退出登录",
    description="删除会话 Cookie。",
    status_code=204,
    response_description="已退出",
    responses=problems(403, 429, 500, 503),
)
def sign_out(_: Arriving) -> Response:
    """End a session."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@router.get(
    "/accounts",
    summary="列出全部账号",
    description="只有管理员可以查看。",
    response_description="全部账号",
    response_model=AccountPage,
    responses=problems(401, 403, 429, 500, 503),
)
def every(matcher: StoreMatcher, _: Admin) -> dict[str, Any]:
    """List accounts."""
    return {"accounts": [account_json(one, matcher.accounts.keys(one)) for one in matcher.accounts.all()]}


@router.post(
    "/accounts",
    summary="建立账号",
    description="只有管理员可以建立账号；第一个密钥只在这一次的答复里出现。",
    status_code=201,
    response_description="账号及其密钥",
    response_model=AccountMade,
    responses=problems(400, 401, 403, 409, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def add(
    request: Request,
    service: RunningService,
    matcher: StoreMatcher,
    caller: Admin,
    asked: AccountIn,
    name: IdempotencyKey = None,
) -> Response:
    """Make an account."""

    def work() -> Answered:
        actor = caller.viewer.account
        account = matcher.accounts.add(asked.name, asked.role, actor)
        key, secret = matcher.accounts.add_key(account, asked.key_name, _expiry(asked.days), actor)
        return Answered(201, account_json(account, [key]), secret={"secret": secret})

    return once(request, service, caller, name, asked.model_dump(), work)


@router.delete(
    "/accounts/{id}",
    summary="关闭账号",
    description="只有管理员可以关闭账号；它的密钥立即失效，它的记录保留。",
    status_code=204,
    response_description="已关闭",
    responses=problems(401, 403, 404, 422, 429, 500, 503),
)
def close(id_: AccountId, matcher: StoreMatcher, caller: Admin) -> Response:
    """Close an account."""
    if caller.account and caller.account.id == id_:
        raise Forbidden("不能关闭自己的账号。请由另一位管理员关闭，或在平台的机器上运行 matcher account close。")
    matcher.accounts.close(id_, caller.viewer.account)
    return Response(status_code=204)


def _expiry(days: int | None) -> datetime.date | None:
    return datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days) if days else None
