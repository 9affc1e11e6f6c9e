"""The commands for the rights of people in what is held about them, and for how long it is held."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from matcher.console import JsonFlag, opened, print_json, say

if TYPE_CHECKING:
    from matcher.accounts import Account
    from matcher.engine import Matcher
    from matcher.erasure import Erased

app = typer.Typer(help="个人信息：导出、删除。", no_args_is_help=True)

AccountOption = Annotated[str | None, typer.Option("--account", help="账号的名称或编号", metavar="NAME")]
ContactOption = Annotated[
    str | None, typer.Option("--contact", help="本人的手机号、带区号的电话、邮箱或姓名", metavar="TEXT")
]
_NO_MAIL_AGAIN = "删除的订阅邮箱今后不会再收到邮件，即使再次为它订阅；本人要求恢复时用 matcher suppress --lift。"
_BACKUPS = "备份文件不受影响：请删除或重新制作此前的备份。若再次导入含有该信息的文件，它会重新入库。"


def register(app_: typer.Typer) -> None:
    """Add the commands."""
    app_.add_typer(app, name="person")
    app_.command()(retention)


@app.command()
def export(account: AccountOption = None, contact: ContactOption = None) -> None:
    """以 JSON 导出所持有的某个账号、或某个联系方式所指的人的全部信息。"""
    _require_one(account, contact)
    with opened() as matcher:
        if account is not None:
            found = _account(matcher, account)
            print_json(matcher.people.export_account(found))
        else:
            print_json(matcher.people.export_person(contact or ""))


@app.command()
def erase(
    account: AccountOption = None,
    contact: ContactOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="确认删除；不加则只说明将删除什么")] = False,
    as_json: JsonFlag = False,
) -> None:
    """删除某个账号、或某个联系方式所指的人的信息；公开的记录保留，但不再含有联系方式。"""
    _require_one(account, contact)
    with opened() as matcher:
        if account is not None:
            found = _account(matcher, account)
            if not yes:
                held = matcher.people.export_account(found)
                hidden = sum(record["visibility"] != "public" for record in held["records"])
                public = len(held["records"]) - hidden
                say(
                    f"将关闭账号“{found.name}”，删除它的 {hidden} 条未公开的记录、{len(held['keys'])} 个密钥和"
                    f" {len(held['uploads'])} 个上传文件、"
                    f"{len(held['subscriptions'])} 个订阅；{public} 条公开的记录保留，但不再含有联系方式。"
                )
                _ask_to_confirm()
            erased = matcher.people.erase_account(found, whole=True)
        else:
            if not yes:
                held = matcher.people.export_person(contact or "")
                say(
                    f"将从 {len(held['contacts'])} 条记录中删除联系方式，从 {len(held['texts'])} 条记录的正文和"
                    f" {len(held['lead_notes'])} 处线索备注中删除提到此人之处，"
                    f"并删除 {len(held['subscribers'])} 个订阅邮箱及其订阅。"
                    f"发明人姓名（{len(held['inventor_of'])} 件专利）是公告内容，予以保留。"
                )
                _ask_to_confirm()
            erased = matcher.people.erase_person(contact or "", whole=True)
            if erased.subscribers:
                say(_NO_MAIL_AGAIN)
        aside = matcher.people.set_aside()
    _report(erased, as_json)
    say(_BACKUPS)
    if aside:
        say(f"另存的旧数据也不受影响，不再需要时请删除：{'、'.join(map(str, aside))}")


def retention(as_json: JsonFlag = False) -> None:
    """删除保留期（MATCHER_RETENTION_DAYS 天）以前的个人信息；请每天运行一次。"""
    with opened() as matcher:
        days = matcher.settings.retention_days
        erased = matcher.people.expire(days, datetime.datetime.now(datetime.UTC))
    if not as_json:
        say(f"保留期：{days} 天。")
    _report(erased, as_json)


def _account(matcher: Matcher, name_or_id: str) -> Account:
    # Closed accounts are found by their numbers only.
    known = {account.id: account for account in matcher.accounts.all()}
    return known.get(name_or_id) or matcher.accounts.find(name_or_id)


def _require_one(account: str | None, contact: str | None) -> None:
    if (account is None) == (contact is None):
        raise typer.BadParameter("请用 --account 指明账号，或用 --contact 写出联系方式，二者择一")


def _ask_to_confirm() -> None:
    say("没有删除任何内容。确认后请加上 --yes 再运行一次；删除后无法恢复。")
    raise typer.Exit(1)


def _report(erased: Erased, as_json: bool) -> None:
    if as_json:
        print_json(erased.as_json())
    else:
        say(
            f"已删除记录 {len(erased.records)} 条、联系方式 {erased.contacts} 条、账号 {erased.accounts} 个、"
            f"密钥 {erased.keys} 个、订阅人 {erased.subscribers} 个、文件 {erased.files} 个；"
            f"修改记录 {len(erased.changed)} 条。"
        )
    if not erased.complete:
        say("另一个进程正在使用数据库或索引，其中可能还有残留。请在它结束后运行 matcher retention 清除。")
