"""Commands of whoever runs an installation: back up, restore, check."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from matcher.console import JsonFlag, opened, print_json, say
from matcher.errors import MatcherError

# Bytes in the unit that sizes are told in.
MEGABYTE = 1e6


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (backup, restore, check):
        app.command()(command)


def backup(
    target: Annotated[Path, typer.Argument(help="备份文件；给出已有的目录时，在其中按时间命名", metavar="DIR|FILE")],
    vectors: Annotated[
        bool, typer.Option("--vectors/--no-vectors", help="是否连同向量一起备份；没有它，恢复后要重新计算向量")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """备份全部记录、联系方式和账号；服务照常运行。"""
    from matcher.backup import back_up

    with opened() as matcher:
        made = back_up(matcher.store, matcher.settings, target, vectors)
    for reason in made.without.values():
        say(f"提示：没有备份向量，恢复后要重新计算。{reason}")
    size = made.path.stat().st_size
    if as_json:
        print_json({"file": str(made.path), "bytes": size, **made.manifest})
    else:
        records = made.manifest["counts"]["records"]
        say(f"已备份到 {made.path}：{records} 条记录，{size / MEGABYTE:.1f} MB。其中有联系方式，请妥善保管。")


def restore(
    file: Annotated[Path, typer.Argument(help="matcher backup 写出的文件", metavar="FILE")],
    force: Annotated[bool, typer.Option("--force", help="替换现有的数据；现有的数据另存在数据目录中")] = False,
    index: Annotated[bool, typer.Option("--index/--no-index", help="恢复后是否立即重建索引")] = True,
) -> None:
    """从备份恢复；之前请停止服务和其他命令。"""
    from matcher.backup import restore as put_back
    from matcher.progress import shown
    from matcher.settings import load_settings

    settings = load_settings()
    restored = put_back(file, settings, force)
    counts = restored.manifest["counts"]
    say(f"已恢复 {restored.manifest['created']} 的备份：{counts['records']} 条记录，联系方式 {counts['contacts']} 条。")
    if restored.aside:
        say(f"原有的数据另存在 {restored.aside}，确认无误后可以删除。")
    if restored.doubted:
        say(
            f"备份时有 {restored.doubted} 封邮件待发，此后可能已经发出，现列为未确认，不会自动再发。"
            "可用 matcher outbox --list 查看，用 --resend 编号 重发。"
        )
    if not index:
        say("索引还没有建立。请运行 matcher reindex。")
        return
    try:
        with opened() as matcher, shown("重建索引") as progress:
            matcher.reindex(progress)
            matcher.index.refresh()
            say(f"索引已重建，共 {matcher.index.count()} 条记录。")
    except MatcherError:
        say("数据已经恢复，但索引没有建成，原因见下。解决后请运行 matcher reindex。")
        raise


def check(as_json: JsonFlag = False) -> None:
    """检查数据库、索引和模型是否完好、是否一致；有问题时退出码为 1。"""
    from matcher.integrity import check as look
    from matcher.settings import load_settings

    began = time.perf_counter()
    report = look(load_settings())
    seconds = time.perf_counter() - began
    if as_json:
        print_json(report.as_json() | {"seconds": round(seconds, 3)})
    else:
        say(f"数据库中可匹配的记录 {report.records} 条，索引中 {report.indexed} 条。")
        if report.behind:
            say(f"有 {report.behind} 处改动还没有进入索引；运行中的服务或下一次导入会完成它。")
        for finding in report.findings:
            where = f"（例如 {'、'.join(finding.examples)}）" if finding.examples else ""
            say(f"问题：{finding.message} 共 {finding.count} 处{where}。")
        if not report.findings:
            say(f"检查完毕，没有发现问题（{seconds:.1f} 秒）。")
    if report.findings:
        raise typer.Exit(1)
