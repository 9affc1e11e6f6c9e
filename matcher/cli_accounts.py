"""The commands of accounts and their keys."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matcher.console import JsonFlag, opened, print_json, say

if TYPE_CHECKING:
    from matcher.accounts import Account, ApiKey

app = typer.Typer(help="管理账号和密钥。", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="账号的名称或编号", metavar="ACCOUNT")]
KeyName = Annotated[str, typer.Option("--key-name", help="密钥的名称，便于日后辨认")]
Days = Annotated[int | None, typer.Option("--days", min=1, max=3650, help="密钥在多少天后到期；缺省不到期")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="账号名称，如企业或机构的名称", metavar="NAME")],
    role: Annotated[
        str, typer.Option("--role", help="enterprise 企业，intermediary 中介，institution 机构，admin 管理员")
    ],
    key_name: KeyName = "默认密钥",
    days: Days = None,
    as_json: JsonFlag = False,
) -> None:
    """新建账号，并给出它的第一个密钥；密钥只显示这一次。"""
    with opened() as matcher:
        account = matcher.accounts.add(name, role)
        key, secret = matcher.accounts.add_key(account, key_name, _expiry(days))
    _show_secret(account, key, secret, as_json)


@app.command()
def key(who: Who, key_name: KeyName, days: Days = None, as_json: JsonFlag = False) -> None:
    """为账号再发一个密钥；密钥只显示这一次。"""
    with opened() as matcher:
        account = matcher.accounts.find(who)
        made, secret = matcher.accounts.add_key(account, key_name, _expiry(days))
    _show_secret(account, made, secret, as_json)


@app.command()
def revoke(who: Who, key_id: Annotated[str, typer.Argument(help="密钥的编号，如 key-…", metavar="KEY_ID")]) -> None:
    """吊销一个密钥，立即生效。"""
    with opened() as matcher:
        matcher.accounts.revoke(matcher.accounts.find(who), key_id)
    say(f"密钥 {key_id} 已吊销。")


@app.command()
def close(who: Who) -> None:
    """关闭账号：它的所有密钥立即失效，它的记录保留。"""
    with opened() as matcher:
        account = matcher.accounts.find(who)
        matcher.accounts.close(account.id)
    say(f"账号“{account.name}”已关闭。")


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """列出所有账号和密钥（不含密钥本身）。"""
    from matcher.views import account_json

    with opened() as matcher:
        accounts = [account_json(one, matcher.accounts.keys(one)) for one in matcher.accounts.all()]
    if as_json:
        print_json(accounts)
        return
    for account in accounts:
        closed = f"，{account['closed_at'][:10]} 关闭" if account["closed_at"] else ""
        typer.echo(f"{account['id']}  {account['name']}（{account['role_name']}{closed}）")
        for key in account["keys"]:
            typer.echo(f"    {key['id']}  {key['name']}，{key['created_at'][:10]} 发放，{_end_of(key)}")
    if not accounts:
        say("还没有账号。用 matcher account add 名称 --role 角色 新建。")


def _expiry(days: int | None) -> datetime.date | None:
    return datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days) if days else None


def _end_of(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return f"{key['revoked_at'][:10]} 吊销"
    return f"{key['expires_at'][:10]} 到期" if key["expires_at"] else "长期有效"


def _show_secret(account: Account, key: ApiKey, secret: str, as_json: bool) -> None:
    from matcher.views import account_json

    if as_json:
        print_json(account_json(account, [key]) | {"secret": secret})
        return
    say(f"账号“{account.name}”（{account.id}）的密钥 {key.id} 如下，只显示这一次，请妥善保存：")
    typer.echo(secret)
    say("调用接口时放在请求头里：Authorization: Bearer 密钥")
