"""The commands of subscriptions to mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from matcher.console import JsonFlag, opened, print_json, say
from matcher.errors import NotFound

if TYPE_CHECKING:
    from matcher.engine import Matcher
    from matcher.subscribers import Subscriber, Subscription

# Subscriptions read at a time.
PAGE = 500

Email = Annotated[str, typer.Option("--email", help="收件人的邮箱地址", metavar="E")]
_NO_MAIL = {
    "unsubscribed": "该邮箱已退订全部邮件，不会收到任何邮件",
    "bounced": "该邮箱的邮件被对方服务器退回，已停止向它发信",
    "operator": "该邮箱已被停止发信",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (subscribe, subscriptions, unsubscribe, suppress):
        app.command()(command)


def subscribe(
    email: Email,
    text: Annotated[str | None, typer.Option("--text", help="关注与这段文字匹配的新记录", metavar="T")] = None,
    need: Annotated[str | None, typer.Option("--need", help="关注与这条需求匹配的新成果和专利", metavar="ID")] = None,
    offer: Annotated[str | None, typer.Option("--offer", help="关注与这项成果或专利匹配的新需求", metavar="ID")] = None,
    institution: Annotated[
        str | None, typer.Option("--institution", help="关注与这家机构的成果和专利匹配的新需求", metavar="ID")
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="关注与 --account 账号的全部记录匹配的新记录")] = False,
    title: Annotated[str, typer.Option("--title", help="文字的标题")] = "",
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", "-K", help="文字找哪一类：achievement、patent、need，可重复")
    ] = None,
    programmes: Annotated[list[str] | None, typer.Option("--programme", help="只要属于该专项的，可重复")] = None,
    regions: Annotated[
        list[str] | None, typer.Option("--region", help="只要该地区的，如 四川省、巴中市、511922，可重复")
    ] = None,
    min_level: Annotated[int, typer.Option("--min-level", help="最低关联度：4 强相关，3 较强相关，2 弱相关")] = 3,
    frequency: Annotated[str, typer.Option("--frequency", help="daily 每天，weekly 每周")] = "daily",
    account: Annotated[
        str | None, typer.Option("--account", help="以该账号的名义，能看到它可见的记录；缺省只看公开的", metavar="NAME")
    ] = None,
    confirmed: Annotated[bool, typer.Option("--confirmed", help="收件人已在别处同意，不再发确认邮件")] = False,
    as_json: JsonFlag = False,
) -> None:
    """为一个邮箱订阅匹配简报；收件人点击确认邮件中的链接后生效。"""
    from matcher.wishes import Wish

    chosen = {"--text": text, "--need": need, "--offer": offer, "--institution": institution, "--own": own or None}
    given = [name for name, value in chosen.items() if value is not None]
    if len(given) != 1:
        raise typer.BadParameter("请用 --text、--need、--offer、--institution 或 --own 写明关注什么，只用其中一个")
    follows = {"--text": "text", "--institution": "institution", "--own": "own"}.get(given[0], "record")
    _require_kind(need, "--need", ("need-",))
    _require_kind(offer, "--offer", ("ach-", "pat-"))
    with opened() as matcher:
        wanted = Wish(
            follows=follows,  # type: ignore[arg-type]  # one of them by the line above
            subject=need or offer or institution,
            title=title,
            text=text or "",
            kinds=tuple(kinds or ()),  # type: ignore[arg-type]  # checked by the wish
            programmes=tuple(programmes or ()),
            regions=tuple(regions or ()),
            min_level=min_level,
            frequency=frequency,  # type: ignore[arg-type]  # checked by the wish
        )
        key = matcher.accounts.find(account).key if account else 0
        made = matcher.subscriptions.add(email, wanted, key, confirmed, by_operator=True)
        subscriber = matcher.subscriptions.by_key(made.subscriber)
        if as_json:
            print_json(_json(matcher, made, subscriber))
            return
        say(f"{_line(matcher, made)}\n邮箱：{subscriber.email}")
    if subscriber.suppressed_for:
        say(f"注意：{_NO_MAIL[subscriber.suppressed_for]}。收件人要求恢复时用 matcher suppress --email … --lift。")
    elif made.active:
        say("订阅已生效。")
    else:
        say("确认邮件已放入发件箱，用 matcher outbox 发出；收件人在 7 天内确认后生效，否则自动删除。")


def subscriptions(
    email: Annotated[str | None, typer.Option("--email", help="只列这个邮箱的", metavar="E")] = None,
    as_json: JsonFlag = False,
) -> None:
    """列出订阅，以及等待收件人确认的订阅。"""
    with opened() as matcher:
        book = matcher.subscriptions
        if email is not None:
            known = book.by_email(email)
            found = book.of(known) if known else []
        else:
            found = _all(matcher)
        people = {one.subscriber: book.by_key(one.subscriber) for one in found}
        if as_json:
            print_json([_json(matcher, one, people[one.subscriber]) for one in found])
            return
        for one in found:
            subscriber = people[one.subscriber]
            typer.echo(_line(matcher, one))
            note = f"（{_NO_MAIL[subscriber.suppressed_for]}）" if subscriber.suppressed_for else ""
            typer.echo(f"    {subscriber.email}{note}")
    if not found:
        say("没有订阅。用 matcher subscribe 新建。")


def unsubscribe(
    email: Annotated[str | None, typer.Option("--email", help="这个邮箱不再收到任何邮件", metavar="E")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="只取消这一个订阅，如 sub-…", metavar="ID")] = None,
) -> None:
    """应收件人的要求退订：一个邮箱的全部邮件，或一个订阅。"""
    if (email is None) == (id_ is None):
        raise typer.BadParameter("请用 --email 写明邮箱，或用 --id 写明订阅，二者择一")
    with opened() as matcher:
        if id_ is not None:
            from matcher.visibility import OPERATOR

            matcher.subscriptions.end_by_account(id_, OPERATOR)
            say(f"订阅 {id_} 已取消。")
        else:
            matcher.subscriptions.suppress(matcher.subscriptions.known(email or ""), "unsubscribed")
            say("该邮箱不会再收到任何邮件。")


def suppress(
    email: Email,
    lift: Annotated[bool, typer.Option("--lift", help="恢复发信；须先得到收件人的同意")] = False,
) -> None:
    """停止向一个邮箱发任何邮件，以后订阅也不发；--lift 恢复。"""
    with opened() as matcher:
        book = matcher.subscriptions
        if not lift:
            book.suppress(book.known(email), "operator")
            say("已停止向该邮箱发信。")
            return
        known = book.by_email(email)
        if known is None or known.suppressed_at is None:
            raise NotFound("该邮箱没有被停止发信，无须恢复。")
        book.resume(known, by_operator=True)
        say("已恢复向该邮箱发信。")


def _require_kind(id_: str | None, option: str, prefixes: tuple[str, ...]) -> None:
    if id_ is not None and not id_.startswith(prefixes):
        names = "、".join(f"{prefix}…" for prefix in prefixes)
        raise typer.BadParameter(f"“{id_[:40]}”不是这一类记录的编号；应形如 {names}", param_hint=option)


def _all(matcher: Matcher) -> list[Subscription]:
    from matcher.visibility import OPERATOR

    found: list[Subscription] = []
    while page := matcher.subscriptions.of_account(OPERATOR, PAGE, found[-1].id if found else None):
        found += page
    return found


def _json(matcher: Matcher, subscription: Subscription, subscriber: Subscriber) -> dict[str, Any]:
    from matcher.views import subscription_json

    account = matcher.accounts.by_key(subscription.account).id if subscription.account else None
    return subscription_json(subscription, subscriber.email) | {
        "account": account,
        "suppressed_for": subscriber.suppressed_for,
    }


def _line(matcher: Matcher, subscription: Subscription) -> str:
    from matcher.records import KIND_NAMES, PROGRAMME_NAMES
    from matcher.views import subscription_json

    told = subscription_json(subscription, "")
    if subscription.follows == "text":
        what = f"文字“{(subscription.title or subscription.text)[:30]}”"
    elif subscription.subject:
        what = f"{told['follows_name']} {subscription.subject}"
    else:
        what = f"{told['follows_name']}（{matcher.accounts.by_key(subscription.account).name}）"
    parts = [
        f"{told['frequency_name']}，关联度 {subscription.min_level} 以上，{told['state_name']}",
        "、".join(KIND_NAMES[kind] for kind in subscription.kinds),
        "、".join(PROGRAMME_NAMES[code] for code in subscription.programmes),
        "、".join(region["name"] for region in told["regions"]),
    ]
    return f"{subscription.id}  {what}；{'；'.join(part for part in parts if part)}"
