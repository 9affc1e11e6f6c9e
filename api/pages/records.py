"""A record as somebody without a key may read it: what the links in mails lead to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Response

from api.access import Counted
from api.deps import RunningService, StoreMatcher
from api.pages.rendering import page
from api.pages.routing import READ, PageRoute, not_there
from matcher import wording
from matcher.engine import Matcher
from matcher.errors import NotFound
from matcher.following import Following
from matcher.links import is_signed
from matcher.records import KIND_NAMES, Achievement, Institution, Need, Patent, Record
from matcher.rows import StoredRecord
from matcher.views import state
from matcher.visibility import ANONYMOUS, PUBLIC, Viewer

router = APIRouter(route_class=PageRoute, include_in_schema=False)

STATES = {"ended": "已结束", "merged": "已并入另一条记录", "withdrawn": "已撤回"}


@router.api_route("/records/{id_}", methods=READ)
def record(
    id_: str,
    matcher: StoreMatcher,
    service: RunningService,
    _: Counted,
    s: Annotated[str, Query()] = "",
    k: Annotated[str, Query()] = "",
) -> Response:
    """A record; with a signature what its subscriber may read, without one what everybody may."""
    if s or k:
        viewers = _subscriber_viewers(matcher, s, k, id_)
    else:
        viewers = iter([ANONYMOUS] if service.settings.anonymous else [])
    for viewer in viewers:
        with contextlib.suppress(NotFound):
            return _record_page(matcher.record(id_, viewer), secret=bool(k))
    return not_there()


def _subscriber_viewers(matcher: Matcher, subscriber_id: str, signature: str, record_id: str) -> Iterator[Viewer]:
    """With whose eyes a subscriber may look: everybody's first, which uncover least, then those of his accounts.

    :raises NotFound: if there is no such subscriber.
    """
    subscriber = matcher.subscriptions.by_id(subscriber_id)
    if not is_signed(subscriber, record_id, signature):
        return
    yield PUBLIC
    following = Following(matcher.store, matcher.accounts)
    for one in matcher.subscriptions.of(subscriber):
        viewer = following.viewer(one)
        if one.active and one.account and viewer:
            yield viewer


def _record_page(stored: StoredRecord, secret: bool) -> Response:
    record = stored.record
    return page(
        "record.html",
        secret=secret,
        title=wording.one_line(record.title, len(record.title)) or stored.id,
        kind=KIND_NAMES[record.kind],
        state=STATES.get(state(stored), ""),
        facts=[(label, value) for label, value in _facts(stored) if value],
        programmes=wording.programmes(stored),
        paragraphs=[line.strip() for line in record.abstract.splitlines() if line.strip()],
        source=_source(record),
        id=stored.id,
    )


def _facts(stored: StoredRecord) -> list[tuple[str, str]]:
    record = stored.record
    if isinstance(record, Institution):
        names = "、".join(record.aliases)
        return [("类型", record.type or ""), ("别名", names), ("地区", wording.region(stored))]
    shared = [
        ("提出单位" if record.kind == "need" else "单位", wording.owner(stored)),
        ("合作单位", "、".join(record.co_institutions)),
        ("地区", wording.region(stored)),
    ]
    return [*shared, *_own_facts(record), ("关键词", "、".join(record.keywords)), ("编号", stored.id)]


def _own_facts(record: Record) -> list[tuple[str, str]]:
    if isinstance(record, Need):
        return [
            ("行业", record.industry or ""),
            ("预算", record.budget or ("面议" if record.negotiable else "")),
            ("合作方式", record.cooperation or ""),
            ("截止日期", wording.day(record.deadline)),
            ("发布日期", wording.day(record.date)),
        ]
    if isinstance(record, Patent):
        return [
            ("公开号", record.publication_number or ""),
            ("申请号", record.application_number or ""),
            ("申请日", wording.day(record.application_date)),
            ("公开日", wording.day(record.publication_date)),
            ("法律状态", record.legal_status or ""),
            ("分类号", "、".join(record.ipc)),
            ("发明人", "、".join(record.inventors)),
        ]
    if isinstance(record, Achievement):
        return [
            ("日期", wording.day(record.date)),
            ("成熟度", record.maturity or ""),
            ("合作方式", record.cooperation or ""),
            ("转化状态", record.status or ""),
        ]
    return []


def _source(record: Record) -> str:
    """The address that the record's source gave, if a browser may be sent there."""
    try:
        parts = urlsplit(record.url or "")
    except ValueError:
        return ""
    return record.url or "" if parts.scheme in ("http", "https") and parts.netloc else ""
