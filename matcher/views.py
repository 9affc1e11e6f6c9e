"""Answers as JSON: what the API sends and ``--json`` prints, built field by field.

Contacts, source rows and visibility have no way in here: every field that leaves is named below.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from matcher.accounts import Account, ApiKey
from matcher.answering import Answer, Match
from matcher.audit import Entry
from matcher.evaluate import Evaluation, paired_difference
from matcher.judged import Judgement
from matcher.judgements import Judgements
from matcher.partners import Partner
from matcher.programs import Programme, Tag
from matcher.rank import LEVEL_NAMES
from matcher.records import KIND_NAMES, PROGRAMME_NAMES, RECORD_TYPES, Institution, Kind, Record
from matcher.regions import name_of
from matcher.rows import StoredRecord
from matcher.subscribers import FOLLOWS_NAMES, FREQUENCY_NAMES, Subscription
from matcher.uploads import Upload
from matcher.visibility import ROLE_NAMES, Viewer

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
        "merged_into": stored.merged_into,
        "title": record.title,
        "abstract": record.abstract,
        "institution": _owner(stored),
        "province": record.province,
        "city": record.city,
        "county": record.county,
        "region_code": record.region_code,
        "date": record.date,
        "keywords": list(record.keywords),
        "url": record.url,
        **{name: _plain(getattr(record, name)) for name in _own_fields(record.kind)},
    }


def record_answer_json(stored: StoredRecord, viewer: Viewer, contact: str | None = None) -> dict[str, Any]:
    """A record by itself, with its programmes and what only its owner reads.

    :param contact: for the owner, where it is asked for.
    """
    own = None
    if viewer.account and viewer.owns(stored.owner):
        own = {"visibility": stored.record.visibility, "source_id": stored.record.source_id, "contact": contact}
    return {**record_json(stored), "programmes": record_programmes_json(stored.tags), "own": own}


def facets_json(facets: Mapping[str, Counter[str]]) -> dict[str, Any]:
    """Counts by kind, programme and province, the first two in their own order."""
    kinds = {str(kind): name for kind, name in KIND_NAMES.items()}
    names: Mapping[str, Mapping[str, str]] = {"kinds": kinds, "programmes": PROGRAMME_NAMES}
    answer = {
        name: [{"value": value, "name": named, "count": facets[name][value]} for value, named in own.items()]
        for name, own in names.items()
    }
    provinces = sorted(facets["provinces"].items(), key=lambda item: (-item[1], item[0]))
    answer["provinces"] = [{"value": value, "name": value, "count": count} for value, count in provinces]
    return answer


ACTION_NAMES: Mapping[str, str] = {"add": "提交", "update": "修改", "withdraw": "撤回"}


def history_json(entry: Entry, viewer: Viewer) -> dict[str, Any]:
    """One change of a record, for its owner. Others are named by what they are, never by who."""
    by = "您" if entry.account == viewer.account else "平台"
    fields = entry.details.get("fields", [])
    return {
        "at": entry.at,
        "by": by,
        "action": entry.action,
        "action_name": ACTION_NAMES.get(entry.action, "其他"),
        "fields": list(fields),
    }


def upload_json(upload: Upload) -> dict[str, Any]:
    """A file and how far it has been read."""
    names = ("read", "added", "updated", "unchanged", "rejected")
    return {
        "id": upload.id,
        "file_name": upload.file_name,
        "kind": upload.kind,
        "visibility": upload.visibility,
        "status": upload.status,
        "status_name": UPLOAD_STATUS_NAMES[upload.status],
        "message": upload.message,
        "counts": {name: upload.report[name] for name in names} if upload.report else None,
        "rejects": upload.rejects is not None,
        "created_at": upload.created_at,
        "finished_at": upload.finished_at,
    }


UPLOAD_STATUS_NAMES: Mapping[str, str] = {
    "waiting": "等待处理",
    "running": "正在处理",
    "done": "已完成",
    "failed": "处理失败",
}


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """One judgement."""
    return {
        "need_id": judgement.need_id,
        "offer_id": judgement.offer_id,
        "level": judgement.level,
        "level_name": LEVEL_NAMES[judgement.level],
        "at": judgement.at,
    }


def account_json(account: Account, keys: Sequence[ApiKey]) -> dict[str, Any]:
    """An account with its keys, which it no longer knows themselves."""
    return {
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "role_name": ROLE_NAMES[account.role],
        "created_at": account.created_at,
        "closed_at": account.closed_at,
        "keys": [key_json(key) for key in keys],
    }


def key_json(key: ApiKey) -> dict[str, Any]:
    """A key without its secret."""
    return {
        "id": key.id,
        "name": key.name,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def state(stored: StoredRecord) -> str:
    """Where a record is in its life: active, ended (past its last day), merged into another one, or withdrawn."""
    if stored.withdrawn:
        return "withdrawn"
    if stored.merged_into:
        return "merged"
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


def subscription_json(subscription: Subscription, email: str) -> dict[str, Any]:
    """A subscription as its account, or the operator, may read it.

    :param email: of the subscriber. It is told in lower case, whoever wrote it first, and however.
    """
    active = subscription.active
    return {
        "id": subscription.id,
        "email": email.lower(),
        "follows": subscription.follows,
        "follows_name": FOLLOWS_NAMES[subscription.follows],
        "subject": subscription.subject,
        "title": subscription.title,
        "text": subscription.text,
        "kinds": list(subscription.kinds),
        "programmes": list(subscription.programmes),
        "regions": [{"code": code, "name": name_of(code)} for code in subscription.regions],
        "min_level": subscription.min_level,
        "frequency": subscription.frequency,
        "frequency_name": FREQUENCY_NAMES[subscription.frequency],
        "state": "active" if active else "waiting",
        "state_name": "已生效" if active else "等待收件人确认",
        "created_at": subscription.created_at,
        "confirmed_at": subscription.confirmed_at,
    }


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
