"""Answers as JSON: what the API sends and ``--json`` prints, built field by field.

Contacts, source rows and visibility have no way in here: every field that leaves is named below.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from matcher.answering import Answer, Match
from matcher.evaluate import Evaluation, paired_difference
from matcher.judgements import Judgements
from matcher.partners import Partner
from matcher.programs import Programme, Tag
from matcher.rank import LEVEL_NAMES
from matcher.records import KIND_NAMES, PROGRAMME_NAMES, RECORD_TYPES, Institution, Kind, Record
from matcher.store import StoredRecord

NOTHING_FOUND = "没有找到与该需求相关的成果或专利。可以补充材料、工艺、指标等技术细节后再试。"
NOTHING_THERE = "库中还没有可供匹配的记录。请先用 matcher ingest 导入成果和专利。"


def answer_json(answer: Answer) -> dict[str, Any]:
    """The answer to one question."""
    return {
        "query": {"programmes": [tag_json(tag) for tag in answer.programmes], "terms": list(answer.terms)},
        "matches": [_match(match) for match in answer.matches],
        "partners": partners_json(answer.partners),
        "message": _message(answer),
        "index": {"generation": answer.generation, "records": answer.records},
        "took_ms": round(sum(answer.steps.values()), 1),
    }


def record_json(stored: StoredRecord) -> dict[str, Any]:
    """A record's public face, the fields of its kind included."""
    record = stored.record
    return {
        "id": stored.id,
        "kind": record.kind,
        "kind_name": KIND_NAMES[record.kind],
        "state": state(stored),
        "title": record.title,
        "abstract": record.abstract,
        "institution": _owner(stored),
        "province": record.province,
        "city": record.city,
        "county": record.county,
        "date": record.date,
        "keywords": list(record.keywords),
        "url": record.url,
        **{name: _plain(getattr(record, name)) for name in _own_fields(record.kind)},
    }


def state(stored: StoredRecord) -> str:
    """Where a record is in its life: active, ended (past its last day) or withdrawn."""
    if stored.withdrawn:
        return "withdrawn"
    return "active" if stored.live else "ended"


def tag_json(tag: Tag) -> dict[str, Any]:
    """A programme that a text belongs to, with what decided it."""
    return {"code": tag.code, "name": tag.name, "score": tag.score, "terms": list(tag.terms), "topic": tag.topic}


def record_programmes_json(tags: Mapping[str, float]) -> list[dict[str, Any]]:
    """The programmes that a stored record belongs to, most likely first."""
    names = PROGRAMME_NAMES
    ordered = sorted(tags.items(), key=lambda item: (-item[1], item[0]))
    return [{"code": code, "name": names[code], "score": round(score, 4)} for code, score in ordered]


def programme_json(programme: Programme) -> dict[str, Any]:
    """A programme's definition."""
    return {
        "code": programme.code,
        "name": programme.name,
        "definition": programme.definition,
        "topics": list(programme.topics),
    }


def partners_json(partners: Sequence[Partner]) -> list[dict[str, Any]]:
    """Institutions to talk to, each with its evidence."""
    return [_partner(partner) for partner in partners]


def _partner(partner: Partner) -> dict[str, Any]:
    # Without a record of its own, an institution is where its offers are.
    own = partner.own
    places = [record for record in (own, *(stored.record for stored in partner.evidence)) if record and record.province]
    return {
        "institution": {
            "id": partner.id,
            "name": partner.name,
            "type": own.type if isinstance(own, Institution) else None,
            "province": places[0].province if places else None,
            "city": places[0].city if places else None,
        },
        "score": partner.score,
        "why": partner.why,
        "evidence": [stored.id for stored in partner.evidence],
    }


def _match(match: Match) -> dict[str, Any]:
    return {
        "rank": match.rank,
        "score": match.score,
        "level": match.level,
        "level_name": LEVEL_NAMES[match.level],
        "record": record_json(match.stored),
        "programmes": record_programmes_json(match.stored.tags),
        "variants": [
            {"id": variant.id, "kind": variant.record.kind, "title": variant.record.title} for variant in match.variants
        ],
        "why": {
            "sentence": match.why.sentence,
            "terms": list(match.why.terms),
            "passage": match.why.passage,
            # A feature that is absent weighs -0.0; adding 0 takes the sign away.
            "features": {name: part + 0.0 for name, part in match.why.features.items()},
        },
    }


def _owner(stored: StoredRecord) -> dict[str, str] | None:
    if not stored.institution_id or not stored.record.institution:
        return None
    return {"id": stored.institution_id, "name": stored.record.institution}


@functools.cache
def _own_fields(kind: Kind) -> tuple[str, ...]:
    shared = {field.name for field in fields(Record)}
    return tuple(field.name for field in fields(RECORD_TYPES[kind]) if field.name not in shared)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _message(answer: Answer) -> str | None:
    if answer.matches:
        return None
    return NOTHING_FOUND if answer.records else NOTHING_THERE


def evaluation_json(results: Mapping[str, Evaluation], judged: Judgements) -> dict[str, object]:
    """What ``matcher evaluate --json`` prints: the ranker's figures first, then what they rest on."""
    ours = results["ranker"]
    others = {
        name: {
            "ndcg10": result.figures["ndcg10"],
            "interval": result.interval,
            "ranker_ahead": paired_difference(ours, result),
        }
        for name, result in results.items()
        if name != "ranker"
    }
    return {
        **ours.figures,
        "interval": ours.interval,
        "called": {
            str(level): {"pairs": pairs, "level_3_or_4": share} for level, (pairs, share) in ours.called.items()
        },
        "others": others,
        "rows": judged.rows,
        "pairs": judged.pairs,
        "dropped": dict(judged.dropped),
    }
