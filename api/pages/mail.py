"""A person's own pages: what he follows, and the end of it. The secret in their address stands for a login.

Reading changes nothing: programs that look after mail follow every link in it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Response
from fastapi.responses import RedirectResponse

from api.access import Counted
from api.deps import StoreMatcher
from api.pages.rendering import SECRET, page
from api.pages.routing import READ, PageRoute, not_there
from api.problems import Refused
from matcher import wording
from matcher.following import Following
from matcher.subscribers import Subscriber, Subscription
from matcher.visibility import PUBLIC

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# What has just been done, by the word that the page's address then carries.
DONE = {
    "confirm": "已确认。有新的匹配时，我们会发邮件告诉您。",
    "end": "已结束该订阅。",
    "news": "已改收非个性化资讯。",
    "matches": "已改收个性化匹配。",
    "resume": "已恢复接收邮件。",
}
STOPPED = "平台已停止向这个邮箱发送邮件。如需恢复，请联系平台管理员。"


@router.api_route("/mail/{token}", methods=READ)
def person(token: str, matcher: StoreMatcher, _: Counted, done: Annotated[str, Query()] = "") -> Response:
    """What somebody follows."""
    subscriber = matcher.subscriptions.by_token(token)
    own = matcher.subscriptions.of(subscriber)
    following = Following(matcher.store, matcher.accounts)
    return page(
        "person.html",
        token=subscriber.token,
        address=_masked_address(subscriber.email),
        done=DONE.get(done, ""),
        subscriber=subscriber,
        waiting=[_words(following, one) for one in own if not one.active],
        running=[_words(following, one) for one in own if one.active],
    )


@router.post("/mail/{token}/confirm")
def confirm(token: str, matcher: StoreMatcher, _: Counted, id_: Annotated[str, Form(alias="id")] = "") -> Response:
    """Say yes to one subscription, or to all that wait."""
    subscriber = matcher.subscriptions.by_token(token)
    matcher.subscriptions.confirm(subscriber, [id_] if id_ else None)
    return _back(subscriber, "confirm")


@router.post("/mail/{token}/end")
def end(token: str, matcher: StoreMatcher, _: Counted, id_: Annotated[str, Form(alias="id")]) -> Response:
    """End one subscription."""
    subscriber = matcher.subscriptions.by_token(token)
    matcher.subscriptions.end(subscriber, id_)
    return _back(subscriber, "end")


@router.post("/mail/{token}/news")
def news(token: str, matcher: StoreMatcher, _: Counted, personalised: Annotated[bool, Form()]) -> Response:
    """Choose between matches and news that are the same for everybody."""
    subscriber = matcher.subscriptions.by_token(token)
    matcher.subscriptions.personalise(subscriber, personalised)
    return _back(subscriber, "matches" if personalised else "news")


@router.post("/mail/{token}/resume")
def resume(token: str, matcher: StoreMatcher, _: Counted) -> Response:
    """Take mail again."""
    subscriber = matcher.subscriptions.by_token(token)
    if subscriber.suppressed_for == "operator":
        raise Refused(403, STOPPED)
    matcher.subscriptions.resume(subscriber)
    return _back(subscriber, "resume")


@router.api_route("/mail/{token}/unsubscribe", methods=READ)
def ask_to_unsubscribe(token: str, matcher: StoreMatcher, _: Counted) -> Response:
    """A page with one button."""
    subscriber = matcher.subscriptions.by_token(token)
    return page("unsubscribe.html", token=subscriber.token, address=_masked_address(subscriber.email))


@router.post("/mail/{token}/unsubscribe")
def unsubscribe(token: str, matcher: StoreMatcher, _: Counted) -> Response:
    """End all mail at once, whatever the body says: RFC 8058 sends one, the button sends none."""
    subscriber = matcher.subscriptions.by_token(token)
    # He gets nothing already, and could lift his own word afterwards, but not the operator's.
    if subscriber.suppressed_for != "operator":
        matcher.subscriptions.suppress(subscriber, "unsubscribed")
    return page("unsubscribed.html", token=subscriber.token, address=_masked_address(subscriber.email))


@router.api_route("/mail/{rest:path}", methods=[*READ, "POST"])
def anything_else(rest: str, _: Counted) -> Response:
    """Addresses that were cut short or mistyped."""
    return not_there()


def _back(subscriber: Subscriber, done: str) -> Response:
    # Relative: the service does not know under which path a proxy shows it.
    return RedirectResponse(f"../{subscriber.token}?done={done}", 303, SECRET)


def _words(following: Following, subscription: Subscription) -> dict[str, str]:
    # Before he has said yes, whoever reads this gets to see no more than everybody.
    viewer = following.viewer(subscription) if subscription.active else PUBLIC
    subject = following.subject(subscription, viewer) if viewer else None
    what, how = wording.followed(subscription, subject), wording.conditions(subscription)
    return {"id": subscription.id, "what": what, "how": how}


def _masked_address(email: str) -> str:
    """The page may be in the wrong hands, with a mail that was passed on: enough for its owner to know it by."""
    name, _, host = email.rpartition("@")
    return f"{name[:1]}***@{host}"
