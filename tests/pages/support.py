"""A reader of mails, and what his pages must be like."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from httpx2 import Response
from sqlalchemy import select

from matcher import tables
from matcher.links import record_link
from matcher.subscribers import Subscriber, Subscription
from matcher.wishes import Wish
from tests.api.fresh import Fresh

ADDRESS = "li.ming@corp.example"
# What no browser sends along when a mail program acts on List-Unsubscribe-Post (RFC 8058).
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


class Reader:
    """Somebody with an address."""

    def __init__(self, fresh: Fresh, email: str = ADDRESS) -> None:
        self.fresh = fresh
        self.email = email

    @property
    def book(self) -> Any:
        return self.fresh.matcher.subscriptions

    @property
    def now(self) -> Subscriber:
        """As he stands in the store at this moment."""
        known = self.book.by_email(self.email)
        assert known
        return known

    def follow(self, account: int = 0, confirmed: bool = True, **wanted: Any) -> Subscription:
        wish = Wish(**(wanted or {"follows": "text", "text": "银耳热泵烘干"}))
        made: Subscription = self.book.add(self.email, wish, account, confirmed)
        return made

    def link(self, record_id: str) -> str:
        return record_link("", self.now, record_id)

    def page(self, rest: str = "") -> str:
        return f"/mail/{self.now.token}{rest}"

    def follows(self) -> dict[str, bool]:
        """Ids of what he follows or was asked about, and whether it runs."""
        return {one.id: one.active for one in self.book.of(self.now)}


def people(fresh: Fresh) -> list[tuple[Any, ...]]:
    """All that is written down about people and what they follow."""
    with fresh.matcher.store.database.reading.connect() as connection:
        return [
            tuple(row)
            for table in (tables.subscribers, tables.subscriptions, tables.outbox, tables.audit)
            for row in connection.execute(select(table).order_by(*table.primary_key))
        ]


def assert_page(answer: Response, status: int, secret: bool = True) -> str:
    """A page in Chinese that loads nothing, runs nothing and tells nobody where it was; gives its HTML."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "no-store" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers
    assert ("noindex" in answer.headers.get("x-robots-tag", "")) == secret
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "script-src" not in policy
    page: str = answer.text
    assert page.startswith('<!DOCTYPE html>\n<html lang="zh-CN">')
    style = re.search(r"<style>(.*?)</style>", page, re.S)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy["style-src"] == f"'sha256-{digest}'"
    assert not re.search(r"<script|<img|<iframe|<object|javascript:|\sstyle=|\son[a-z]+=|@import|url\(", page)
    assert re.search(r"<h1>.*[\u4e00-\u9fff]", page)
    return page


def words(page: str) -> str:
    """What somebody reads, without spaces."""
    body = page.partition("<body>")[2]
    return "".join(re.sub(r"<[^>]+>", "", body).split())
