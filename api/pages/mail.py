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
from matcher.engine import Matcher
from matcher.rows import StoredRecord
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
    return page(
        "person.html",
        token=subscriber.token,
        address=_masked_address(subscriber.email),
        done=DONE.get(done, ""),
        subscriber=subscriber,
        waiting=[_words(matcher, one) for one in own if not one.active],
        running=[_words(matcher, one) for one in own if one.active],
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
    matcher.subscriptions.suppress(subscriber, "unsubscribed")
    return page("unsubscribed.html", token=subscriber.token, address=_masked_address(subscriber.email))


@router.api_route("/mail/{rest:path}", methods=[*READ, "POST"])
def anything_else(rest: str, _: Counted) -> Response:
    """Addresses that were cut short or mistyped."""
    return not_there()


def _back(subscriber: Subscriber, done: str) -> Response:
    # Relative: the service does not know under which path a proxy shows it.
    return RedirectResponse(f"../{subscriber.token}?done={done}", 303, SECRET)


def _words(matcher: Matcher, subscription: Subscription) -> dict[str, str]:
    what = wording.followed(subscription, _subject(matcher, subscription))
    return {"id": subscription.id, "what": what, "how": wording.conditions(subscription)}


def _subject(matcher: Matcher, subscription: Subscription) -> StoredRecord | None:
    """What is followed, as the reader may see it; before he has said yes, no more than everybody sees."""
    if subscription.subject is None:
        return None
    viewer = PUBLIC
    if subscription.active and subscription.account:
        viewer = matcher.accounts.by_key(subscription.account).viewer
    return matcher.records([subscription.subject], viewer).get(subscription.subject)


def _masked_address(email: str) -> str:
    """The page may be in the wrong hands, with a mail that was passed on: enough for its owner to know it by."""
    name, _, host = email.rpartition("@")
    return f"{name[:1]}***@{host}"
