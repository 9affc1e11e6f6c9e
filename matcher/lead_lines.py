"""Leads as a person reads them in a terminal."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from matcher.lead_views import Names, enterprise, row_json
from matcher.leads import LeadList
from matcher.life import CHINA


def list_lines(drawn: LeadList, names: Names) -> list[str]:
    """A list, the rows of one enterprise under its name."""
    lines: list[str] = []
    group = None
    for row in drawn.rows:
        shown = row_json(row, names)
        if row.group != group:
            lines += ["", f"■ {enterprise(row.need)}"] if lines else [f"■ {enterprise(row.need)}"]
            group = row.group
        lines += _row_lines(shown)
    return lines


def _row_lines(row: Mapping[str, Any]) -> Iterator[str]:
    new = "新 " if row["new"] else ""
    yield f"  {new}【{row['level_name']} {row['score']:.2f}】{row['need']['title']}"
    yield f"     ← {row['offer']['title']}（{_side(row['offer'])}）"
    yield f"     理由：{row['why']}"
    facts = [
        "、".join(one["name"] for one in row["programmes"]),
        row["region"],
        row["budget"] and f"预算 {row['budget']}",
        row["deadline"] and f"截止 {row['deadline']}",
        row["status_name"],
        row["assignee"] and f"负责人 {row['assignee']}",
        row["id"],
    ]
    yield "     " + " · ".join(fact for fact in facts if fact)


def lead_line(lead: Mapping[str, Any]) -> str:
    """One lead in a line."""
    need, offer = (lead[side]["title"] if lead[side] else "（记录已撤回或不再公开）" for side in ("need", "offer"))
    who = f"，负责人 {lead['assignee']}" if lead["assignee"] else ""
    return f"{lead['id']}  【{lead['status_name']}】{need} ← {offer}{who}，{lead['updated_at'][:10]}"


def lead_lines(lead: Mapping[str, Any]) -> Iterator[str]:
    """One lead with its steps."""
    yield lead_line(lead)
    yield f"  企业：{lead['enterprise']['name'] if lead['enterprise'] else '未公开或不详'}"
    if lead["offer"]:
        yield f"  持有单位：{_side(lead['offer'])}"
    facts = [
        f"{lead['level_name']} {lead['score']:.2f}",
        "、".join(one["name"] for one in lead["programmes"]),
        lead["region"],
        lead["budget"] and f"预算 {lead['budget']}",
        lead["deadline"] and f"截止 {lead['deadline']}",
    ]
    yield "  " + " · ".join(fact for fact in facts if fact)
    if lead["claimed_until"]:
        yield f"  {lead['claimed_until'][:10]} 之前没有进展的，可能再告知他人"
    for step in lead["steps"]:
        yield f"  {_moment(step['at'])} {step['by']}：{_what(step)}"


def _moment(at: str) -> str:
    """A time as clocks in China show it."""
    return f"{datetime.datetime.fromisoformat(at).astimezone(CHINA):%Y-%m-%d %H:%M}"


def _what(step: Mapping[str, Any]) -> str:
    if step["lapsed"]:
        return "此前列出过，逾期没有进展"
    if step["assigned_to"]:
        return f"交给 {step['assigned_to']}"
    parts = [step["status_name"]]
    if step["amount"]:
        parts.append(f"合同金额 {step['amount']:,} 元，{step['signed_on']}" + ("，重大成果" if step["major"] else ""))
    if step["reason_name"]:
        parts.append(step["reason_name"])
    return "；".join([*parts, step["note"]] if step["note"] else parts)


def _side(side: Mapping[str, Any]) -> str:
    owner = side["institution"]["name"] if side["institution"] else "单位不详"
    return f"{side['kind_name']} · {owner}"
