"""The command line. Messages are Chinese; what a program reads goes to standard output, all else to standard error.

Exit codes: 0 done, 1 a wrong setting or request, 2 a file that is no table (and typer's own for wrong usage).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matcher import (
    cli_leads,
    cli_mail,
    cli_nightly,
    cli_operations,
    cli_person,
    cli_quality,
    cli_subscriptions,
    cli_summary,
)
from matcher.cli_accounts import app as accounts
from matcher.cli_duplicates import compare, duplicates
from matcher.console import JsonFlag, catch_up, opened, print_json, say
from matcher.errors import MatcherError, UnknownColumn, UnreadableFile
from matcher.faults import system_error

if TYPE_CHECKING:
    from matcher.queries import MatchQuery
    from matcher.records import Kind

# Seconds after which a worker that does not answer its parent is replaced. Loading a model can hold it up for some.
WORKER_SILENCE = 60

app = typer.Typer(
    help="为企业技术需求匹配科技成果和专利，并推荐合作机构。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Text = Annotated[str | None, typer.Argument(help="需求的文字", metavar="TEXT")]
TextFile = Annotated[Path | None, typer.Option("--file", "-f", help="从文件读取需求的文字（UTF-8）")]
Title = Annotated[str, typer.Option("--title", help="需求的标题")]
Enterprise = Annotated[str | None, typer.Option("--enterprise", help="提出需求的企业，不会被推荐给它自己")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", "-K", help="只要这一类：achievement、patent、need，可重复")]
Programmes = Annotated[list[str] | None, typer.Option("--programme", help="只要属于该专项的，可重复")]
Provinces = Annotated[list[str] | None, typer.Option("--province", help="只要该省份的，可重复")]
Limit = Annotated[int, typer.Option("-k", "--limit", help="最多返回多少条")]
MinLevel = Annotated[int, typer.Option("--min-level", help="最低关联度：4 强相关，3 较强相关，2 弱相关，1 无相关")]


app.add_typer(accounts, name="account")
cli_leads.register(app)
cli_mail.register(app)
cli_nightly.register(app)
cli_operations.register(app)
cli_person.register(app)
cli_quality.register(app)
cli_subscriptions.register(app)
cli_summary.register(app)


def main() -> None:
    """Run a command; turn errors meant for users into one sentence and an exit code."""
    try:
        app()
    except (UnreadableFile, UnknownColumn) as error:
        say(f"错误：{error}")
        sys.exit(2)
    except MatcherError as error:
        say(f"错误：{error}")
        sys.exit(1)
    except OSError as error:
        say(f"错误：{system_error(error)}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("已中断。已经确认写入的记录不会丢失，下次运行会接着处理。")
        sys.exit(130)


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(help="表格、需求表、专利 XML 或它们的 ZIP 压缩包", metavar="FILE…")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="achievement、patent、need 或 institution；缺省按列名判断")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="指明某字段在哪一列：字段=列名，可重复", metavar="字段=列名")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="数据来源的名称；缺省为文件名")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="只看会怎样导入：类别、列的对应、前几条，不写入")] = False,
    as_json: JsonFlag = False,
) -> None:
    """导入成果、专利、需求或机构，坏行写入拒收文件并说明原因。"""
    from matcher.records import KINDS
    from matcher.terminal import report_lines

    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"“{kind}”不是记录类型；可用 {'、'.join(KINDS)}", param_hint="--kind")
    overrides = _mapping(mapping or [])
    if preview:
        _preview(files, kind, overrides, source, as_json)
        return
    with opened() as matcher:
        reports, failed = [], None
        for file in files:
            try:
                report = matcher.ingest(file, kind, overrides, source)
            except (UnreadableFile, UnknownColumn) as error:
                # The files beside it are good: they go in, and the exit code tells.
                failed = error
                say(f"错误：{error}")
                continue
            reports.append(report.as_json())
            if not as_json:
                for line in report_lines(report):
                    say(line)
        try:
            catch_up(matcher)
            found = compare(matcher)
            if found.merged or found.proposed:
                say(
                    f"与已有记录重复：自动合并 {found.merged} 对，待确认 {found.proposed} 对（见 matcher duplicates）。"
                )
        finally:  # what is stored is stored, whatever becomes of the index
            if as_json and reports:
                print_json(reports[0] if len(files) == 1 else reports)
    if failed:
        raise typer.Exit(2)


@app.command()
def match(
    text: Text = None,
    file: TextFile = None,
    title: Title = "",
    enterprise: Enterprise = None,
    kinds: Kinds = None,
    programmes: Programmes = None,
    provinces: Provinces = None,
    limit: Limit = 10,
    min_level: MinLevel = 2,
    as_json: JsonFlag = False,
) -> None:
    """为一条需求查找成果和专利，给出关联度、理由、专项标签和合作机构。"""
    from matcher.views import answer_json

    query = _query(text, file, title, enterprise, kinds, programmes, provinces, limit, min_level)
    with opened() as matcher:
        matcher.index.refresh()
        answer = answer_json(matcher.match(query))
        if as_json:
            print_json(answer)
        else:
            from matcher.terminal import print_answer

            print_answer(answer)


@app.command()
def batch(
    asking: Annotated[
        str, typer.Option("--from", help="由哪一方发问：need 为每条需求找成果和专利，offer 为每项成果和专利找需求")
    ] = "need",
    programmes: Programmes = None,
    provinces: Provinces = None,
    limit: Limit = 10,
    min_level: MinLevel = 2,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="写入该 CSV 文件；缺省输出到屏幕")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象，供程序读取")] = False,
) -> None:
    """为全部公开的需求（或成果和专利）一次算出匹配，逐对写出；中断后再运行会接着做。"""
    from matcher.batch import SIDES, BatchQuery
    from matcher.pairs import write_pairs
    from matcher.progress import shown

    if asking not in SIDES:
        raise typer.BadParameter(f"“{asking}”不是发问的一方；可用 {'、'.join(SIDES)}", param_hint="--from")
    with opened() as matcher:
        catch_up(matcher)
        query = BatchQuery(
            asking=SIDES[asking],
            visibilities=("public",),
            programmes=tuple(programmes or ()),
            provinces=tuple(provinces or ()),
            limit=limit,
            min_level=min_level,
        )
        with shown("批量匹配") as progress:
            count = write_pairs(matcher.match_all(query, progress), matcher.store, output, as_json)
    say(f"共 {count} 对。")


@app.command()
def partners(
    text: Text = None,
    file: TextFile = None,
    title: Title = "",
    enterprise: Enterprise = None,
    as_json: JsonFlag = False,
) -> None:
    """为一条需求推荐合作机构，并列出依据。"""
    from matcher.views import partners_json

    query = _query(text, file, title, enterprise, None, None, None, 1, 2)
    with opened() as matcher:
        found = partners_json(matcher.match(query).partners)
        if as_json:
            print_json({"partners": found})
        else:
            from matcher.terminal import print_partners

            print_partners(found)


@app.command()
def tag(
    file: Annotated[Path, typer.Argument(help="含 id、text 两列的表", metavar="FILE.csv")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="写入该 CSV 文件；缺省输出到屏幕")] = None,
    as_json: JsonFlag = False,
) -> None:
    """为每段文字标注所属专项，不属于任何专项的为空。"""
    from matcher.progress import shown
    from matcher.readers import Row, read_table
    from matcher.views import tag_json

    table = read_table(file)
    for column in ("id", "text"):
        if column not in table.columns:
            raise UnknownColumn(
                f"{file.name} 中没有 {column} 列（现有：{'、'.join(table.columns[:12])}）。该命令需要 id 和 text 两列。"
            )
    rows = [row.values for row in table.rows if isinstance(row, Row)]
    with opened() as matcher, shown("标注") as progress:
        tags = matcher.tag([row.get("text", "") for row in rows], progress)
    if as_json:
        print_json(
            [
                {"id": row.get("id", ""), "programmes": [tag_json(one) for one in own]}
                for row, own in zip(rows, tags, strict=True)
            ]
        )
        return
    from matcher.terminal import write_tags

    write_tags([(row.get("id", ""), own) for row, own in zip(rows, tags, strict=True)], output)


@app.command()
def reindex() -> None:
    """由数据库重建索引；重建期间旧索引照常服务。"""
    from matcher.progress import shown

    with opened() as matcher, shown("重建索引") as progress:
        matcher.reindex(progress)
        matcher.index.refresh()
        say(f"索引已重建，共 {matcher.index.count()} 条记录。")


app.command()(duplicates)


@app.command()
def stats(as_json: JsonFlag = False) -> None:
    """各类记录、各专项和索引的数量。"""
    with opened() as matcher:
        matcher.index.refresh()
        figures = matcher.statistics()
        if as_json:
            print_json(figures)
        else:
            from matcher.terminal import print_statistics

            print_statistics(figures)


@app.command()
def export(
    kind: Annotated[str | None, typer.Option("--kind", help="只导出这一类")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="写入该文件；缺省输出到屏幕")] = None,
) -> None:
    """以 JSONL 导出公开记录（不含联系方式），一行一条。"""
    from matcher.owners import OWNER_SOURCE
    from matcher.records import KINDS
    from matcher.views import record_json

    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"“{kind}”不是记录类型；可用 {'、'.join(KINDS)}", param_hint="--kind")
    with opened() as matcher:
        stream = output.open("w", encoding="utf-8") if output else sys.stdout
        count = 0
        for stored in matcher.store.records(kind):
            if stored.record.visibility == "public" and stored.record.source != OWNER_SOURCE:
                stream.write(json.dumps(record_json(stored), ensure_ascii=False) + "\n")
                count += 1
        if output:
            stream.close()
    say(f"已导出 {count} 条记录。")


@app.command()
def serve() -> None:
    """启动 API 服务（地址和端口由 MATCHER_HOST、MATCHER_PORT 设置）。"""
    import uvicorn

    from matcher.settings import load_settings
    from matcher.store import Store

    settings = load_settings()
    Store(settings.store_url).close()  # what is wrong with it is told here in a sentence, and not by each worker
    say(f"服务地址：http://{settings.host}:{settings.port} （接口文档：/docs，按 Ctrl-C 停止）")
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        timeout_worker_healthcheck=WORKER_SILENCE,
        log_level="warning",
        access_log=False,
    )


@app.command()
def demo() -> None:
    """装入样例语料，并演示一条需求的匹配结果。"""
    from matcher import sample
    from matcher.queries import MatchQuery
    from matcher.terminal import print_answer, print_need, report_lines
    from matcher.views import answer_json

    with opened() as matcher:
        for kind, name in sample.FILES:
            report = matcher.ingest(sample.path(name), kind, source=sample.SOURCE)
            if report.counts["added"] or report.counts["updated"]:
                say(report_lines(report)[0])
        catch_up(matcher)
        need = next(record for record in sample.records("need") if record.source_id == sample.SHOWN_NEED)
        print_need(need)
        query = MatchQuery(text=need.abstract, title=need.title, asker=need.institution, limit=3)
        print_answer(answer_json(matcher.match(query)))


def _preview(
    files: list[Path], kind: Kind | None, overrides: dict[str, str], source: str | None, as_json: bool
) -> None:
    from matcher.preview import preview_file
    from matcher.settings import load_settings
    from matcher.terminal import preview_lines

    limit = load_settings().max_file_bytes
    previews, failed = [], False
    for file in files:
        try:
            shown = preview_file(file, kind, overrides, source, max_bytes=limit)
        except (UnreadableFile, UnknownColumn) as error:
            failed = True
            say(f"错误：{error}")
            continue
        previews.append(shown.as_json())
        if not as_json:
            typer.echo("\n".join(preview_lines(shown)))
    if as_json and previews:
        print_json(previews[0] if len(files) == 1 else previews)
    if failed:
        raise typer.Exit(2)


def _query(
    text: str | None,
    file: Path | None,
    title: str,
    enterprise: str | None,
    kinds: list[str] | None,
    programmes: list[str] | None,
    provinces: list[str] | None,
    limit: int,
    min_level: int,
) -> MatchQuery:
    from matcher.queries import MatchQuery
    from matcher.records import OFFER_KINDS

    if (text is None) == (file is None):
        raise typer.BadParameter("请给出需求的文字，或用 --file 指定文件，二者择一")
    if file is not None:
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableFile(f"读不到 {file}：文件不存在，或不是 UTF-8 文本。") from error
    return MatchQuery(
        text=text or "",
        title=title,
        kinds=tuple(kinds) if kinds else OFFER_KINDS,  # type: ignore[arg-type]
        programmes=tuple(programmes or ()),
        provinces=tuple(provinces or ()),
        limit=limit,
        min_level=min_level,
        asker=enterprise,
    )


def _mapping(pairs: list[str]) -> dict[str, str]:
    overrides = {}
    for pair in pairs:
        field, separator, column = pair.partition("=")
        if not (separator and field.strip() and column.strip()):
            raise typer.BadParameter(f"“{pair}”应写成 字段=列名，例如 标题=项目名", param_hint="--map")
        overrides[field.strip()] = column.strip()
    return overrides
