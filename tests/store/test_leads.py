"""The life of leads, and the promise that nobody is told of one as new together with somebody else."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from matcher import audit, tables
from matcher.accounts import Account, Accounts
from matcher.errors import Conflict, Forbidden, InvalidLead, NotFound
from matcher.judged import JudgementBook
from matcher.lead_book import CLAIM_DAYS, Lead, LeadBook, Pair
from matcher.lead_states import FOLLOWING, REASONS, STATUSES, Status, Step
from matcher.lead_wanted import SHOWS
from matcher.own_judgements import own_judgements
from matcher.records import Need, Record
from matcher.store import Store
from matcher.visibility import OPERATOR, Viewer
from tests.store.conftest import Databases
from tests.store.examples import achievement, put

A, B, C = (Viewer("intermediary", number) for number in (101, 102, 103))
ADMIN = Viewer("admin", 109)
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime(2026, 11, 23, 8, tzinfo=datetime.UTC)


def need(number: int, **values: str) -> Need:
    return Need(source="企业填报", source_id=str(number), title=f"第{number}条需求", **values)


def pair(number: int, offer: int = 0, level: int = 3) -> Pair:
    return Pair(need(number).id, achievement(offer).id, level, 0.5, "共同涉及“烘干”。")


def fill(store: Store, needs: int = 6) -> None:
    records: list[Record] = [need(number) for number in range(needs)]
    put(store, achievement(0), achievement(1, "另一项成果"), *records)


def at(moment: datetime.datetime) -> mock._patch[object]:
    return mock.patch.object(audit, "now", lambda: moment.isoformat(timespec="seconds"))


@pytest.fixture
def book(store: Store) -> LeadBook:
    fill(store)
    return LeadBook(store.database)


def listed(book: LeadBook, viewer: Viewer, *numbers: int) -> Lead:
    """A lead that somebody was told of."""
    [row] = book.draw([pair(*numbers or (0,))], viewer, 1, "all", peek=False)
    assert row.lead
    return row.lead


# ------------------------------------------------------------ who is told


def test_what_is_new_to_one_is_taken_to_all_others_and_listed_to_him_once(book: LeadBook) -> None:
    pairs = [pair(number) for number in range(4)]
    first = book.draw(pairs, A, 2, "all", peek=False)
    assert [(row.new, row.taken, row.lead is not None) for row in first] == [(True, False, True)] * 2
    theirs = book.draw(pairs, B, 10, "all", peek=False)
    assert [row.pair for row in theirs] == [pairs[2], pairs[3], pairs[0], pairs[1]]
    assert [(row.new, row.taken, row.lead is not None) for row in theirs] == [
        *[(True, False, True)] * 2,
        *[(False, True, False)] * 2,
    ]
    again = book.draw(pairs, A, 10, "all", peek=False)
    assert [(row.new, row.taken) for row in again] == [*[(False, False)] * 2, *[(False, True)] * 2]
    assert [row.pair for row in book.draw(pairs, A, 10, "open", peek=False)] == pairs[:2]
    assert book.draw(pairs, A, 10, "new", peek=False) == []


def test_who_only_looks_takes_nothing(book: LeadBook) -> None:
    looked = book.draw([pair(0)], A, 5, "all", peek=True)
    assert [(row.new, row.lead) for row in looked] == [(True, None)]
    assert [row.new for row in book.draw([pair(0)], B, 5, "all", peek=False)] == [True]
    assert [(row.new, row.taken) for row in book.draw([pair(0)], A, 5, "all", peek=True)] == [(False, True)]


def test_what_was_left_alone_may_be_told_to_another_and_to_the_first_one_as_what_it_is(book: LeadBook) -> None:
    def draw(viewer: Viewer, days: float) -> tuple[bool, bool]:
        with at(NOW + days * DAY):
            [row] = book.draw([pair(0)], viewer, 1, "all", peek=False)
            return row.new, row.taken

    assert draw(A, 0) == (True, False)
    assert draw(B, CLAIM_DAYS - 0.01) == (False, True)
    # Looking again does not make it last longer.
    assert draw(A, CLAIM_DAYS - 0.01) == (False, False)
    assert draw(B, CLAIM_DAYS) == (True, False)
    assert draw(A, CLAIM_DAYS + 1) == (False, True)
    # B has left it alone too: A may have it again, but was told before.
    assert draw(A, 2 * CLAIM_DAYS + 1) == (False, False)
    assert draw(C, 3 * CLAIM_DAYS + 2) == (True, False)
    [lead] = book.page(C, None, 10)
    assert [step.details for step in book.steps(lead, C)] == []
    assert [step.account for step in book.steps(lead, ADMIN)] == [101, 102, 101]


def test_whoever_works_on_a_lead_keeps_it(book: LeadBook) -> None:
    with at(NOW):
        lead = listed(book, A)
        book.step(lead.id, Step(status="contacted"), A)
    with at(NOW + 10 * CLAIM_DAYS * DAY):
        assert [(row.new, row.taken) for row in book.draw([pair(0)], B, 1, "all", peek=False)] == [(False, True)]
        assert book.draw([pair(0)], B, 1, "open", peek=False) == []


def test_a_pair_stays_one_when_its_records_turn_out_to_be_one_with_others(store: Store, book: LeadBook) -> None:
    listed(book, A, 0)
    with store.database.writing() as connection:
        r = tables.records
        connection.execute(r.update().where(r.c.id == need(0).id).values(merged_into=need(1).id))
    assert [(row.new, row.taken) for row in book.draw([pair(1)], B, 1, "all", peek=False)] == [(False, True)]
    assert [(row.new, row.taken) for row in book.draw([pair(1)], A, 1, "all", peek=False)] == [(False, False)]


def test_two_who_ask_at_once_are_not_told_of_the_same(store: Store, book: LeadBook) -> None:
    numbers = range(40)
    put(store, *[need(number) for number in numbers])
    people = [Viewer("intermediary", 200 + number) for number in range(8)]

    def ask(viewer: Viewer) -> list[Pair]:
        own = LeadBook(store.database)
        rows = [
            row
            for start in (0, 20, 10)
            for row in own.draw([pair(n) for n in numbers[start : start + 20]], viewer, 7, "all", peek=False)
        ]
        return [row.pair for row in rows if row.new]

    with ThreadPoolExecutor(8) as pool:
        told = [one for own in pool.map(ask, people) for one in own]
    assert len(told) == len(set(told)) == len(numbers)
    assert len(book.page(ADMIN, None, 100, everybodys=True)) == len(numbers)


PEOPLE = (A, B, C)
ACTIONS = st.one_of(
    st.tuples(
        st.just("draw"),
        st.sampled_from(PEOPLE),
        st.lists(st.integers(0, 5), min_size=1, max_size=6, unique=True),
        st.integers(1, 4),
        st.sampled_from(SHOWS),
        st.booleans(),
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, 6, CLAIM_DAYS, 30])),
    st.tuples(st.just("step"), st.sampled_from(PEOPLE), st.integers(0, 5), st.sampled_from(STATUSES)),
)


@given(actions=st.lists(ACTIONS, max_size=30))
@settings(max_examples=40, deadline=None)
def test_nothing_is_new_to_two_at_a_time_nor_to_anybody_twice(databases: Databases, actions: list[tuple]) -> None:  # type: ignore[type-arg]
    store = databases.lasting
    fill(store)
    with store.database.writing() as connection:
        for table in (tables.lead_steps, tables.leads):
            connection.execute(delete(table))
    book = LeadBook(store.database)
    moment, claims = NOW, dict[Pair, tuple[Viewer, datetime.datetime]]()
    told, worked = Counter[tuple[Pair, Viewer]](), set[Pair]()
    for action, *rest in actions:
        with at(moment):
            if action == "wait":
                moment += rest[0] * DAY
            elif action == "draw":
                viewer, numbers, limit, show, peek = rest
                rows = book.draw([pair(n) for n in numbers], viewer, limit, show, peek)
                assert len(rows) <= limit
                for row in rows:
                    free = row.pair not in claims or (
                        row.pair not in worked and moment - claims[row.pair][1] >= CLAIM_DAYS * DAY
                    )
                    mine = row.pair in claims and claims[row.pair][0] == viewer
                    assert row.taken == (not free and not mine)
                    assert not row.new or (free and not told[row.pair, viewer])
                    if free and not mine and not peek:
                        claims[row.pair] = (viewer, moment)
                        told[row.pair, viewer] += row.new
            else:
                viewer, number, status = rest
                mine = claims.get(pair(number), (None,))[0] == viewer
                held = {lead.need_id: lead for lead in book.page(viewer, None, 100)}
                assert (need(number).id in held) == mine
                if mine and status in FOLLOWING[held[need(number).id].status]:
                    book.step(held[need(number).id].id, complete(status), viewer)
                    worked.add(pair(number))
    assert not told or max(told.values()) <= 1


def complete(status: Status) -> Step:
    """A step that says all that has to be known."""
    reason = "price" if status == "lost" else None
    return Step(status=status, amount=500_000 if status == "signed" else None, reason=reason)


# ------------------------------------------------------------ what becomes of it


@given(wanted=st.lists(st.sampled_from(STATUSES), max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_lead_goes_only_where_its_state_allows_and_remembers_every_step(
    databases: Databases, wanted: list[Status]
) -> None:
    store = databases.lasting
    fill(store)
    with store.database.writing() as connection:
        connection.execute(delete(tables.lead_steps))
        connection.execute(delete(tables.leads))
    book = LeadBook(store.database)
    lead = listed(book, A)
    done: list[Status] = []
    for status in wanted:
        if status in FOLLOWING[lead.status]:
            lead = book.step(lead.id, complete(status), A, lead.revision)
            done.append(status)
            assert (lead.amount is not None) == (lead.signed_on is not None) == (lead.status == "signed")
            assert (lead.reason is not None) == (lead.status == "lost")
        else:
            with pytest.raises(InvalidLead):
                book.step(lead.id, complete(status), A)
            assert book.get(lead.id, A) == lead
    assert [step.status for step in book.steps(lead, A)] == done
    assert lead.revision == 1 + len(done)


@pytest.mark.parametrize(
    ("step", "field"),
    [
        (Step(status="new"), "status"),
        (Step(status="signed"), "amount"),
        (Step(status="signed", amount=0), "amount"),
        (Step(status="signed", amount=10**12), "amount"),
        (Step(status="signed", amount=1, signed_on=datetime.date(2999, 1, 1)), "signed_on"),
        (Step(status="signed", amount=1, signed_on=datetime.date(1999, 1, 1)), "signed_on"),
        (Step(status="contacted", amount=1), "amount"),
        (Step(status="contacted", major=True), "major"),
        (Step(status="lost"), "reason"),
        (Step(status="contacted", reason="price"), "reason"),
        (Step(status="contacted", note="长" * 2001), "note"),
    ],
    ids=str,
)
def test_what_makes_no_step_is_named(book: LeadBook, step: Step, field: str) -> None:
    lead = listed(book, A)
    with pytest.raises(InvalidLead) as refused:
        book.step(lead.id, step, A)
    assert refused.value.field == field
    assert book.get(lead.id, A) == lead


def test_a_contract_is_written_down_and_corrected(book: LeadBook) -> None:
    lead = listed(book, A)
    signed = Step(status="signed", amount=800_000, signed_on=datetime.date(2026, 4, 2), major=True)
    lead = book.step(lead.id, signed, A)
    assert (lead.amount, lead.signed_on, lead.major) == (800_000, "2026-04-02", True)
    lead = book.step(lead.id, replace(signed, amount=900_000, major=False), A)
    assert (lead.amount, lead.major) == (900_000, False)
    assert [step.details.get("amount") for step in book.steps(lead, A)] == [800_000, 900_000]


def test_who_has_not_seen_the_last_change_changes_nothing(book: LeadBook) -> None:
    lead = listed(book, A)
    changed = book.step(lead.id, Step(status="contacted"), A, lead.revision)
    with pytest.raises(Conflict, match="刚被修改过"):
        book.step(lead.id, Step(status="lost", reason="gone"), A, lead.revision)
    assert book.get(lead.id, A) == changed


def levels(store: Store) -> dict[int, int]:
    with store.database.reading.connect() as connection:
        return {row.account: row.level for row in connection.execute(select(tables.judgements))}


@pytest.mark.parametrize("reason", REASONS)
def test_outcomes_are_judgements_that_training_reads(store: Store, book: LeadBook, reason: str) -> None:
    lead = listed(book, A)
    steps = [
        (Step(status="contacted"), {}),
        (Step(status="negotiating"), {101: 3}),
        (Step(status="signed", amount=1), {101: 4}),
        (Step(status="negotiating"), {101: 3}),
        (Step(status="lost", reason=reason), {101: 1 if reason == "unfit" else 3}),  # type: ignore[arg-type]
        (Step(status="contacted"), {} if reason == "unfit" else {101: 3}),
        (Step(status="signed", amount=1), {101: 4}),
    ]
    for step, told in steps:
        book.step(lead.id, step, A)
        assert levels(store) == told
    judged = own_judgements(store, JudgementBook(store.database))
    assert [list(need.levels.values()) for need in judged.needs] == [[4]]
    trail = [entry.action for entry in audit.history(store.database, lead.id)]
    assert trail == ["lead-step"] * len(steps) + ["lead-list"]


def test_a_step_that_fails_leaves_no_judgement(store: Store, book: LeadBook) -> None:
    lead = listed(book, A)
    with mock.patch("matcher.lead_book._changed", side_effect=RuntimeError), pytest.raises(RuntimeError):
        book.step(lead.id, Step(status="negotiating", note="谈"), A)
    assert levels(store) == {}
    assert book.steps(book.get(lead.id, A), A) == []


# ------------------------------------------------------------ whose it is


@pytest.fixture
def accounts(store: Store, book: LeadBook) -> Iterator[dict[str, Account]]:
    made = Accounts(store.database)
    yield {role: made.add(f"账号 {role}", role) for role in ("intermediary", "admin", "enterprise")}


def test_anothers_lead_looks_like_none(book: LeadBook) -> None:
    lead = listed(book, A)
    for viewer, id_ in ((B, lead.id), (A, "lead-0"), (A, "x\0"), (Viewer("enterprise", 101 + 5), lead.id)):
        with pytest.raises(NotFound, match="没有编号为"):
            book.get(id_, viewer)
        with pytest.raises(NotFound):
            book.step(id_, Step(status="contacted"), viewer)
    assert book.page(B, None, 10) == []
    with pytest.raises(Forbidden):
        book.page(B, None, 10, everybodys=True)
    for manager in (ADMIN, OPERATOR):
        assert book.get(lead.id, manager) == lead


def test_whoever_holds_a_lead_gives_it_away_for_good(book: LeadBook, accounts: dict[str, Account]) -> None:
    lead = book.step(listed(book, A).id, Step(status="contacted", note="张工，13900001111"), A)
    assert lead.assignee == A.account
    to = accounts["intermediary"]
    lead = book.assign(lead.id, to, A, lead.revision)
    assert (lead.holder, lead.listed_to) == (to.key, A.account)
    with pytest.raises(NotFound):
        book.get(lead.id, A)
    assert [row.taken for row in book.draw([pair(0)], A, 1, "all", peek=False)] == [True]
    # He goes on with it, and reads what was noted.
    assert [step.note for step in book.steps(lead, to.viewer)] == ["张工，13900001111", ""]
    assert book.page(to.viewer, "contacted", 10) == [lead]
    assert book.page(to.viewer, "new", 10) == []


def test_a_new_lead_that_was_given_to_somebody_waits_for_him_from_then_on(
    book: LeadBook, accounts: dict[str, Account]
) -> None:
    to = accounts["intermediary"]
    with at(NOW):
        lead = listed(book, A)
    with at(NOW + 10 * DAY):
        book.assign(lead.id, to, A)
    with at(NOW + 20 * DAY):
        assert [row.taken for row in book.draw([pair(0)], B, 1, "all", peek=False)] == [True]
    with at(NOW + (10 + CLAIM_DAYS) * DAY):
        assert [row.new for row in book.draw([pair(0)], A, 1, "all", peek=True)] == [False]
        assert [row.new for row in book.draw([pair(0)], to.viewer, 1, "all", peek=True)] == [False]
        assert [row.new for row in book.draw([pair(0)], B, 1, "all", peek=False)] == [True]


def test_a_lead_goes_only_to_those_who_may_see_both_records(
    store: Store, book: LeadBook, accounts: dict[str, Account]
) -> None:
    lead = listed(book, A)
    with pytest.raises(InvalidLead, match="中介或管理员账号"):
        book.assign(lead.id, accounts["enterprise"], A)
    store.upsert([(need(9, visibility="private"), None)], A.account)
    own = listed(book, A, 9)
    for role in ("intermediary", "admin"):
        with pytest.raises(InvalidLead, match="看不到"):
            book.assign(own.id, accounts[role], A)
    # Not even those who manage leads learn of it.
    with pytest.raises(NotFound):
        book.get(own.id, accounts["admin"].viewer)
    assert own.id not in {one.id for one in book.page(accounts["admin"].viewer, None, 10, everybodys=True)}


def test_pages_follow_each_other(book: LeadBook) -> None:
    book.draw([pair(number) for number in range(5)], A, 5, "all", peek=False)
    first = book.page(A, None, 2)
    rest = book.page(A, None, 10, first[-1].key)
    assert [lead.need_id for lead in (*first, *rest)] == [need(number).id for number in range(4, -1, -1)]
