"""The commands of leads: draw a list, and lead a lead through its life."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matcher.console import JsonFlag, catch_up, opened, print_json, say

if TYPE_CHECKING:
    from matcher.engine import Matcher
    from matcher.lead_book import Lead
    from matcher.leads import LeadList
    from matcher.visibility import Viewer

FORMATS = ("table", "csv", "xlsx", "json")
SHEET_NAME = "线索"

app = typer.Typer(help="跟进线索：查看、记录进展、指派、列出。", no_args_is_help=True)

LeadId = Annotated[str, typer.Argument(help="线索编号，如 lead-…", metavar="ID")]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="以该中介或管理员账号的身份；缺省为平台", metavar="NAME")
]
Revision = Annotated[
    int | None, typer.Option("--revision", help="您上次看到的修订号；线索已被改过时不写入", min=1, metavar="N")
]


def register(app_: typer.Typer) -> None:
    """Add the commands."""
    app_.command()(leads)
    app_.add_typer(app, name="lead")


def leads(
    offer: Annotated[str | None, typer.Option("--offer", help="成果或专利的编号", metavar="ID")] = None,
    institution: Annotated[
        str | None, typer.Option("--institution", help="成果和专利的持有单位：名称或编号", metavar="NAME")
    ] = None,
    programme: Annotated[str | None, typer.Option("--programme", help="成果和专利所属专项的代码", metavar="C")] = None,
    county: Annotated[
        str | None, typer.Option("--county", help="成果和专利所在地：地名或区划代码", metavar="PLACE")
    ] = None,
    need: Annotated[str | None, typer.Option("--need", help="需求的编号", metavar="ID")] = None,
    enterprise: Annotated[
        str | None, typer.Option("--enterprise", help="提出需求的企业：名称或编号", metavar="NAME")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="需求所在地：地名或区划代码", metavar="PLACE")] = None,
    min_level: Annotated[int, typer.Option("--min-level", help="最低关联度：4 强相关，3 较强相关，2 弱相关")] = 3,
    limit: Annotated[int, typer.Option("-k", "--limit", help="最多多少条线索")] = 50,
    show: Annotated[
        str, typer.Option("--show", help="all 全部，他人跟进的排在后面；open 只要未被他人跟进的；new 只要新线索")
    ] = "all",
    format_: Annotated[str, typer.Option("--format", help="table、csv、xlsx 或 json")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="写入该文件；缺省输出到屏幕")] = None,
    peek: Annotated[bool, typer.Option("--peek", help="只看看：列出的新线索不算已告知您")] = False,
    account: AccountOption = None,
    saved: Annotated[str | None, typer.Option("--list", help="重新生成已保存的线索清单", metavar="NAME")] = None,
    save: Annotated[str | None, typer.Option("--save", help="把这次的条件以该名称保存", metavar="NAME")] = None,
) -> None:
    """列出值得联系的企业：为成果找需求，或为需求找成果；同一企业的列在一起，新线索只告诉一个人。"""
    from matcher.lead_wanted import LeadsWanted, check_wanted
    from matcher.leads import AT_THE_MACHINE
    from matcher.progress import shown

    _check_format(format_, output)
    scope = (offer, institution, programme, county, need, enterprise, region)
    if saved is not None and (save is not None or any(one is not None for one in scope)):
        raise typer.BadParameter("--list 使用已保存的条件，不能再加范围或 --save")
    wanted = LeadsWanted(
        offer=offer,
        institution=institution,
        programme=programme,
        county=county,
        need=need,
        enterprise=enterprise,
        region=region,
        min_level=min_level,
        limit=limit,
        show=show,  # type: ignore[arg-type]  # checked below
    )
    if saved is None:
        check_wanted(wanted)
    with opened() as matcher:
        viewer = matcher.leads.viewer(account) if account else AT_THE_MACHINE
        if save is not None:
            matcher.leads.lists.save(viewer.account, save, wanted)
        catch_up(matcher)
        with shown("查找线索") as progress:
            if saved is not None:
                drawn = matcher.leads.draw_saved(viewer, saved, peek, progress)
            else:
                drawn = matcher.leads.draw(viewer, wanted, peek, progress)
        _write(matcher, drawn, format_, output)
    say(_summary(drawn, peek))


@app.command()
def show(id_: LeadId, account: AccountOption = None, as_json: JsonFlag = False) -> None:
    """查看一条线索和它的全部进展。"""
    with opened() as matcher:
        viewer = _viewer(matcher, account)
        _print(matcher, matcher.leads.book.get(id_, viewer), viewer, as_json)


@app.command()
def step(
    id_: LeadId,
    status: Annotated[
        str, typer.Option("--status", help="contacted 已联系，negotiating 洽谈中，signed 已签约，lost 未成")
    ],
    note: Annotated[str, typer.Option("--note", help="备注")] = "",
    amount: Annotated[int | None, typer.Option("--amount", help="合同金额（元），签约时必填", metavar="元")] = None,
    signed_on: Annotated[
        str | None, typer.Option("--signed-on", help="签约日期；缺省为今天", metavar="YYYY-MM-DD")
    ] = None,
    major: Annotated[bool, typer.Option("--major", help="属于引进转化重大科技成果")] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="未成的原因：unfit、price、timing、other_partner、gone 或 other"),
    ] = None,
    account: AccountOption = None,
    revision: Revision = None,
    as_json: JsonFlag = False,
) -> None:
    """记录一步进展；签约、洽谈和“技术不适用”同时成为标注，供 matcher train 学习。"""
    from matcher.lead_states import Step

    made = Step(
        status=status,  # type: ignore[arg-type]  # checked by the book
        note=note,
        amount=amount,
        signed_on=_day(signed_on),
        major=major,
        reason=reason,  # type: ignore[arg-type]
    )
    with opened() as matcher:
        viewer = _viewer(matcher, account)
        _print(matcher, matcher.leads.book.step(id_, made, viewer, revision), viewer, as_json)


@app.command()
def assign(
    id_: LeadId,
    to: Annotated[str, typer.Argument(help="中介或管理员账号的名称或编号", metavar="ACCOUNT")],
    account: AccountOption = None,
    revision: Revision = None,
) -> None:
    """把线索交给一个账号负责。"""
    with opened() as matcher:
        matcher.leads.assign(id_, to, _viewer(matcher, account), revision)
    say(f"线索 {id_} 已交给“{to}”。")


@app.command("list")
def list_(
    account: AccountOption = None,
    status: Annotated[
        str | None, typer.Option("--status", help="只要这一状态：new、contacted、negotiating、signed 或 lost")
    ] = None,
    limit: Annotated[int, typer.Option("-k", "--limit", help="最多多少条", min=1)] = 100,
    format_: Annotated[str, typer.Option("--format", help="table、csv、xlsx 或 json")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="写入该文件；缺省输出到屏幕")] = None,
) -> None:
    """列出某个账号负责的线索；不指明账号时列出全部。"""
    from matcher.lead_states import STATUSES

    _check_format(format_, output)
    if status is not None and status not in STATUSES:
        raise typer.BadParameter(f"“{status}”不是状态；可用 {'、'.join(STATUSES)}", param_hint="--status")
    with opened() as matcher:
        viewer = _viewer(matcher, account)
        found = matcher.leads.book.page(viewer, status, limit, everybodys=account is None)
        _write_held(matcher, found, viewer, format_, output)
    say(f"共 {len(found)} 条。")


@app.command()
def lists(
    account: AccountOption = None,
    remove: Annotated[str | None, typer.Option("--remove", help="删除该清单", metavar="NAME")] = None,
    as_json: JsonFlag = False,
) -> None:
    """列出已保存的线索清单；用 matcher leads --list 名称 重新生成。"""
    from matcher.lead_views import saved_json

    with opened() as matcher:
        owner = matcher.leads.viewer(account).account if account else 0
        if remove is not None:
            matcher.leads.lists.remove(owner, remove)
        found = [saved_json(saved) for saved in matcher.leads.lists.all(owner)]
    if as_json:
        print_json(found)
        return
    for saved in found:
        drawn = saved["drawn_at"][:10] if saved["drawn_at"] else "还没有"
        conditions = "，".join(f"{name}={value}" for name, value in saved["wanted"].items())
        typer.echo(f"{saved['name']}（{saved['id']}）：{conditions}；上次生成：{drawn}")
    if not found:
        say("还没有保存的线索清单。用 matcher leads … --save 名称 保存。")


# ------------------------------------------------------------ writing


def _write(matcher: Matcher, drawn: LeadList, format_: str, output: Path | None) -> None:
    from matcher.lead_views import LIST_COLUMNS, accounts_of, list_cells, list_json

    names = matcher.accounts.names(accounts_of(row.listed.lead for row in drawn.rows))
    if format_ == "json":
        _json(list_json(drawn, names), output)
    elif format_ == "table":
        from matcher.lead_lines import list_lines

        _lines(list_lines(drawn, names), output)
    else:
        _sheet(format_, output, LIST_COLUMNS, list_cells(drawn, names, matcher.settings.base_url))


def _write_held(matcher: Matcher, found: list[Lead], viewer: Viewer, format_: str, output: Path | None) -> None:
    from matcher.lead_views import EXPORT_COLUMNS, accounts_of, export_cells, lead_json

    records, names = matcher.leads.records(found, viewer), matcher.accounts.names(accounts_of(found))
    if format_ == "json":
        _json([lead_json(lead, records, names, None, viewer) for lead in found], output)
    elif format_ == "table":
        from matcher.lead_lines import lead_line

        _lines([lead_line(lead_json(lead, records, names, None, viewer)) for lead in found], output)
    else:
        _sheet(format_, output, EXPORT_COLUMNS, export_cells(found, records, names, matcher.settings.base_url))


def _json(value: Any, output: Path | None) -> None:
    import json

    if output:
        output.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")
    else:
        print_json(value)


def _lines(lines: list[str], output: Path | None) -> None:
    if output:
        output.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    else:
        for line in lines:
            typer.echo(line)


def _sheet(format_: str, output: Path | None, columns: Any, cells: list[tuple[object, ...]]) -> None:
    import sys

    from matcher.sheets import CSV_ENCODING, write_csv, write_xlsx

    if format_ == "xlsx":
        assert output  # as `_check_format` has made sure
        write_xlsx(output, SHEET_NAME, columns, cells)
    elif output:
        with output.open("w", encoding=CSV_ENCODING, newline="") as file:
            write_csv(file, columns, cells)
    else:
        write_csv(sys.stdout, columns, cells)


def _check_format(format_: str, output: Path | None) -> None:
    if format_ not in FORMATS:
        raise typer.BadParameter(f"“{format_}”不是格式；可用 {'、'.join(FORMATS)}", param_hint="--format")
    if format_ == "xlsx" and output is None:
        raise typer.BadParameter("xlsx 须写入文件：请加 -o 文件名", param_hint="--format")


def _print(matcher: Matcher, lead: Lead, viewer: Viewer, as_json: bool) -> None:
    from matcher.lead_views import accounts_of, lead_json

    steps = matcher.leads.book.steps(lead, viewer)
    names = matcher.accounts.names(accounts_of([lead], steps))
    shown = lead_json(lead, matcher.leads.records([lead], viewer), names, steps, viewer)
    if as_json:
        print_json(shown | {"revision": lead.revision})
    else:
        from matcher.lead_lines import lead_lines

        for line in lead_lines(shown):
            typer.echo(line)
        say(f"修订号 {lead.revision}。")


def _summary(drawn: LeadList, peek: bool) -> str:
    from matcher.lead_views import list_message

    message = list_message(drawn)
    if message:
        return message
    new = sum(row.listed.new for row in drawn.rows)
    ending = "（只是看看，没有记为已告知）" if peek else ""
    return (
        f"由 {drawn.offers} 项成果和专利、{drawn.needs} 条需求得到 {drawn.pairs} 对，"
        f"列出 {len(drawn.rows)} 条，其中新线索 {new} 条{ending}。"
    )


def _viewer(matcher: Matcher, account: str | None) -> Viewer:
    from matcher.visibility import OPERATOR

    return matcher.leads.viewer(account) if account else OPERATOR


def _day(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"“{text}”不是日期；请写成 2026-03-05", param_hint="--signed-on") from error
