"""The commands about mails on their way: send what waits, look at what went wrong, take in notifications."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matcher.console import JsonFlag, opened, print_json, say
from matcher.errors import Busy, UnreadableFile
from matcher.faults import PASSING

if TYPE_CHECKING:
    from matcher.bounces import Told
    from matcher.outbox import Outbox
    from matcher.sending import SendReport

# What a mail server understands as "later" when it hands a mail to a program (EX_TEMPFAIL).
TRY_AGAIN = 75
_STDIN = "-"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(outbox)
    app.command()(bounce)


def outbox(
    listed: Annotated[bool, typer.Option("--list", help="不发信，只列出各状态的数量，以及失败和未确认的邮件")] = False,
    resend: Annotated[
        list[str] | None, typer.Option("--resend", help="把失败或未确认的这一封放回待发队列，可重复", metavar="编号")
    ] = None,
    limit: Annotated[int, typer.Option("-k", "--limit", help="最多列出多少封", min=1)] = 50,
    as_json: JsonFlag = False,
) -> None:
    """发出待发的邮件（确认信、上次没有发成的），不做匹配；有失败的时退出码为 1。"""
    from matcher.nightly import send_outbox
    from matcher.outbox import Outbox

    if listed and resend:
        raise typer.BadParameter("--list、--resend 每次只能用一个")
    with opened() as matcher:
        own = Outbox(matcher.store.database)
        if listed:
            _list(own, limit, as_json)
            return
        if resend:
            for id_ in resend:
                own.resend(id_)
            say(f"已放回待发队列 {len(resend)} 封。运行 matcher outbox 即发出。")
            return
        try:
            report = send_outbox(matcher)
        except Busy as error:  # who is at it sends these mails as well
            say(str(error))
            return
    if as_json:
        print_json(report.as_json())
    else:
        for line in sending_lines(report):
            say(line)
    if not report.clean:
        raise typer.Exit(1)


def bounce(
    files: Annotated[
        list[str] | None, typer.Argument(help="退信的原文；- 或不写表示标准输入", metavar="[FILE…]")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """读取退信，记下送不到的邮件；收件人连续多次送不到时不再给他发信。"""
    from matcher.bounces import take_notification
    from matcher.outbox import Outbox

    told: list[tuple[str, Told]] = []
    unreadable = False
    try:
        with opened() as matcher:
            own = Outbox(matcher.store.database)
            for file in files or [_STDIN]:
                try:
                    if file == _STDIN:
                        told.append((file, take_notification(own, sys.stdin.buffer)))
                    else:
                        with Path(file).open("rb") as stream:
                            told.append((file, take_notification(own, stream)))
                except UnreadableFile as error:
                    unreadable = True
                    say(f"错误：{'标准输入' if file == _STDIN else file}：{error}")
    except PASSING as error:
        say(f"错误：{error}")
        raise typer.Exit(TRY_AGAIN) from error
    if as_json:
        print_json([{"file": file, "outcome": one.outcome, "id": one.id, "message": one.message} for file, one in told])
    else:
        counts = {
            outcome: sum(one.outcome == outcome for _, one in told) for outcome in ("counted", "ignored", "unknown")
        }
        say(
            f"记下退信 {counts['counted']} 封；不是退信的 {counts['ignored']} 封；"
            f"与已发邮件对不上或已记过的 {counts['unknown']} 封。"
        )
    if unreadable:
        raise typer.Exit(2)


def sending_lines(report: SendReport) -> list[str]:
    """A run's report, for people."""
    skipped = sum(report.skipped.values())
    lines = [
        f"发出 {report.sent} 封，暂缓 {report.postponed} 封，失败 {len(report.failed)} 封，"
        f"略过 {skipped} 封，用时 {report.seconds:.1f} 秒。"
    ]
    lines += [f"略过 {count} 封：{reason}" for reason, count in report.skipped.items()]
    lines += [f"失败：{one.id}：{one.message}" for one in report.failed]
    if report.postponed:
        lines.append("暂缓的邮件还在待发队列中；请稍后再运行 matcher outbox。")
    if report.unconfirmed:
        lines.append(
            f"上次发信中断，有 {len(report.unconfirmed)} 封不知是否送达，没有再发：{'、'.join(report.unconfirmed)}。"
            "可查发信服务器的日志；确实没有送达时，用 matcher outbox --resend 编号 重发。"
        )
    if report.stopped:
        lines.append(f"错误：{report.stopped}")
    return lines


def _list(own: Outbox, limit: int, as_json: bool) -> None:
    from matcher.outbox import STATE_NAMES

    counts, troubled = own.counts(), own.troubled(limit)
    if as_json:
        print_json({"counts": counts, "troubled": [vars(one) for one in troubled]})
        return
    typer.echo("，".join(f"{STATE_NAMES[state]} {count}" for state, count in counts.items()))
    for one in troubled:
        typer.echo(f"{one.id} · {STATE_NAMES[one.state]} · {one.kind} · {one.day} · {one.done_at}：{one.message}")
    if troubled:
        say("查明原因后，用 matcher outbox --resend 编号 可以重发。")
