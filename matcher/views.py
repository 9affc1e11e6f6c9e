"""Answers as JSON: what the API sends and ``--json`` prints, built field by field.

Contacts, source rows and visibility have no way in here: every field that leaves is named below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matcher.engine import Answer, Match, Matcher
from matcher.errors import NotFound
from matcher.partners import Partner
from matcher.programs import Programme, Tag, programme_names
from matcher.rank import LEVEL_NAMES
from matcher.records import KIND_NAMES, Record
from matcher.store import StoredRecord

NOTHING_FOUND = "没有找到与该需求相关的成果或专利。可以补充材料、工艺、指标等技术细节后再试。"
NOTHING_THERE = "库中还没有可供匹配的记录。请先用 matcher ingest 导入成果和专利。"


def answer_json(answer: Answer, matcher: Matcher, viewer: str = "public") -> dict[str, Any]:
    """The answer to one question.

    :param viewer: who reads it, a key of `matcher.engine.VISIBLE_TO`.
    """
    return {
        "query": {"programmes": [tag_json(tag) for tag in answer.programmes], "terms": list(answer.terms)},
        "matches": [_match(match) for match in answer.matches],
        "partners": [partner_json(partner, matcher, viewer) for partner in answer.partners],
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
        "title": record.title,
        "abstract": record.abstract,
        "institution": _owner(stored),
        "province": record.province,
        "city": record.city,
        "county": record.county,
        "date": record.date,
        "keywords": list(record.keywords),
        "url": record.url,
        **{name: list(value) if isinstance(value, tuple) else value for name, value in record.details().items()},
    }


def tag_json(tag: Tag) -> dict[str, Any]:
    """A programme that a text belongs to, with what decided it."""
    return {"code": tag.code, "name": tag.name, "score": tag.score, "terms": list(tag.terms), "topic": tag.topic}


def record_programmes_json(tags: Mapping[str, float]) -> list[dict[str, Any]]:
    """The programmes that a stored record belongs to, most likely first."""
    names = programme_names()
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


def partner_json(partner: Partner, matcher: Matcher, viewer: str = "public") -> dict[str, Any]:
    """An institution to talk to, with its evidence.

    :param viewer: who reads it, a key of `matcher.engine.VISIBLE_TO`.
    """
    own = _own_record(partner, matcher, viewer)
    details = own.details() if own else {}
    # Without a record of its own, an institution is where its offers are.
    places = [record for record in (own, *(stored.record for stored in partner.evidence)) if record and record.province]
    return {
        "institution": {
            "id": partner.id,
            "name": partner.name,
            "type": details.get("type"),
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
            "features": dict(match.why.features),
        },
    }


def _owner(stored: StoredRecord) -> dict[str, str] | None:
    if not stored.institution_id or not stored.record.institution:
        return None
    return {"id": stored.institution_id, "name": stored.record.institution}


def _own_record(partner: Partner, matcher: Matcher, viewer: str) -> Record | None:
    try:
        return matcher.record(partner.id, viewer).record
    except NotFound:
        return None


def _message(answer: Answer) -> str | None:
    if answer.matches:
        return None
    return NOTHING_FOUND if answer.records else NOTHING_THERE
