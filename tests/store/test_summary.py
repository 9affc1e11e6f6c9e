"""What the bureau's summary counts, over both databases."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest
import time_machine
from sqlalchemy import insert

from matcher import tables
from matcher.accounts import Accounts
from matcher.errors import InvalidQuery
from matcher.records import Achievement, Need, Patent, Record
from matcher.store import Store
from matcher.summary import Counts, Period, Summary, summarise
from matcher.targets import policy

FIGURES = ("offers", "needs", "leads", "talks", "signed", "amount", "major")
ALWAYS = Period()


class World:
    """Records and leads that a test puts in."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._numbers = itertools.count(1)

    def record(self, kind: type[Record], place: str = "", *programmes: str, **fields: Any) -> str:
        number = next(self._numbers)
        region = {"province": "四川省"} if place else {}
        record = kind(
            source="测试", source_id=str(number), title=f"银耳烘干{number}", abstract="节能", **region, **fields
        )
        self.store.upsert([(record, None)])
        stored = self.store.by_id([record.id])[record.id]
        self.store.save_tags({stored.key: dict.fromkeys(programmes, 0.9)})
        with self.store.database.writing() as connection:
            if place:
                change = tables.records.update().where(tables.records.c.key == stored.key)
                code, _, county = place.partition(" ")
                connection.execute(change.values(region_code=code or None, county=county or None))
        return record.id

    def need(self, place: str = "", *programmes: str, **fields: Any) -> str:
        return self.record(Need, place, *programmes, **fields)

    def offer(self, place: str = "", *programmes: str, **fields: Any) -> str:
        return self.record(Achievement, place, *programmes, **fields)

    def lead(self, need: str, offer: str, *steps: tuple[str, str], **fields: Any) -> None:
        """A lead that went through these steps, each a status and when."""
        status = steps[-1][0] if steps else "new"
        at = "2026-10-01T00:00:00+00:00"
        row = {"need_id": need, "offer_id": offer, "level": 4, "score": 0.9, "status": status, "listed_to": 0}
        row |= {"id": f"lead-{next(self._numbers)}", "listed_at": at, "updated_at": at}
        with self.store.database.writing() as connection:
            key = connection.execute(insert(tables.leads).values(row | fields)).inserted_primary_key[0]  # type: ignore[index]
            for step, moment in steps:
                own = {"lead": key, "at": moment, "account": 0, "status": step, "note": "", "details": {}}
                connection.execute(insert(tables.lead_steps).values(own))

    def summary(self, period: Period = ALWAYS) -> Summary:
        return summarise(self.store.database, period)


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def figures(row: Counts) -> dict[str, int]:
    """What is not zero."""
    return {name: getattr(row, name) for name in FIGURES if getattr(row, name)}


def by_name(rows: tuple[Counts, ...]) -> dict[str, dict[str, int]]:
    return {row.name: figures(row) for row in rows if figures(row)}


def done(summary: Summary) -> dict[str, int | None]:
    return {one.target.code: one.done for one in summary.targets}


def test_each_county_has_what_lies_in_it_and_the_rest_is_summed(world: World) -> None:
    world.offer("511922 南江县", "food")
    world.record(Patent, "511922 南江县")
    world.need("511921 通江县")
    world.need("511900 经开区")
    world.need("511900")
    world.need("510100")
    world.need("510000")
    world.need()
    found = world.summary()
    assert by_name(found.regions) == {
        "南江县": {"offers": 2},
        "通江县": {"needs": 1},
        "巴中经济开发区": {"needs": 1},
        "巴中市（未注明县区）": {"needs": 1},
        "其他地区": {"needs": 2},
        "未注明地区": {"needs": 1},
    }
    assert [(row.code, row.name) for row in found.regions][:5] == [
        ("511902", "巴州区"),
        ("511903", "恩阳区"),
        ("511921", "通江县"),
        ("511922", "南江县"),
        ("511923", "平昌县"),
    ]
    assert figures(found.total) == {"offers": 2, "needs": 6}


def test_a_record_of_two_programmes_counts_in_both_and_once_in_the_total(world: World) -> None:
    need, offer = world.need("", "food", "machinery"), world.offer("", "food")
    world.lead(need, offer, ("new", "2026-10-01T00:00:00+00:00"))
    world.need()
    found = world.summary()
    assert by_name(found.programmes) == {
        "食品饮料": {"offers": 1, "needs": 1, "leads": 1},
        "机械制造": {"needs": 1, "leads": 1},
        "未归入专项": {"needs": 1},
    }
    assert figures(found.total) == {"offers": 1, "needs": 2, "leads": 1}


def test_what_is_private_is_in_no_figure_and_neither_are_its_leads(world: World) -> None:
    open_need, open_offer = world.need(), world.offer(visibility="intermediaries")
    hidden_need, hidden_offer = world.need(visibility="private"), world.offer(visibility="private")
    signed = {"amount": 100, "signed_on": "2026-11-01", "major": 1}
    for need, offer in ((hidden_need, open_offer), (open_need, hidden_offer), (hidden_need, hidden_offer)):
        world.lead(need, offer, ("signed", "2026-11-01T00:00:00+00:00"), **signed)
    found = world.summary()
    assert figures(found.total) == {"offers": 1, "needs": 1}
    assert by_name(found.programmes) == {"未归入专项": {"offers": 1, "needs": 1}}
    assert by_name(found.regions) == {"未注明地区": {"offers": 1, "needs": 1}}
    assert done(found)["conversions"] == done(found)["amount"] == 0


def test_what_has_ended_is_no_offer_or_need_but_its_leads_stay(world: World) -> None:
    need = world.need("511902 巴州区", "food", deadline="2026-06-30")
    offer = world.offer()
    world.lead(need, offer, ("contacted", "2026-05-01T00:00:00+00:00"), ("lost", "2026-05-02T00:00:00+00:00"))
    world.store.withdraw(offer, 0)
    with time_machine.travel(datetime.datetime(2026, 7, 2, tzinfo=datetime.UTC), tick=False):
        found = world.summary()
    assert figures(found.total) == {"leads": 1, "talks": 1}
    assert by_name(found.regions) == {"巴州区": {"leads": 1, "talks": 1}}


def test_a_lead_is_a_talk_once_somebody_was_called_whatever_came_of_it(world: World) -> None:
    needs, offer, at = [world.need() for _ in range(6)], world.offer(), "2026-10-05T00:00:00+00:00"
    for need, steps in zip(
        needs,
        [
            [("new", at)],
            [("new", at), ("lost", at)],
            [("new", at), ("contacted", at)],
            [("new", at), ("contacted", at), ("negotiating", at)],
            [("new", at), ("negotiating", at), ("lost", at)],
            [("new", at), ("contacted", at), ("signed", at)],
        ],
        strict=True,
    ):
        signed = {"amount": 250_000, "signed_on": "2026-10-05"} if steps[-1][0] == "signed" else {}
        world.lead(need, offer, *steps, **signed)
    assert figures(world.summary().total) == {
        "offers": 1,
        "needs": 6,
        "leads": 6,
        "talks": 4,
        "signed": 1,
        "amount": 250_000,
    }


def test_a_period_cuts_talks_and_contracts_by_days_of_china(world: World) -> None:
    offer = world.offer()
    # The first second of November in China, and the last before it.
    for moment in ("2026-10-31T16:00:00+00:00", "2026-10-31T15:59:59+00:00"):
        world.lead(world.need(), offer, ("contacted", moment))
    world.lead(world.need(), offer, ("signed", "2026-12-05T00:00:00+00:00"), amount=7, signed_on="2026-11-30")
    november = Period(datetime.date(2026, 11, 1), datetime.date(2026, 11, 30))
    assert figures(world.summary(november).total) == {
        "offers": 1,
        "needs": 3,
        "leads": 3,
        "talks": 2,
        "signed": 1,
        "amount": 7,
    }
    since = world.summary(Period(datetime.date(2026, 12, 1))).total
    assert (since.talks, since.signed) == (1, 0)
    until = world.summary(Period(last=datetime.date(2026, 10, 31))).total
    assert (until.talks, until.signed) == (1, 0)


def test_targets_count_what_the_city_s_own_enterprises_took_up(world: World) -> None:
    accounts = Accounts(world.store.database)
    accounts.add("川北技术转移", "intermediary")
    accounts.close(accounts.add("已停办", "intermediary").id)
    accounts.add("企业甲", "enterprise")
    first, second = world.offer(), world.record(Patent)
    at = "2026-10-05T00:00:00+00:00"

    def signed(place: str, offer: str, amount: int, major: int = 0) -> None:
        fields = {"amount": amount, "signed_on": "2026-10-05", "major": major}
        world.lead(world.need(place), offer, ("signed", at), **fields)

    signed("511902 巴州区", first, 3_000_000_000, major=1)
    signed("511921 通江县", first, 200, major=1)
    signed("511900", second, 30)
    signed("510100", second, 4)
    world.lead(world.need("511902"), second, ("negotiating", at), amount=9, major=1)
    found = world.summary()
    assert done(found) == {
        "conversions": 2,
        "major": 1,
        "agencies": 1,
        "alliances": None,
        "trained": None,
        "amount": 3_000_000_230,
    }
    assert (found.total.signed, found.total.amount, found.total.major) == (4, 3_000_000_234, 2)
    shares = {one.target.code: one.share for one in found.targets}
    assert (shares["agencies"], shares["conversions"], shares["trained"]) == (0.1, pytest.approx(2 / 300), None)


def test_the_targets_are_those_of_the_plan() -> None:
    goals = {target.code: target.goal for target in policy().targets}
    assert goals == {
        "conversions": 300,
        "major": 10,
        "agencies": 10,
        "alliances": 5,
        "trained": 500,
        "amount": 300_000_000,
    }


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        ("2026-12-01", "2026-11-30", "晚于截止日期"),
        ("2026-02-30", None, "不是日期"),
        (None, "20261130", "不是日期"),
        ("0001-01-01", None, "年份"),
        (None, "9999-12-31", "年份"),
    ],
)
def test_a_period_that_is_none_is_refused(first: str | None, last: str | None, reason: str) -> None:
    with pytest.raises(InvalidQuery, match=reason):
        Period.parse(first, last)
