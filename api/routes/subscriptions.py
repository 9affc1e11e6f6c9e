"""Subscriptions to mail: an account lets an address follow something; the address itself says yes, or nothing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import SignedIn
from api.deps import RunningService, StoreMatcher, require_json
from api.once import ID, Answered, Cursor, IdempotencyKey, cursor_of, once, position
from api.openapi import problems
from api.schemas.records import LIST_LIMIT
from api.schemas.subscriptions import SubscriptionIn, SubscriptionOut, SubscriptionPage
from matcher.engine import Matcher
from matcher.subscribers import Subscription
from matcher.views import subscription_json

router = APIRouter(prefix="/v1/subscriptions", tags=["订阅"])

SubscriptionId = Annotated[str, Path(alias="id", max_length=64, pattern=ID, description="订阅编号，如 sub-…")]


@router.post(
    "",
    summary="建立订阅",
    description="向收件人发出确认邮件，收件人在 7 天内点击其中的链接后生效；同样的订阅再次提交，得到同一个订阅。"
    "答复不说明该邮箱是否已在本平台，也不说明它是否愿意收信。",
    status_code=201,
    response_description="订阅",
    response_model=SubscriptionOut,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503),
    dependencies=[Depends(require_json)],
)
def add(
    request: Request,
    service: RunningService,
    matcher: StoreMatcher,
    caller: SignedIn,
    asked: SubscriptionIn,
    name: IdempotencyKey = None,
) -> Response:
    """Let an address follow something, once it says yes."""

    def work() -> Answered:
        made = matcher.subscriptions.add(asked.email, asked.wish(), caller.viewer.account)
        return Answered(201, _told(matcher, [made])[0])

    return once(request, service, caller, name, asked.model_dump(), work)


@router.get(
    "",
    summary="列出自己建立的订阅",
    description="最近的在前；已结束的、收件人逾期没有确认的不在其中。",
    response_description="一页订阅",
    response_model=SubscriptionPage,
    responses=problems(401, 422, 429, 500, 503),
)
def page(
    matcher: StoreMatcher,
    caller: SignedIn,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="最多返回多少条")] = 20,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List the caller's subscriptions."""
    found = matcher.subscriptions.of_account(caller.viewer, limit + 1, position(cursor))
    return {
        "subscriptions": _told(matcher, found[:limit]),
        "next": cursor_of(found[limit - 1].id) if len(found) > limit else None,
    }


@router.get(
    "/{id}",
    summary="查看一个订阅",
    description="只能查看自己建立的订阅。",
    response_description="订阅",
    response_model=SubscriptionOut,
    responses=problems(401, 404, 422, 429, 500, 503),
)
def one(id_: SubscriptionId, matcher: StoreMatcher, caller: SignedIn) -> dict[str, Any]:
    """Show one of the caller's subscriptions."""
    return _told(matcher, [matcher.subscriptions.get(id_, caller.viewer)])[0]


@router.delete(
    "/{id}",
    summary="取消一个订阅",
    description="立即生效。",
    status_code=204,
    response_description="已取消",
    responses=problems(401, 403, 404, 422, 429, 500, 503),
)
def end(id_: SubscriptionId, matcher: StoreMatcher, caller: SignedIn) -> Response:
    """End one of the caller's subscriptions."""
    matcher.subscriptions.end_by_account(id_, caller.viewer)
    return Response(status_code=204)


def _told(matcher: Matcher, found: list[Subscription]) -> list[dict[str, Any]]:
    addresses = matcher.subscriptions.addresses([one.subscriber for one in found])
    return [subscription_json(one, addresses[one.subscriber]) for one in found]
