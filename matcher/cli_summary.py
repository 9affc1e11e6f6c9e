"""The command ``matcher summary``: figures for the technology bureau."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from matcher.console import opened, say

if TYPE_CHECKING:
    from matcher.summary import Summary

FORMATS = ("table", "csv", "xlsx", "json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(summary)


def summary(
    format_: Annotated[
        str, typer.Option("--format", help="table 在屏幕上看，csv 一张总表，xlsx 分目标、专项、县区，json 供程序读取")
    ] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="写入该文件；缺省输出到屏幕")] = None,
    first: Annotated[str | None, typer.Option("--from", help="洽谈和签约从这一天起计", metavar="YYYY-MM-DD")] = None,
    last: Annotated[str | None, typer.Option("--to", help="洽谈和签约计到这一天（含）", metavar="YYYY-MM-DD")] = None,
) -> None:
    """按专项和县区汇总成果、需求、线索、洽谈、签约和合同金额，并与政策目标对照。"""
    from matcher.summary import Period, summarise

    if format_ not in FORMATS:
        raise typer.BadParameter(f"“{format_}”不是格式；可用 {'、'.join(FORMATS)}", param_hint="--format")
    if format_ == "xlsx" and output is None:
        raise typer.BadParameter("XLSX 不能输出到屏幕；请用 -o 指定文件，如 -o 汇总.xlsx", param_hint="--format")
    period = Period.parse(first, last)
    with opened() as matcher:
        found = summarise(matcher.store.database, period)
    _write(found, format_, output)
    if output:
        say(f"已写入 {output}。")


def _write(found: Summary, format_: str, output: Path | None) -> None:
    from matcher import summary_views as views
    from matcher.sheets import CSV_ENCODING, write_csv, write_workbook

    if format_ == "xlsx" and output:
        write_workbook(output, views.summary_sheets(found))
        return
    encoding = CSV_ENCODING if format_ == "csv" else "utf-8"
    with output.open("w", encoding=encoding, newline="") if output else nullcontext(sys.stdout) as stream:
        if format_ == "csv":
            write_csv(stream, *views.summary_table(found))
        elif format_ == "json":
            stream.write(json.dumps(views.summary_json(found), ensure_ascii=False, indent=2) + "\n")
        else:
            _print(found, stream)


def _print(found: Summary, stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from matcher import summary_views as views
    from matcher.summary import FIGURES
    from matcher.terminal import WIDE

    console = Console(file=stream) if stream.isatty() else Console(file=stream, width=WIDE, color_system=None)
    targets = Table("指标", "目标", "已完成", "完成率")
    for one in found.targets:
        targets.add_row(*views.target_cells(one))
    console.print(targets)
    for name, rows in (("专项", found.programmes), ("县区", found.regions)):
        table = Table(name)
        for title in FIGURES.values():
            table.add_column(title, justify="right")
        for row in rows:
            table.add_row(*views.count_cells(row))
        table.add_section()
        table.add_row(*views.count_cells(found.total))
        console.print(table)
    for note in views.notes(found):
        console.print(Text(f"· {note}"))
