"""Answers as a person reads them in a terminal."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from matcher.evaluate import Evaluation, paired_difference
from matcher.ingest import IngestReport
from matcher.preview import Preview
from matcher.programs import Tag
from matcher.rank import LEVEL_NAMES
from matcher.records import KIND_NAMES, KINDS, PROGRAMME_NAMES, Record
from matcher.values import harmless

# Where standard output is no terminal, lines are as long as their text.
WIDE = 10_000
# Of a long value in a preview.
SHOWN_CHARS = 120
RANKING_NAMES = {"ranker": "本排序器", "bm25": "BM25", "model": "单独使用模型", "against": "对照排序器"}


def report_lines(report: IngestReport) -> list[str]:
    """What an ingest did: the counts, how columns were read part by part, and where the refused rows are."""
    counts = report.as_json()
    kind = KIND_NAMES[report.kind] if report.kind else "记录"
    line = f"{counts['file']}：读到 {counts['read']} 条{kind}，新增 {counts['added']}"
    line += f"，更新 {counts['updated']}，未变 {counts['unchanged']}，拒收 {counts['rejected']}。"
    if counts["read"] == counts["unchanged"]:
        line += "内容与上次相同，没有任何改动。"
    lines = [line]
    for part in report.parts:
        if part.reason:
            lines.append(f"  没有导入{_part_name(part.name)}：{part.reason}")
            continue
        if part.name and part.kind:
            own = f"读到 {part.counts.total()} 条{KIND_NAMES[part.kind]}，拒收 {part.counts['rejected']}。"
            lines.append(f"  {_part_name(part.name)}：{own}")
        if part.columns:
            lines.append("  列的对应：" + "，".join(f"{field}←{column}" for field, column in part.columns.items()))
        if part.unused:
            lines.append(f"  未使用的列：{'、'.join(part.unused)}（可用 --map 字段=列名 指明）")
        if part.note:
            lines.append(f"  {part.note}")
    if counts["rejects_file"]:
        lines.append(f"  拒收的行及原因见 {counts['rejects_file']}")
    return lines


def preview_lines(preview: Preview) -> list[str]:
    """What a file would become: per part the kind, the columns and the first records."""
    lines = [f"{preview.file}：预览，没有写入任何内容。"]
    for part in preview.parts:
        shown = part.as_json()
        if part.reason:
            lines.append(f"{_part_name(part.name)}不会导入：{part.reason}")
            continue
        lines.append(f"{_part_name(part.name)}判断为：{shown['kind_name']}（不对时用 --kind 指明）")
        lines += [f"  {each['field_name']}（{each['field']}）← {each['column']}" for each in shown["columns"]]
        if shown["unused"]:
            lines.append(f"  未使用的列：{'、'.join(shown['unused'])}（可用 --map 字段=列名 指明）")
        if shown["note"]:
            lines.append(f"  {shown['note']}")
        for number, record in enumerate(shown["records"], start=1):
            lines.append(f"  第 {number} 条：{record['title']}（{record['id']}）")
            lines += [f"    {field}：{_short(value)}" for field, value in record.items() if _is_shown(field, value)]
        lines += [f"  第 {each['line']} 行会被拒收：{each['field']}，{each['reason']}" for each in shown["rejected"]]
    return lines


def _part_name(name: str) -> str:
    return f"“{name}”" if name else ""


def _is_shown(field: str, value: object) -> bool:
    return bool(value) and field not in ("id", "kind", "title")


def _short(value: object) -> str:
    text = "；".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…（共 {len(text)} 字）"


def print_need(need: Record) -> None:
    """Show a need that is about to be matched."""
    console = _console()
    console.print(Text(f"需求：{need.title}", style="bold"))
    console.print(Text(f"提出单位：{need.institution}"))
    console.print(Text(need.abstract))
    console.print()


def print_answer(answer: Mapping[str, Any]) -> None:
    """Show what `matcher.views.answer_json` made."""
    console = _console()
    tags = "、".join(f"{tag['name']}（{tag['score']:.2f}）" for tag in answer["query"]["programmes"])
    console.print(Text(f"所属专项：{tags or '无'}"))
    for match in answer["matches"]:
        record = match["record"]
        console.print()
        heading = f"{match['rank']}. 【{match['level_name']} {match['score']:.2f}】{record['title']}"
        console.print(Text(heading, style="bold"))
        owner = record["institution"]["name"] if record["institution"] else "单位不详"
        place = "".join(record[field] or "" for field in ("province", "city"))
        facts = [record["kind_name"], owner, place, record["date"] or "", record["id"]]
        console.print(Text("   " + " · ".join(fact for fact in facts if fact)))
        names = "、".join(programme["name"] for programme in match["programmes"])
        if names:
            console.print(Text(f"   专项：{names}"))
        console.print(Text(f"   理由：{match['why']['sentence']}"))
        console.print(Text(f"   原文：{match['why']['passage']}"))
        if match["variants"]:
            console.print(Text(f"   另有 {len(match['variants'])} 条内容基本相同的记录"))
    if answer["message"]:
        console.print(Text(answer["message"]))
    if answer["partners"]:
        console.print()
        print_partners(answer["partners"])
    console.print()
    index = answer["index"]
    console.print(
        Text(f"（索引第 {index['generation']} 代，{index['records']} 条记录，用时 {answer['took_ms']:.0f} 毫秒）")
    )


def print_partners(partners: Sequence[Mapping[str, Any]]) -> None:
    """Show partner institutions."""
    console = _console()
    if not partners:
        console.print(Text("没有找到可推荐的合作机构。"))
        return
    console.print(Text("建议联系的机构：", style="bold"))
    for partner in partners:
        institution = partner["institution"]
        place = "".join(institution[field] or "" for field in ("province", "city"))
        where = f"（{place}）" if place else ""
        console.print(Text(f"  · {institution['name']}{where} {partner['score']:.2f}：{partner['why']}"))


def print_statistics(figures: Mapping[str, Any]) -> None:
    """Show what `Matcher.statistics` counted."""
    table = Table("专项", *(KIND_NAMES[kind] for kind in KINDS if kind != "institution"))
    for code, counts in figures["programmes"].items():
        table.add_row(PROGRAMME_NAMES[code], *(str(counts.get(kind, 0)) for kind in KINDS if kind != "institution"))
    table.add_section()
    table.add_row("合计", *(str(figures["records"][kind]) for kind in KINDS if kind != "institution"))
    console = _console()
    console.print(table)
    index = figures["index"]
    console.print(Text(f"机构 {figures['records']['institution']} 家"))
    console.print(
        Text(f"索引第 {index['generation']} 代，{index['records']} 条记录，尚有 {index['behind']} 处改动未编入")
    )
    console.print(Text(f"模型 {figures['model']}"))


def print_evaluation(results: Mapping[str, Evaluation]) -> None:
    """Show figures beside those of the peers: intervals, paired differences, and what the levels are worth."""
    first = next(iter(results.values()))
    names = [name for name in first.figures if name not in ("ndcg10", "needs")]
    table = Table("", "NDCG@10", "95% 区间", "排序器领先（95% 区间）", *names)
    for name, result in results.items():
        ahead = paired_difference(first, result) if result is not first else None
        table.add_row(
            RANKING_NAMES[name],
            _figure(result.figures["ndcg10"]),
            "{:.3f}–{:.3f}".format(*result.interval) if result.interval else "—",
            f"{ahead[0]:+.3f}（{ahead[1]:+.3f} 至 {ahead[2]:+.3f}）" if ahead else "",
            *(_figure(result.figures[key]) for key in names),
        )
    console = _console()
    console.print(table)
    console.print(
        Text(f"需求 {first.figures['needs']} 条，其中有三级以上成果的 {len(first.per_need)} 条计入 NDCG 和 MAP。")
    )
    for level, (pairs, share) in first.called.items():
        console.print(Text(f"判为{LEVEL_NAMES[level]}的 {pairs} 对中，人工标注为三级以上的占 {share:.0%}。"))


def _figure(value: float | int | None) -> str:
    return "—" if value is None else f"{value:.4f}"


def write_tags(rows: Sequence[tuple[str, Sequence[Tag]]], output: Path | None) -> None:
    """Write id,programmes,scores as CSV; several programmes are separated by semicolons."""
    stream = output.open("w", encoding="utf-8-sig", newline="") if output else sys.stdout
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", "programmes", "scores"])
    for id_, tags in rows:
        writer.writerow(
            [harmless(id_), ";".join(tag.code for tag in tags), ";".join(f"{tag.score:.4f}" for tag in tags)]
        )
    if output:
        stream.close()


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDE, color_system=None)
