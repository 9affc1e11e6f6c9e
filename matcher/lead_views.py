"""Leads as JSON and as tables, built field by field: what is not named below has no way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matcher.audit import OPERATOR_ACCOUNT
from matcher.lead_book import Lead, LeadStep
from matcher.lead_lists import SavedList
from matcher.lead_states import REASON_NAMES, STATUS_NAMES
from matcher.leads import LeadList, LeadRow
from matcher.rank import LEVEL_NAMES
from matcher.records import KIND_NAMES, Need
from matcher.rows import StoredRecord
from matcher.sheets import Column
from matcher.views import record_programmes_json
from matcher.visibility import Viewer

OPERATOR_NAME = "平台"
HIDDEN_ENTERPRISE = "某企业（未公开名称）"
TAKEN_NAME = "他人跟进中"

Names = Mapping[int, str]

# What a list and an export have in common, then what only an export has.
_COLUMNS = (
    Column("企业", "text", 28),
    Column("需求", "link", 44),
    Column("成果或专利", "link", 44),
    Column("类型", "text", 10),
    Column("持有单位", "text", 28),
    Column("关联度", "level", 12),
    Column("得分", "number", 8),
    Column("理由", "text", 60),
    Column("专项", "text", 24),
    Column("需求地区", "text", 26),
    Column("预算", "text", 18),
    Column("需求截止", "date", 12),
)
LIST_COLUMNS = (
    *_COLUMNS,
    Column("是否新线索", "text", 12),
    Column("状态", "text", 12),
    Column("负责人", "text", 16),
    Column("线索编号", "text", 24),
)
EXPORT_COLUMNS = (
    *(column for column in _COLUMNS if column.title != "理由"),
    Column("状态", "text", 12),
    Column("负责人", "text", 16),
    Column("合同金额（元）", "money", 18),
    Column("签约日期", "date", 12),
    Column("重大成果", "text", 10),
    Column("未成原因", "text", 20),
    Column("列出日期", "date", 12),
    Column("最近更新", "date", 12),
    Column("线索编号", "text", 24),
)


# ------------------------------------------------------------ JSON


def list_json(drawn: LeadList, names: Names) -> dict[str, Any]:
    """A list that was drawn.

    :param names: of accounts, by their numbers; see `Accounts.names`.
    """
    rows = [row_json(row, names) for row in drawn.rows]
    return {
        "leads": rows,
        "new": sum(row["new"] for row in rows),
        "taken": sum(row["taken"] for row in rows),
        "matched": drawn.pairs,
        "offers": drawn.offers,
        "needs": drawn.needs,
        "message": list_message(drawn),
    }


def list_message(drawn: LeadList) -> str | None:
    """Why a list is empty; None if it is not."""
    if drawn.rows:
        return None
    if not drawn.offers:
        return "范围内没有可供匹配的成果或专利。请放宽范围，或先导入记录。"
    if not drawn.needs:
        return "范围内没有可供匹配的需求。请放宽范围，或先导入需求。"
    if not drawn.pairs:
        return "没有达到所要求关联度的线索。可降低 min_level 再试。"
    return "符合条件的线索都已列出过或由他人负责。"


def row_json(row: LeadRow, names: Names) -> dict[str, Any]:
    """A line of a list."""
    lead, pair = row.listed.lead, row.listed.pair
    return {
        "id": lead.id if lead else None,
        "group": row.group,
        "enterprise": _owner(row.need),
        "need": side_json(row.need),
        "offer": side_json(row.offer),
        "level": pair.level,
        "level_name": LEVEL_NAMES[pair.level],
        "score": round(pair.score, 4),
        "why": pair.why,
        "programmes": _programmes(row.need, row.offer),
        "region": region(row.need),
        "budget": budget(row.need),
        "deadline": _deadline(row.need),
        "new": row.listed.new,
        "taken": row.listed.taken,
        "status": lead.status if lead else None,
        "status_name": _status_name(row),
        "assignee": account_name(lead.assignee, names) if lead else None,
    }


def lead_json(
    lead: Lead, records: Mapping[str, StoredRecord], names: Names, steps: Sequence[LeadStep] | None, viewer: Viewer
) -> dict[str, Any]:
    """A lead by itself.

    :param records: as the viewer may read them; those that are missing he may not see any more.
    :param steps: what was done with it; None leaves that out.
    """
    need, offer = records.get(lead.need_id), records.get(lead.offer_id)
    answer = {
        "id": lead.id,
        "status": lead.status,
        "status_name": STATUS_NAMES[lead.status],
        "enterprise": _owner(need) if need else None,
        "need": side_json(need) if need else None,
        "offer": side_json(offer) if offer else None,
        "level": lead.level,
        "level_name": LEVEL_NAMES[lead.level],
        "score": round(lead.score, 4),
        "programmes": _programmes(need, offer),
        "region": region(need) if need else None,
        "budget": budget(need) if need else None,
        "deadline": _deadline(need) if need else None,
        "listed_at": lead.listed_at,
        "claimed_until": lead.claimed_until if lead.status == "new" else None,
        "assignee": account_name(lead.assignee, names),
        "mine": lead.holder == viewer.account,
        "amount": lead.amount,
        "signed_on": lead.signed_on,
        "major": lead.major,
        "reason": lead.reason,
        "reason_name": REASON_NAMES[lead.reason] if lead.reason else None,
        "updated_at": lead.updated_at,
    }
    return answer if steps is None else answer | {"steps": [step_json(step, names, viewer) for step in steps]}


def step_json(step: LeadStep, names: Names, viewer: Viewer) -> dict[str, Any]:
    """One step of a lead's life."""
    details = step.details
    return {
        "at": step.at,
        "by": "您" if step.account == viewer.account else account_name(step.account, names),
        "status": step.status,
        "status_name": STATUS_NAMES[step.status],
        "note": step.note,
        "amount": details.get("amount"),
        "signed_on": details.get("signed_on"),
        "major": bool(details.get("major")),
        "reason": details.get("reason"),
        "reason_name": REASON_NAMES.get(details["reason"]) if details.get("reason") else None,
        "assigned_to": account_name(details.get("assigned"), names),
        "lapsed": bool(details.get("lapsed")),
    }


def saved_json(saved: SavedList) -> dict[str, Any]:
    """A saved list."""
    return {
        "id": saved.id,
        "name": saved.name,
        "wanted": saved.wanted.as_json(),
        "created_at": saved.created_at,
        "drawn_at": saved.drawn_at,
    }


def side_json(stored: StoredRecord) -> dict[str, Any]:
    """One side of a pair, as far as a list has room for it."""
    return {
        "id": stored.id,
        "kind": stored.record.kind,
        "kind_name": KIND_NAMES[stored.record.kind],
        "title": stored.record.title,
        "institution": _owner(stored),
        "province": stored.record.province,
        "city": stored.record.city,
        "county": stored.record.county,
    }


def accounts_of(leads: Iterable[Lead | None], steps: Iterable[LeadStep] = ()) -> set[int]:
    """The accounts that leads and steps name."""
    found = {lead.assignee for lead in leads if lead} | {step.account for step in steps}
    return {key for key in found | {step.details.get("assigned") for step in steps} if key}


def account_name(key: int | None, names: Names) -> str | None:
    """An account as people read it."""
    return None if key is None else OPERATOR_NAME if key == OPERATOR_ACCOUNT else names.get(key, "已删除的账号")


# ------------------------------------------------------------ tables


def list_cells(drawn: LeadList, names: Names, base_url: str) -> list[tuple[object, ...]]:
    """The rows of a list under `LIST_COLUMNS`.

    :param base_url: of the pages of records, without a slash at the end.
    """
    cells = []
    for row in drawn.rows:
        pair, lead = row.listed.pair, row.listed.lead
        cells.append(
            (
                *_sides(row.need, row.offer, base_url),
                pair.level,
                round(pair.score, 4),
                pair.why,
                *_facts(row.need, row.offer),
                "新" if row.listed.new else "",
                _status_name(row),
                account_name(lead.assignee, names) if lead else None,
                lead.id if lead else None,
            )
        )
    return cells


def export_cells(
    leads: Iterable[Lead], records: Mapping[str, StoredRecord], names: Names, base_url: str
) -> list[tuple[object, ...]]:
    """Leads under `EXPORT_COLUMNS`; of a record that may not be seen any more the cells are empty."""
    cells = []
    for lead in leads:
        need, offer = records.get(lead.need_id), records.get(lead.offer_id)
        cells.append(
            (
                *_sides(need, offer, base_url),
                lead.level,
                round(lead.score, 4),
                *_facts(need, offer),
                STATUS_NAMES[lead.status],
                account_name(lead.assignee, names),
                lead.amount,
                lead.signed_on,
                "是" if lead.major else "",
                REASON_NAMES[lead.reason] if lead.reason else None,
                lead.listed_at,
                lead.updated_at,
                lead.id,
            )
        )
    return cells


def enterprise(need: StoredRecord) -> str:
    """Who asks, as far as that may be known."""
    if need.record.institution:
        return need.record.institution
    return HIDDEN_ENTERPRISE if need.record.visibility != "public" else "企业不详"


def region(stored: StoredRecord) -> str | None:
    """Province, city and county in one; a municipality once."""
    record = stored.record
    parts = dict.fromkeys(part for part in (record.province, record.city, record.county) if part)
    return "".join(parts) or None


def budget(need: StoredRecord) -> str | None:
    """The budget as it was written."""
    return need.record.budget if isinstance(need.record, Need) else None


def _deadline(need: StoredRecord) -> str | None:
    return need.record.deadline if isinstance(need.record, Need) else None


def _sides(need: StoredRecord | None, offer: StoredRecord | None, base_url: str) -> tuple[object, ...]:
    return (
        enterprise(need) if need else None,
        _link(need, base_url),
        _link(offer, base_url),
        KIND_NAMES[offer.record.kind] if offer else None,
        offer.record.institution if offer else None,
    )


def _facts(need: StoredRecord | None, offer: StoredRecord | None) -> tuple[object, ...]:
    return (
        "、".join(one["name"] for one in _programmes(need, offer)),
        region(need) if need else None,
        budget(need) if need else None,
        _deadline(need) if need else None,
    )


def _link(stored: StoredRecord | None, base_url: str) -> tuple[str, str] | None:
    return (stored.record.title, f"{base_url}/records/{stored.id}") if stored else None


def _programmes(need: StoredRecord | None, offer: StoredRecord | None) -> list[dict[str, Any]]:
    """The programmes of both sides; of the offer, or else of the need, where they have none in common."""
    own, asked = (stored.tags if stored else {} for stored in (offer, need))
    both = {code: own[code] for code in own if code in asked}
    named = record_programmes_json(both or own or asked)
    return [{"code": one["code"], "name": one["name"]} for one in named]


def _owner(stored: StoredRecord) -> dict[str, str] | None:
    if not stored.institution_id or not stored.record.institution:
        return None
    return {"id": stored.institution_id, "name": stored.record.institution}


def _status_name(row: LeadRow) -> str:
    lead = row.listed.lead
    if row.listed.taken:
        return TAKEN_NAME
    return STATUS_NAMES[lead.status] if lead else STATUS_NAMES["new"]
