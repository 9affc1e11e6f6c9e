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

from matcher.evaluate import Evaluation
from matcher.programs import Tag
from matcher.records import KIND_NAMES, KINDS, PROGRAMME_NAMES, Record

# Where standard output is no terminal, lines are as long as their text.
WIDE = 10_000
RANKING_NAMES = {"ranker": "本排序器", "bm25": "BM25", "model": "单独使用模型"}


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
    """Show figures beside those of the peers, with the interval of the first."""
    first = next(iter(results.values()))
    table = Table("", "NDCG@10", "95% 区间", *(name for name in first.figures if name not in ("ndcg10", "needs")))
    for name, result in results.items():
        cells = [
            f"{value:.4f}" if value is not None else "—" for key, value in result.figures.items() if key != "needs"
        ]
        low, high = result.interval
        table.add_row(RANKING_NAMES[name], cells[0], f"{low:.3f}–{high:.3f}", *cells[1:])
    console = _console()
    console.print(table)
    console.print(
        Text(f"需求 {first.figures['needs']} 条，其中有三级以上成果的 {len(first.per_need)} 条计入 NDCG 和 MAP。")
    )


def write_tags(rows: Sequence[tuple[str, Sequence[Tag]]], output: Path | None) -> None:
    """Write id,programmes,scores as CSV; several programmes are separated by semicolons."""
    stream = output.open("w", encoding="utf-8-sig", newline="") if output else sys.stdout
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", "programmes", "scores"])
    for id_, tags in rows:
        writer.writerow([id_, ";".join(tag.code for tag in tags), ";".join(f"{tag.score:.4f}" for tag in tags)])
    if output:
        stream.close()


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=WIDE, color_system=None)
