"""People who receive mail: a copy of what is held, erasure, an end to keeping."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import update

from matcher import audit, tables
from matcher.consent import CONFIRM_DAYS
from matcher.engine import Matcher
from matcher.forgotten import ENDING
from matcher.subscribers import Subscriber
from matcher.vectors import text_hash
from matcher.visibility import OPERATOR
from matcher.wishes import Wish
from tests.people.support import NOW, accounts, add_row, iso, places_of, put, rows
from tests.people.support import achievement as offer

DAYS = 30
LATER = NOW + datetime.timedelta(days=DAYS, hours=1)
MAIL, OTHER = "Zhang.San@example.test", "lisi@example.test"
WANTED = "腊肉亚硝酸盐残留的快速检测"


def text(words: str) -> Wish:
    return Wish(follows="text", text=words)


def furnish(matcher: Matcher) -> tuple[Subscriber, Subscriber]:
    """Two people: each follows something, and has had a mail about a record."""
    found = put(matcher, offer("1", "胶体金检测试纸"))
    people = []
    for email, words in ((MAIL, WANTED), (OTHER, "木耳烘干")):
        made = matcher.subscriptions.add(email, text(words), confirmed=True)
        person = matcher.subscriptions.by_key(made.subscriber)
        add_row(matcher, tables.mailed, subscription=made.key, asking_id="", record_id=found, level=4)
        values = {"kind": "digest", "day": "2026-03-05", "state": "sent", "next_at": iso(NOW)}
        times = {"created_at": iso(NOW), "done_at": iso(NOW)}
        add_row(matcher, tables.outbox, id=f"mail-{person.key}", subscriber=person.key, **values, **times)
        people.append(person)
    matcher.embedder.stored_questions([WANTED, "木耳烘干"])
    return people[0], people[1]


@pytest.mark.parametrize(
    "given", ["zhang.san@example.test", "ＺＨＡＮＧ.san＠example.test", "zhang.san (at) example.test"]
)
def test_a_person_gets_what_the_address_follows_and_which_mails_it_had(matcher: Matcher, given: str) -> None:
    person, _ = furnish(matcher)
    held = matcher.people.export_person(given)
    (told,) = held["subscribers"]
    assert (told["email"], told["id"], told["personalised"]) == (MAIL, person.id, 1)
    (followed,) = told["subscriptions"]
    assert (followed["text"], [one["level"] for one in followed["mailed"]]) == (WANTED, [4])
    assert [(one["kind"], one["day"], one["state"]) for one in told["mails"]] == [("digest", "2026-03-05", "sent")]
    written = json.dumps(held, ensure_ascii=False)
    for secret in (person.token, OTHER, "木耳"):
        assert secret not in written


def test_a_bare_name_says_nothing_of_an_address(matcher: Matcher) -> None:
    furnish(matcher)
    assert matcher.people.export_person("zhang")["subscribers"] == []
    assert matcher.people.erase_person("zhang").subscribers == 0
    assert len(rows(matcher, tables.subscribers)) == 2


def test_a_telephone_number_that_is_an_address_names_its_owner(matcher: Matcher) -> None:
    matcher.subscriptions.add("13812345678@example.test", text("木耳"))
    assert len(matcher.people.export_person("138 1234 5678")["subscribers"]) == 1
    assert matcher.people.erase_person("138 1234 5678").subscribers == 1


def test_nothing_is_left_of_an_erased_person(matcher: Matcher, home: Path) -> None:
    person, other = furnish(matcher)
    own = {"request": "0", "status": 201, "headers": {}, "created_at": iso(NOW)}
    add_row(matcher, tables.idempotency, account=1, name="k", body=json.dumps({"email": MAIL.lower()}), **own)
    assert vectors(matcher) == 2
    erased = matcher.people.erase_person(MAIL.upper(), whole=True)
    assert erased.complete
    assert (erased.as_json()["subscribers"], erased.replies) == (1, 1)
    assert places_of(home, MAIL, MAIL.lower(), WANTED, person.token) == []
    assert [row.email for row in rows(matcher, tables.subscribers)][:1] == [OTHER]
    for table in (tables.subscriptions, tables.outbox):
        assert [row.subscriber for row in rows(matcher, table)] == [other.key]
    assert len(rows(matcher, tables.mailed)) == 1
    assert [one.action for one in audit.history(matcher.store.database, person.id)] == ["erase-subscriber"]
    assert vectors(matcher) == 1


def vectors(matcher: Matcher) -> int:
    """Of the two texts that `furnish` has embedded."""
    known = [text_hash(words) for words in (WANTED, "木耳烘干")]
    return len(matcher.embedder._cache.get(matcher.embedder.fingerprint, known))


def test_an_erased_address_gets_no_mail_by_an_old_import(matcher: Matcher) -> None:
    furnish(matcher)
    matcher.people.erase_person(MAIL)
    matcher.people.erase_person(OTHER)
    # Nobody who reads the store can tell whose these are; only the address itself can.
    marks = [row.email for row in rows(matcher, tables.subscribers)]
    assert len(marks) == 3  # with the salt
    assert all(mark.endswith(ENDING) for mark in marks)
    assert matcher.people.export_person(MAIL)["subscribers"] == []
    back = matcher.subscriptions.add(MAIL.lower(), text(WANTED), confirmed=True)
    assert matcher.subscriptions.by_key(back.subscriber).suppressed_for == "unsubscribed"
    stranger = matcher.subscriptions.add("wangwu@example.test", text(WANTED))
    assert matcher.subscriptions.by_key(stranger.subscriber).suppressed_for is None
    # The address remembers it by itself now, until it is erased again.
    assert len(rows(matcher, tables.subscribers)) == 4
    matcher.people.erase_person(MAIL)
    assert sum(row.email.endswith(ENDING) for row in rows(matcher, tables.subscribers)) == 3


def test_a_text_that_speaks_of_a_person_loses_him(matcher: Matcher, home: Path) -> None:
    made = matcher.subscriptions.add(OTHER, text(f"{WANTED}，请联系 {MAIL}"))
    assert [one["id"] for one in matcher.people.export_person(MAIL)["subscriptions"]] == [made.id]
    assert matcher.people.erase_person(MAIL, whole=True).subscribers == 0
    assert places_of(home, MAIL) == []
    assert matcher.subscriptions.get(made.id, OPERATOR).text.startswith(WANTED)


def test_an_account_gets_and_takes_with_it_what_it_set_up(matcher: Matcher, home: Path) -> None:
    account, other = (accounts(matcher).add(name, "enterprise") for name in ("红光食品", "别的企业"))
    mine = matcher.subscriptions.add(MAIL, text(WANTED), account.key)
    for key in (account.key, other.key):
        matcher.subscriptions.add(OTHER, text("木耳"), key)
    held = matcher.people.export_account(account)["subscriptions"]
    assert held[0]["id"] == mine.id
    assert [one["email"] for one in held] == [MAIL.lower(), OTHER]
    token = matcher.subscriptions.by_key(mine.subscriber).token
    assert token not in json.dumps(held)
    erased = matcher.people.erase_account(account, whole=True)
    assert erased.subscribers == 1
    assert places_of(home, MAIL, MAIL.lower(), WANTED, token) == []
    assert [row.account for row in rows(matcher, tables.subscriptions)] == [other.key]


def test_retention_ends_the_keeping_of_what_is_over(matcher: Matcher, home: Path) -> None:
    person, _ = furnish(matcher)
    (ended,) = matcher.subscriptions.of(person)
    matcher.subscriptions.end(person, ended.id)
    soon = NOW + datetime.timedelta(days=DAYS - 1)
    assert matcher.people.expire(DAYS, soon).subscribers == 0
    assert len(rows(matcher, tables.outbox)) == 2
    assert matcher.people.expire(DAYS, LATER).subscribers == 1
    assert places_of(home, MAIL, WANTED) == []
    # What still runs stays, with what it has told; the mails that are done do not.
    assert [row.email for row in rows(matcher, tables.subscribers)] == [OTHER]
    assert len(rows(matcher, tables.mailed)) == 1
    assert rows(matcher, tables.outbox) == []


def test_a_mail_that_is_not_done_is_not_forgotten(matcher: Matcher) -> None:
    furnish(matcher)
    with matcher.store.database.writing() as connection:
        connection.execute(update(tables.outbox).values(state="waiting", done_at=None))
    matcher.people.expire(DAYS, LATER)
    assert len(rows(matcher, tables.outbox)) == 2


def test_who_wants_no_mail_is_remembered_for_that(matcher: Matcher) -> None:
    person, _ = furnish(matcher)
    matcher.subscriptions.suppress(person, "unsubscribed")
    (ended,) = matcher.subscriptions.of(person)
    matcher.subscriptions.end(person, ended.id)
    matcher.people.expire(DAYS, LATER)
    assert [row.email for row in rows(matcher, tables.subscribers)] == [MAIL, OTHER]


def test_retention_forgets_those_who_did_not_answer(matcher: Matcher, home: Path) -> None:
    matcher.subscriptions.add(MAIL, text(WANTED))
    matcher.people.expire(DAYS, NOW)
    assert places_of(home, MAIL)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=CONFIRM_DAYS, minutes=1)
    with time_machine.travel(later):
        matcher.people.expire(DAYS, NOW)
    assert places_of(home, MAIL, WANTED) == []
