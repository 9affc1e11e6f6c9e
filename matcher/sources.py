"""What people read of duplicates: a merged record's sources, and pairs that wait for a decision.

Only what the reader may see: of a group he is told the records that are his to know, of pairs those of two such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from matcher.proposals import STATE_NAMES, Proposal
from matcher.records import KIND_NAMES
from matcher.rows import StoredRecord
from matcher.visibility import Viewer

# Told of each source, or no matter of its text.
_NOT_COMPARED = ("kind", "source", "source_id", "visibility")


@dataclass(frozen=True)
class Source:
    """One of the records that a merged record was made of.

    :param name: of the file or system it came from, None where this reader may not know whose it is; `number`
        is its id there.
    :param leads: whether it stands for the others.
    :param differing: fields in which it differs from the one that leads, with its own values.
    """

    id: str
    name: str | None
    number: str | None
    leads: bool
    differing: Mapping[str, Any]


@dataclass(frozen=True)
class SeenPair:
    """A pair with both of its records."""

    proposal: Proposal
    first: StoredRecord
    second: StoredRecord


def sources(group: Sequence[StoredRecord], viewer: Viewer) -> list[Source]:
    """The sources of a group as this viewer may read them.

    :param group: the record that leads first, all of them as the viewer may read them.
    """
    first = asdict(group[0].record)
    found = []
    for place, stored in enumerate(group):
        own = asdict(stored.record)
        # What an account brought is known by the account's id and its own numbers: nobody else's business.
        known = viewer.owns(stored.owner) or (
            stored.owner == 0 and viewer.may_know_names(stored.record.visibility, stored.owner)
        )
        differing = {
            name: value for name, value in own.items() if name not in _NOT_COMPARED and value != first.get(name)
        }
        record = stored.record
        found.append(
            Source(
                stored.id,
                record.source if known else None,
                record.source_id if known else None,
                place == 0,
                differing if place else {},
            )
        )
    return found


def source_json(source: Source) -> dict[str, Any]:
    """A source for programs."""
    return {
        "id": source.id,
        "source": source.name,
        "source_id": source.number,
        "leads": source.leads,
        "differing": {
            name: list(value) if isinstance(value, tuple) else value for name, value in source.differing.items()
        },
    }


def pair_json(pair: SeenPair) -> dict[str, Any]:
    """A pair for programs."""
    own = pair.proposal
    return {
        "number": own.number,
        "state": own.state,
        "state_name": STATE_NAMES[own.state],
        "basis": own.basis,
        "score": round(own.score, 4),
        "why": own.why,
        "automatic": own.state == "merged" and own.account is None,
        "created_at": own.created_at,
        "decided_at": own.decided_at,
        "records": [_record_json(stored) for stored in (pair.first, pair.second)],
    }


def pair_lines(pair: SeenPair) -> list[str]:
    """A pair for people."""
    own = pair.proposal
    state = STATE_NAMES[own.state] + ("（自动）" if own.state == "merged" and own.account is None else "")
    lines = [f"第 {own.number} 对【{state} {own.score:.2f}】{own.why}"]
    for stored in (pair.first, pair.second):
        record = stored.record
        facts = [record.title, record.institution or "单位不详", record.date or "", f"来源 {record.source}"]
        into = f"已并入 {stored.merged_into}" if stored.merged_into else ""
        lines.append("   " + " · ".join(fact for fact in (*facts, stored.id, into) if fact))
    return lines


def _record_json(stored: StoredRecord) -> dict[str, Any]:
    record = stored.record
    return {
        "id": stored.id,
        "kind": record.kind,
        "kind_name": KIND_NAMES[record.kind],
        "title": record.title,
        "institution": record.institution,
        "date": record.date,
        "merged_into": stored.merged_into,
    }
