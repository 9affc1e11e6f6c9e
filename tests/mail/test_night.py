"""What a night brings: what is new, once, to those who are due, and the same however it was found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from matcher import tables
from matcher.composing import Composer
from matcher.digests import NEWS, Item
from matcher.engine import Matcher
from matcher.nightly import Night
from matcher.rank import Ranker
from matcher.records import Achievement, Institution, Need, Visibility
from matcher.subscribers import Subscription
from matcher.visibility import Viewer
from matcher.wishes import Wish
from tests.api.fresh import fresh_matcher
from tests.fakes import PROCESSES, THINGS, ranker_weights

EMAIL = "li@enterprise.example"
FIRST, SECOND, THIRD = "2026-11-24", "2026-11-25", "2026-11-26"
DRYING = Wish(follows="text", title="银耳烘干", text=PROCESSES["烘干"])


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    opened = fresh_matcher(tmp_path / "home")
    offers = [offer(f"{thing}{process}", thing, process) for thing in THINGS for process in PROCESSES]
    opened.store.upsert([(one, None) for one in offers])
    yield opened
    opened.close()


def offer(source_id: str, thing: str, process: str, **values: Any) -> Achievement:
    given = {"title": f"{thing}{process}技术", "abstract": PROCESSES[process] + f"{thing}用。"} | values
    return Achievement(source="平台", source_id=source_id, institution=f"{thing}研究所", **given)


def need(source_id: str, thing: str, process: str, visibility: Visibility = "public", **values: Any) -> Need:
    given = {"title": f"求{thing}{process}工艺", "abstract": PROCESSES[process]} | values
    return Need(source="平台", source_id=source_id, institution=f"{thing}厂{source_id}", visibility=visibility, **given)


def add(matcher: Matcher, *records: Any, owner: int = 0) -> None:
    matcher.store.upsert([(record, None) for record in records], owner)


def follow(matcher: Matcher, wish: Wish = DRYING, email: str = EMAIL, account: int = 0) -> Subscription:
    return matcher.subscriptions.add(email, wish, account, confirmed=True, by_operator=not account)


def night(matcher: Matcher, day: str, full: bool = False) -> Night:
    run = Night(matcher, day, full)
    run.index()
    run.plan()
    return run


def mailed(matcher: Matcher, day: str) -> dict[str, list[tuple[str, int, int | None]]]:
    """By address the titles found, their levels, and what was told before."""
    o, p = tables.outbox.c, tables.subscribers.c
    book, found = Night(matcher, day).book, {}
    with matcher.store.database.reading.connect() as connection:
        query = select(o.key, p.email).join_from(tables.outbox, tables.subscribers, o.subscriber == p.key)
        rows = connection.execute(query.where(o.day == day, o.kind == "digest").order_by(o.key)).all()
    for key, email in rows:
        read = book.read(key)
        assert read
        records = matcher.store.by_id([item.record_id for item in read[0].items])
        found[email] = [(records[i.record_id].record.title, i.level, i.level_before) for i in read[0].items]
    return found


def deliver(matcher: Matcher) -> None:
    """As if all that waits had been sent."""
    with matcher.store.database.writing() as connection:
        connection.execute(update(tables.outbox).values(state="sent"))


# ------------------------------------------------------------ what is news


def test_the_first_night_tells_of_all_that_fits_and_the_second_of_nothing(matcher: Matcher) -> None:
    follow(matcher)
    run = night(matcher, FIRST)
    assert mailed(matcher, FIRST)[EMAIL][0][0] == "银耳烘干技术"
    assert (run.found.people, run.found.matched, run.found.digests) == (1, 1, 1)
    assert run.found.pairs == len(mailed(matcher, FIRST)[EMAIL])
    deliver(matcher)
    run = night(matcher, SECOND)
    assert mailed(matcher, SECOND) == {}
    assert (run.found.people, run.found.matched, run.found.digests) == (1, 0, 0)


def test_a_new_offer_is_told_alone(matcher: Matcher) -> None:
    follow(matcher)
    night(matcher, FIRST)
    deliver(matcher)
    add(
        matcher,
        offer("新", "银耳", "烘干", title="银耳低温烘干新技术"),
        offer("无关", "石墨", "提纯", title="石墨提纯二"),
    )
    run = night(matcher, SECOND)
    assert [title for title, _, _ in mailed(matcher, SECOND)[EMAIL]] == ["银耳低温烘干新技术"]
    assert run.found.matched == 1


def test_a_changed_offer_is_told_again_only_where_its_level_has_risen(matcher: Matcher) -> None:
    add(matcher, offer("弱", "银耳", "分选", title="银耳热风设备", abstract="用于干燥。"))
    follow(matcher, Wish(follows="text", title="银耳烘干", text=PROCESSES["烘干"], min_level=2))
    night(matcher, FIRST)
    before = {title: level for title, level, _ in mailed(matcher, FIRST)[EMAIL]}
    assert before["银耳热风设备"] < 4
    deliver(matcher)
    add(matcher, offer("银耳烘干", "银耳", "烘干", abstract="热泵除湿，降低能耗。银耳用。改。"))
    night(matcher, SECOND)
    assert mailed(matcher, SECOND) == {}
    add(matcher, offer("弱", "银耳", "烘干", title="银耳烘干设备"))
    night(matcher, THIRD)
    assert mailed(matcher, THIRD) == {EMAIL: [("银耳烘干设备", 4, before["银耳热风设备"])]}


def test_another_ranker_tells_of_levels_that_have_risen(matcher: Matcher) -> None:
    follow(matcher, Wish(follows="text", title="银耳烘干", text=PROCESSES["烘干"], min_level=2))
    night(matcher, FIRST)
    before = {title: level for title, level, _ in mailed(matcher, FIRST)[EMAIL]}
    deliver(matcher)
    kinder = ranker_weights()
    for form in kinder["forms"].values():
        form["intercepts"] = [1.0, 0.5, 0.0]
    matcher.__dict__["ranker"] = Ranker(kinder)
    night(matcher, SECOND)
    told = mailed(matcher, SECOND)[EMAIL]
    assert any(level_before for _, _, level_before in told)
    assert all(level > before.get(title, 0) for title, level, _ in told)


def test_a_record_that_was_merged_into_another_is_not_told_again(matcher: Matcher) -> None:
    follow(matcher)
    night(matcher, FIRST)
    deliver(matcher)
    add(matcher, offer("又一份", "银耳", "烘干"))
    old = offer("银耳烘干", "银耳", "烘干").id
    new = offer("又一份", "银耳", "烘干").id
    with matcher.store.database.writing() as connection:
        r = tables.records.c
        latest = matcher.store.revision() + 1
        connection.execute(update(tables.records).where(r.id == old).values(merged_into=new, revision=latest))
        connection.execute(update(tables.records).where(r.id == new).values(revision=latest + 1))
        connection.execute(update(tables.counters).values(value=latest + 1))
    night(matcher, SECOND)
    assert mailed(matcher, SECOND) == {}


# ------------------------------------------------------------ who is due


def test_a_weekly_subscription_waits_a_week(matcher: Matcher) -> None:
    follow(matcher, Wish(follows="text", title="银耳烘干", text=PROCESSES["烘干"], frequency="weekly"))
    night(matcher, FIRST)
    deliver(matcher)
    add(matcher, offer("新", "银耳", "烘干", title="银耳低温烘干新技术"))
    assert night(matcher, "2026-11-30").found.people == 0
    night(matcher, "2026-12-01")
    assert [title for title, _, _ in mailed(matcher, "2026-12-01")[EMAIL]] == ["银耳低温烘干新技术"]


def test_a_person_gets_one_mail_with_everything_however_often_the_night_is_run(matcher: Matcher) -> None:
    follow(matcher)
    follow(matcher, Wish(follows="text", title="石墨提纯", text=PROCESSES["提纯"]))
    night(matcher, FIRST)
    night(matcher, FIRST)
    titles = [title for title, _, _ in mailed(matcher, FIRST)[EMAIL]]
    assert {"银耳烘干技术", "石墨提纯技术"} <= set(titles)
    assert len(titles) == len(set(titles))


def test_what_could_not_be_sent_becomes_part_of_the_next_mail(matcher: Matcher) -> None:
    follow(matcher)
    night(matcher, FIRST)
    first = mailed(matcher, FIRST)[EMAIL]
    add(matcher, offer("新", "银耳", "烘干", title="银耳低温烘干新技术"))
    night(matcher, SECOND)
    assert mailed(matcher, FIRST) == {}
    assert sorted(mailed(matcher, SECOND)[EMAIL]) == sorted([*first, ("银耳低温烘干新技术", 4, None)])


def test_who_wants_no_mail_or_has_not_confirmed_is_not_matched(matcher: Matcher) -> None:
    follow(matcher)
    matcher.subscriptions.add("wang@enterprise.example", DRYING)
    ended = follow(matcher, email="sun@enterprise.example")
    matcher.subscriptions.end(matcher.subscriptions.by_key(ended.subscriber), ended.id)
    person = matcher.subscriptions.by_email(EMAIL)
    assert person
    matcher.subscriptions.suppress(person, "unsubscribed")
    assert night(matcher, FIRST).found.people == 0


def test_who_unsubscribes_while_he_is_matched_gets_nothing(matcher: Matcher) -> None:
    subscription = follow(matcher)
    run = Night(matcher, FIRST)
    run.index()
    (plans,) = list(run._plans(None))
    matcher.subscriptions.suppress(matcher.subscriptions.by_key(subscription.subscriber), "unsubscribed")
    assert run.book.save(plans, FIRST, matcher.index.revision, "") == 0
    assert mailed(matcher, FIRST) == {}


def test_news_for_everybody_are_public_and_the_same_whatever_is_followed(matcher: Matcher) -> None:
    add(matcher, offer("密", "白酒", "提纯", title="不公开的技术", visibility="private"))
    for number, text in enumerate(("银耳烘干", "石墨提纯")):
        one = follow(matcher, Wish(follows="text", text=text), email=f"u{number}@enterprise.example")
        matcher.subscriptions.personalise(matcher.subscriptions.by_key(one.subscriber), False)
    run = night(matcher, FIRST)
    first, second = mailed(matcher, FIRST).values()
    assert first == second
    assert {level for _, level, _ in first} == {NEWS}
    assert "不公开的技术" not in {title for title, _, _ in first}
    assert run.found.questions == 0
    deliver(matcher)
    night(matcher, SECOND)
    assert mailed(matcher, SECOND) == {}


# ------------------------------------------------------------ what is followed, and with whose eyes


def test_a_need_is_told_of_offers_and_an_offer_and_a_portfolio_of_needs(matcher: Matcher) -> None:
    add(matcher, Institution(source="平台", source_id="院", title="银耳研究所"), need("1", "银耳", "烘干"))
    institution = matcher.store.by_id([offer("银耳烘干", "银耳", "烘干").id]).popitem()[1].institution_id
    follow(matcher, Wish(follows="record", subject=need("1", "银耳", "烘干").id), "need@x.example")
    follow(matcher, Wish(follows="record", subject=offer("银耳烘干", "银耳", "烘干").id), "offer@x.example")
    follow(matcher, Wish(follows="institution", subject=institution), "institution@x.example")
    night(matcher, FIRST)
    told = mailed(matcher, FIRST)
    assert told["need@x.example"][0][0] == "银耳烘干技术"
    assert told["offer@x.example"] == [("求银耳烘干工艺", 4, None)]
    assert {title for title, _, _ in told["institution@x.example"]} == {"求银耳烘干工艺"}


def test_a_need_that_changes_asks_anew(matcher: Matcher) -> None:
    add(matcher, need("1", "银耳", "烘干"))
    follow(matcher, Wish(follows="record", subject=need("1", "银耳", "烘干").id))
    night(matcher, FIRST)
    deliver(matcher)
    add(matcher, need("1", "石墨", "提纯"))
    night(matcher, SECOND)
    assert mailed(matcher, SECOND)[EMAIL][0][0] == "石墨提纯技术"


def test_an_ended_need_is_silent(matcher: Matcher) -> None:
    add(matcher, need("1", "银耳", "烘干", deadline="2020-01-01"))
    follow(matcher, Wish(follows="record", subject=need("1", "银耳", "烘干").id))
    run = night(matcher, FIRST)
    assert mailed(matcher, FIRST) == {}
    assert sum(run.found.silent.values()) == 1


def test_nobody_is_mailed_what_he_may_not_see(matcher: Matcher) -> None:
    owner = matcher.accounts.add("银耳厂", "enterprise")
    broker = matcher.accounts.add("经纪人", "intermediary")
    add(matcher, need("私", "银耳", "烘干", "private"), need("半", "银耳", "烘干", "intermediaries"), owner=owner.key)
    subject = Wish(follows="record", subject=offer("银耳烘干", "银耳", "烘干").id)
    follow(matcher, subject, "public@x.example")
    follow(matcher, subject, "broker@x.example", broker.key)
    follow(matcher, subject, "owner@x.example", owner.key)
    run = night(matcher, FIRST)
    told = {email: len(items) for email, items in mailed(matcher, FIRST).items()}
    # The two needs have one text, and are one entry.
    assert told == {"broker@x.example": 1, "owner@x.example": 1}
    with matcher.store.database.reading.connect() as connection:
        keys = connection.execute(select(tables.outbox.c.key).order_by(tables.outbox.c.key)).scalars().all()
    sections = []
    for key in keys:
        read = run.book.read(key)
        assert read
        brief = Composer(matcher, "平台").brief(*read)
        assert brief
        sections.append(brief.sections[0])
    names = {section.items[0].found.record.institution for section in sections}
    assert names <= {None, "银耳厂私", "银耳厂半"}
    assert sections[0].items[0].found.record.institution is None


def test_what_was_hidden_or_withdrawn_after_the_matching_is_not_mailed(matcher: Matcher) -> None:
    follow(matcher)
    run = night(matcher, FIRST)
    with matcher.store.database.reading.connect() as connection:
        key = connection.execute(select(tables.outbox.c.key)).scalar_one()
    read = run.book.read(key)
    assert read
    assert Composer(matcher, "平台").brief(*read)
    for item in read[0].items:
        matcher.store.withdraw(item.record_id)
    assert Composer(matcher, "平台").brief(*read) is None


def test_a_passage_of_a_text_that_was_changed_is_not_mailed(matcher: Matcher) -> None:
    follow(matcher)
    run = night(matcher, FIRST)
    with matcher.store.database.reading.connect() as connection:
        key = connection.execute(select(tables.outbox.c.key)).scalar_one()
    read = run.book.read(key)
    assert read
    brief = Composer(matcher, "平台").brief(*read)
    assert brief
    assert brief.sections[0].items[0].passage
    add(matcher, offer("银耳烘干", "银耳", "烘干", abstract="改写了。"))
    brief = Composer(matcher, "平台").brief(*read)
    assert brief
    item = next(one for one in brief.sections[0].items if one.found.record.title == "银耳烘干技术")
    assert (item.passage, item.terms) == ("", ())


def test_a_closed_account_s_subscriptions_are_silent(matcher: Matcher) -> None:
    account = matcher.accounts.add("银耳厂", "enterprise")
    follow(matcher, account=account.key)
    matcher.accounts.close(account.id)
    assert night(matcher, FIRST).found.silent == {"账号已关闭": 1}
    assert mailed(matcher, FIRST) == {}


def test_regions_and_programmes_restrict_what_is_told(matcher: Matcher) -> None:
    add(
        matcher,
        offer("川", "银耳", "烘干", title="银耳烘干川", province="四川省", region_code="510000"),
        offer("县", "银耳", "烘干", title="银耳烘干县", province="四川省", region_code="511922"),
        offer("渝", "银耳", "烘干", title="银耳烘干渝", province="重庆市", region_code="500000"),
    )
    for region, titles in (("四川省", {"银耳烘干川", "银耳烘干县"}), ("南江县", {"银耳烘干县"})):
        email = f"{len(titles)}@x.example"
        follow(matcher, Wish(follows="text", title="银耳烘干", text=PROCESSES["烘干"], regions=(region,)), email)
    night(matcher, FIRST)
    told = {email: {title for title, _, _ in items} for email, items in mailed(matcher, FIRST).items()}
    assert told["1@x.example"] == {"银耳烘干县"}
    assert told["2@x.example"] <= {"银耳烘干川", "银耳烘干县"}


def test_a_question_that_fails_is_named_and_asked_again(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = follow(matcher), follow(matcher, Wish(follows="text", text="石墨提纯"), "bad@x.example")
    real = matcher.match_many
    broken = ValueError("坏了")
    monkeypatch.setattr(
        matcher,
        "match_many",
        lambda queries: [broken if q.text == "石墨提纯" else a for q, a in zip(queries, real(queries), strict=True)],
    )
    run = night(matcher, FIRST)
    assert run.found.failed == {bad.id: "坏了"}
    assert list(mailed(matcher, FIRST)) == [EMAIL]
    monkeypatch.undo()
    run = night(matcher, FIRST)
    assert (run.found.people, run.found.failed) == (1, {})
    assert "bad@x.example" in mailed(matcher, FIRST)
    assert matcher.subscriptions.get(good.id, Viewer("operator")).matched_on == FIRST


# ------------------------------------------------------------ the same however it was found

changes = st.lists(
    st.tuples(
        st.sampled_from(["offer", "need", "edit", "withdraw", "hide"]),
        st.sampled_from(THINGS),
        st.sampled_from(list(PROCESSES)),
        st.integers(0, 3),
    ),
    max_size=6,
)


@settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=st.lists(changes, min_size=2, max_size=2))
def test_matching_what_changed_brings_what_matching_everything_brings(
    tmp_path_factory: pytest.TempPathFactory, nights: list[list[tuple[str, str, str, int]]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # So few that records compete for the places in an answer, as they do where there are many.
        patch.setattr("matcher.answering.RECALL", 4)
        patch.setattr("matcher.answering.COMPARED", 5)
        patch.setattr("matcher.following.QUESTION_LIMIT", 3)
        patch.setattr("matcher.news.WORTH_SCREENING", 1.0)
        _compare(tmp_path_factory, nights)


def _compare(tmp_path_factory: pytest.TempPathFactory, nights: list[list[tuple[str, str, str, int]]]) -> None:
    matcher = fresh_matcher(tmp_path_factory.mktemp("night") / "home")
    add(matcher, *(offer(f"{t}{p}", t, p) for t in THINGS for p in PROCESSES), need("0", "银耳", "烘干"))
    for number, (thing, process) in enumerate(zip(THINGS, [*PROCESSES, *PROCESSES], strict=True)):
        wish = Wish(follows="text", title=f"{thing}{process}", text=PROCESSES[process], min_level=2 + number % 3)
        follow(matcher, wish, f"u{number}@x.example")
    follow(matcher, Wish(follows="record", subject=need("0", "银耳", "烘干").id), "need@x.example")
    follow(matcher, Wish(follows="record", subject=offer("石墨提纯", "石墨", "提纯").id), "offer@x.example")
    for number, made in enumerate([[], *nights]):
        for what, thing, process, place in made:
            _change(matcher, what, thing, process, place)
        day = f"2026-12-{number + 1:02}"
        found = []
        for full in (True, False):
            run = Night(matcher, day, full)
            run.index()
            found.append([(p.subscriber.email, _told(p.items)) for plans in run._plans(None) for p in plans])
        assert found[0] == found[1]
        night(matcher, day)
        deliver(matcher)
    matcher.close()


def _told(items: tuple[Item, ...]) -> list[tuple[str, int, int | None, float]]:
    return [(item.record_id, item.level, item.level_before, item.score) for item in items]


def _change(matcher: Matcher, what: str, thing: str, process: str, place: int) -> None:
    if what == "offer":
        add(matcher, offer(f"新{place}{thing}", thing, process, title=f"{thing}{process}新技术{place}"))
    elif what == "need":
        add(matcher, need(f"{place}", thing, process))
    elif what == "edit":
        add(matcher, offer(f"{thing}{process}", thing, list(PROCESSES)[place % 3]))
    elif what == "hide":
        add(matcher, offer(f"{thing}{process}", thing, process, visibility="private"))
    else:
        id_ = offer(f"{thing}{process}", thing, process).id
        stored = matcher.store.by_id([id_])[id_]
        if not stored.withdrawn:
            matcher.store.withdraw(id_)
