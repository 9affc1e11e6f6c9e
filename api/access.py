"""Who calls: by a key in the Authorization header, by the session of a browser, or nobody."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from api.deps import RunningService
from api.problems import Refused
from api.rates import MINUTE
from api.service import Service
from api.sessions import COOKIE
from matcher.accounts import Account, ApiKey
from matcher.errors import Forbidden
from matcher.visibility import ANONYMOUS, ROLE_NAMES, AccountRole, Viewer

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="密钥，由平台管理员发放")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="session", description="网页登录后的会话")


@dataclass(frozen=True)
class Caller:
    """Who calls.

    :param account: None for anonymous callers.
    :param key: with which the account called, or began its session.
    """

    viewer: Viewer
    account: Account | None = None
    key: ApiKey | None = None


NOBODY = Caller(ANONYMOUS)


def _caller(
    request: Request,
    service: RunningService,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    session: Annotated[str | None, Security(_cookie)],
) -> Caller:
    try:
        caller = _identified(request, service, bearer.credentials if bearer else None, session)
    except Refused:
        # Whoever guesses keys is counted like everybody who has none.
        _count(request, service, NOBODY)
        raise
    _count(request, service, caller)
    return caller


def _arriving(request: Request, service: RunningService) -> None:
    if "origin" in request.headers and not _same_site(request):
        raise _cross_site()
    _count(request, service, NOBODY)


def _counted(request: Request, service: RunningService) -> None:
    _count(request, service, NOBODY)


def may_send_files(request: Request, service: Service) -> bool:
    """Whether somebody may send a large body; asked before any of it is read, and before anything else is."""
    session = request.cookies.get(COOKIE)
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    try:
        return _identified(request, service, secret if scheme.lower() == "bearer" else None, session) is not NOBODY
    except Refused:
        return False


def _identified(request: Request, service: Service, secret: str | None, session: str | None) -> Caller:
    accounts = service.matcher.accounts
    if secret is not None:
        found = accounts.open(secret)
        if found is None:
            raise _unknown("密钥无效、已到期或已吊销。请核对后重试，或向平台管理员申请新的密钥。")
    elif "authorization" in request.headers:
        raise _unknown("请求头 Authorization 应为“Bearer 密钥”。")
    elif session:
        key_id = service.sessions.key_of(session)
        found = accounts.open_by_id(key_id) if key_id else None
        if found is None:
            raise _unknown("登录已失效。请重新登录。")
        if request.method in _CHANGING and not _same_site(request):
            raise _cross_site()
    else:
        return NOBODY
    account, key = found
    return Caller(account.viewer, account, key)


def _same_site(request: Request) -> bool:
    """Whether a browser sent this from a page of ours: others cannot set the header that tells."""
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")


def _count(request: Request, service: Service, caller: Caller) -> None:
    settings = service.settings
    if caller.key:
        subject, limit = caller.key.id, settings.rate_limit
    else:
        subject, limit = f"address {_network(request)}", settings.rate_limit_anonymous
    wait = service.rates.wait(subject, limit)
    if wait:
        raise Refused(
            429,
            f"请求过于频繁：每 {MINUTE} 秒最多 {limit} 次。请在 {wait} 秒后重试。",
            {"Retry-After": str(wait)},
        )


def _network(request: Request) -> str:
    """Where a call comes from; in IPv6 one subscriber has all addresses of a /64."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return host


def _cross_site() -> Refused:
    return Refused(403, "该请求来自其他网站，已拒绝。请在本平台的页面上操作。")


def _unknown(detail: str) -> Refused:
    return Refused(401, detail, {"WWW-Authenticate": "Bearer"})


AnyCaller = Annotated[Caller, Depends(_caller)]
# For whoever comes to sign in or out: what is left of an earlier session does not matter.
Arriving = Annotated[None, Depends(_arriving)]
# For pages that a secret in their address opens, and mail programs that know nothing else (RFC 8058).
Counted = Annotated[None, Depends(_counted)]


async def _asking(caller: AnyCaller, service: RunningService) -> Caller:
    if caller.account is None and not service.settings.anonymous:
        raise _unknown("本平台不接受匿名请求。请在请求头中加上 Authorization: Bearer 密钥。")
    return caller


async def _signed_in(caller: AnyCaller) -> Caller:
    if caller.account is None:
        raise _unknown("该接口需要密钥。请在请求头中加上 Authorization: Bearer 密钥；密钥向平台管理员申请。")
    return caller


# For questions about public offers, which anybody may ask unless the settings forbid it.
Asking = Annotated[Caller, Depends(_asking)]
SignedIn = Annotated[Caller, Depends(_signed_in)]


def require_role(caller: Caller, *roles: AccountRole) -> None:
    """Refuse what only some roles may do.

    :raises Forbidden: saying who may.
    """
    if caller.account is None or caller.account.role not in roles:
        names = "、".join(ROLE_NAMES[role] for role in roles)
        raise Forbidden(f"只有{names}账号可以进行该操作。")


async def _admin(caller: SignedIn) -> Caller:
    require_role(caller, "admin")
    return caller


async def _judge(caller: SignedIn) -> Caller:
    require_role(caller, "intermediary", "admin")
    return caller


Admin = Annotated[Caller, Depends(_admin)]
Judge = Annotated[Caller, Depends(_judge)]
