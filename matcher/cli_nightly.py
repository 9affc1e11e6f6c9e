"""The command of the night: match what is new for subscribers, and mail it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matcher.console import JsonFlag, opened, print_json, say

if TYPE_CHECKING:
    from matcher.nightly import Found

STEP_NAMES = {"embed": "计算向量", "index": "更新索引", "match": "匹配", "save": "登记", "send": "发信"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(nightly)


def nightly(
    date: Annotated[
        str | None, typer.Option("--date", help="当作这一天运行；缺省为今天（北京时间）", metavar="YYYY-MM-DD")
    ] = None,
    dry_run: Annotated[
        Path | None, typer.Option("--dry-run", help="只把邮件写入该目录（.eml 文件），不发出，也不登记", metavar="DIR")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="不先筛选有变化的记录，全部重新匹配；结果相同，较慢")] = False,
    as_json: JsonFlag = False,
) -> None:
    """每晚运行一次：为订阅找出新的匹配，每人最多发一封匹配简报；没有新内容的不发。"""
    from matcher.cli_mail import sending_lines
    from matcher.nightly import rehearse_night, send_night
    from matcher.progress import shown

    day = _checked(date)
    report: dict[str, Any]
    with opened() as matcher:
        if dry_run is not None:
            found, files = rehearse_night(matcher, dry_run, day, full, shown)
            report = found.as_json() | {"files": [str(file) for file in files]}
            lines = [f"写出邮件 {len(files)} 封，在 {dry_run}；没有发出。"]
            clean = not found.failed
        else:
            found, sent = send_night(matcher, day, full, shown)
            report = found.as_json() | {"sending": sent.as_json()}
            lines = sending_lines(sent)
            clean = not found.failed and sent.clean
    if as_json:
        print_json(report)
    else:
        for line in [*_matching_lines(found), *lines]:
            say(line)
    if not clean:
        raise typer.Exit(1)


def _matching_lines(found: Found) -> list[str]:
    lines = [
        f"{found.day}：{found.people} 人的 {found.subscriptions} 个订阅，提问 {found.questions} 次，"
        f"其中 {found.matched} 次可能有新内容；新匹配 {found.pairs} 对，简报 {found.digests} 封。"
    ]
    lines += [f"未匹配的订阅 {count} 个：{reason}" for reason, count in found.silent.items()]
    lines += [f"匹配失败，下次再试：订阅 {id_}：{reason}" for id_, reason in found.failed.items()]
    steps = "，".join(f"{STEP_NAMES[step]} {seconds:.1f} 秒" for step, seconds in found.seconds.items())
    return [*lines, f"用时：{steps}。"]


def _checked(date: str | None) -> str | None:
    if date is None:
        return None
    try:
        return datetime.date.fromisoformat(date).isoformat()
    except ValueError as error:
        raise typer.BadParameter(f"“{date}”不是日期；请写成 YYYY-MM-DD，如 2026-11-24", param_hint="--date") from error
