"""The command ``matcher duplicates``: look for duplicates, show them, decide about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from matcher.console import JsonFlag, catch_up, opened, print_json, say

if TYPE_CHECKING:
    from matcher.duplicates import Report
    from matcher.engine import Matcher
    from matcher.proposals import Decision


def compare(matcher: Matcher, everything: bool = False) -> Report:
    """Look for duplicates among what has changed, with progress; what is merged leaves the index.

    Costs about a millisecond a record, where embedding it has cost tens.
    """
    from matcher.progress import shown

    with shown("查找重复") as progress:
        report = matcher.duplicates.run(progress, everything)
    if report.merged:
        catch_up(matcher)
    return report


def duplicates(
    run: Annotated[bool, typer.Option("--run", help="先查找：比较上次之后新增或改动的记录")] = False,
    everything: Annotated[bool, typer.Option("--all", help="与 --run 同用：全部重新比较")] = False,
    merge: Annotated[int | None, typer.Option("--merge", help="合并这一对", metavar="编号", min=1)] = None,
    reject: Annotated[int | None, typer.Option("--reject", help="否定这一对，不再提示", metavar="编号", min=1)] = None,
    undo: Annotated[int | None, typer.Option("--undo", help="撤销这一对的合并", metavar="编号", min=1)] = None,
    state: Annotated[
        str, typer.Option("--state", help="列出哪一种：proposed 待确认、merged 已合并、rejected 已否定")
    ] = "proposed",
    after: Annotated[int, typer.Option("--after", help="从该编号之后列起", min=0)] = 0,
    limit: Annotated[int, typer.Option("-k", "--limit", help="最多列出多少对", min=1)] = 20,
    as_json: JsonFlag = False,
) -> None:
    """查找、列出、合并疑似重复的记录；合并可以撤销，各来源的原始内容都保留。"""
    from matcher.proposals import STATES
    from matcher.sources import pair_json, pair_lines
    from matcher.visibility import OPERATOR

    if state not in STATES:
        raise typer.BadParameter(f"“{state}”不是状态；可用 proposed、merged、rejected", param_hint="--state")
    decisions: dict[Decision, int | None] = {"merge": merge, "reject": reject, "undo": undo}
    chosen = [(name, number) for name, number in decisions.items() if number is not None]
    if len(chosen) > 1 or (chosen and run):
        raise typer.BadParameter("--run、--merge、--reject、--undo 每次只能用一个")
    if everything and not run:
        raise typer.BadParameter("--all 要与 --run 同用")
    with opened() as matcher:
        if chosen:
            name, number = chosen[0]
            pairs = [matcher.duplicates.decide(name, number, OPERATOR)]
            catch_up(matcher)
        else:
            if run:
                catch_up(matcher)
                report = compare(matcher, everything)
                say(f"比较了 {report.looked} 条记录，自动合并 {report.merged} 对，待确认的新增 {report.proposed} 对。")
            pairs = matcher.duplicates.pairs(OPERATOR, state, after, limit)
        if as_json:
            print_json([pair_json(pair) for pair in pairs])
            return
        for pair in pairs:
            for line in pair_lines(pair):
                typer.echo(line)
    if chosen:
        return
    if not pairs:
        say("没有这样的疑似重复。可用 --run 查找新的。" if not run else "没有待确认的疑似重复。")
    elif state == "proposed":
        say("用 matcher duplicates --merge 编号 合并，--reject 编号 否定；合并后可用 --undo 编号 撤销。")
