"""The bureau's summary as JSON, as sheets of a workbook, as one table, and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from matcher.sheets import Column, Sheet
from matcher.summary import FIGURES, NOTES, Counts, Progress, Summary

UNCOUNTED: Final = "不由本平台统计"
# Names of the workbook's sheets, and of the parts of the table.
TARGETS, PROGRAMMES, REGIONS, NOTES_NAME, TOTAL = "目标", "专项", "县区", "说明", "合计"

_TARGET_COLUMNS: Final = (
    Column("指标", "text", 34),
    Column("目标值", "money", 16),
    Column("单位", "text", 6),
    Column("已完成", "money", 16),
    Column("完成率（%）", "number", 12),
    Column("统计口径", "text", 60),
)


def summary_json(summary: Summary) -> dict[str, Any]:
    """All of it, for programs."""
    period, policy = summary.period, summary.policy
    return {
        "day": summary.day.isoformat(),
        "first": period.first.isoformat() if period.first else None,
        "last": period.last.isoformat() if period.last else None,
        "policy": {
            "title": policy.title,
            "issuer": policy.issuer,
            "published": policy.published,
            "until": policy.until,
        },
        "targets": [
            {
                "code": one.target.code,
                "name": one.target.name,
                "goal": one.target.goal,
                "unit": one.target.unit,
                "done": one.done,
                "share": round(one.share, 4) if one.share is not None else None,
                "counted": one.target.counted or UNCOUNTED,
            }
            for one in summary.targets
        ],
        "programmes": [vars(row) for row in summary.programmes],
        "regions": [vars(row) for row in summary.regions],
        "total": {name: getattr(summary.total, name) for name in FIGURES},
        "notes": notes(summary),
    }


def notes(summary: Summary) -> list[str]:
    """What a reader of the figures has to know, in sentences."""
    policy = summary.policy
    return [
        f"统计日期 {summary.day}；洽谈和签约的起止日期：{period_text(summary)}。",
        f"目标取自{policy.issuer}{policy.published}公布的《{policy.title}》，期限为 {policy.until} 年底。"
        f"转化、重大成果和合同金额只计需求方在{policy.city}的签约。",
        *NOTES,
    ]


def period_text(summary: Summary) -> str:
    """The period as people say it."""
    first, last = summary.period.first, summary.period.last
    if not first and not last:
        return "不限"
    return f"{first or '最早'} 至 {last or summary.day}"


def summary_sheets(summary: Summary) -> list[Sheet]:
    """Sheets of a workbook: targets, programmes, counties, and what the figures mean."""
    return [
        Sheet(TARGETS, _TARGET_COLUMNS, [_target_row(one) for one in summary.targets]),
        Sheet(PROGRAMMES, _columns("专项", 34), _rows((*summary.programmes, summary.total))),
        Sheet(REGIONS, _columns("县区", 26), _rows((*summary.regions, summary.total))),
        Sheet(NOTES_NAME, [Column("说明", "text", 110)], [[note] for note in notes(summary)]),
    ]


def summary_table(summary: Summary) -> tuple[list[Column], list[list[object]]]:
    """Everything but the notes as one table, whose first column says what a row is about."""
    figures = [Column(name, "number", 12) for name in FIGURES.values()]
    goal = [Column("目标值", "number", 12), Column("已完成", "number", 12), Column("单位", "text", 6)]
    columns = [Column("类别", "text", 8), Column("代码", "text", 16), Column("名称", "text", 34), *figures, *goal]
    rows: list[list[object]] = []
    for part, counted in ((PROGRAMMES, summary.programmes), (REGIONS, summary.regions), (TOTAL, (summary.total,))):
        rows += [[part, row.code, *cells, None, None, None] for row, cells in zip(counted, _rows(counted), strict=True)]
    for one in summary.targets:
        target, done = one.target, UNCOUNTED if one.done is None else one.done
        rows.append([TARGETS, target.code, target.name, *[None] * len(figures), target.goal, done, target.unit])
    return columns, rows


def target_cells(one: Progress) -> tuple[str, str, str, str]:
    """A target as a person reads it: name, goal, what is done, and how much of it that is."""
    goal = f"{one.target.goal:,} {one.target.unit}"
    if one.done is None or one.share is None:
        return one.target.name, goal, UNCOUNTED, ""
    return one.target.name, goal, f"{one.done:,} {one.target.unit}", f"{one.share:.1%}"


def count_cells(row: Counts) -> Iterator[str]:
    """A row as a person reads it."""
    yield row.name
    yield from (f"{getattr(row, name):,}" for name in FIGURES)


def _target_row(one: Progress) -> list[object]:
    target, share = one.target, one.share
    done = UNCOUNTED if one.done is None else one.done
    shown = None if share is None else round(100 * share, 1)
    return [target.name, target.goal, target.unit, done, shown, target.counted or UNCOUNTED]


def _columns(name: str, width: float) -> list[Column]:
    kinds = [Column(title, "money", 18 if figure == "amount" else 12) for figure, title in FIGURES.items()]
    return [Column(name, "text", width), *kinds]


def _rows(counted: Sequence[Counts]) -> list[list[object]]:
    return [[row.name, *(getattr(row, name) for name in FIGURES)] for row in counted]
