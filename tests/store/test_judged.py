"""Judgements that intermediaries made, as the ranker learns from them."""

from __future__ import annotations

import pytest

from matcher.accounts import Accounts
from matcher.errors import NotFound, UntrainableJudgements
from matcher.judged import JudgementBook
from matcher.records import Need
from matcher.store import Store
from tests.store.examples import achievement


def need(number: int, **values: str) -> Need:
    return Need(source="甲", source_id=f"N{number}", title=f"求第{number}种烘干技术", abstract="能耗高。", **values)


@pytest.fixture
def brokers(store: Store) -> list[int]:
    accounts = Accounts(store.database)
    return [accounts.add(f"中介 {i}", "intermediary").key for i in range(3)]


def test_the_ranker_learns_from_the_level_in_the_middle(store: Store, brokers: list[int]) -> None:
    offers, asked = [achievement(number, f"第{number}项") for number in range(3)], need(1)
    store.upsert([(record, None) for record in (*offers, asked)])
    book = JudgementBook(store.database)
    for account, level in zip(brokers, (4, 1, 3), strict=True):
        book.put(account, asked.id, offers[0].id, level)
    book.put(brokers[0], asked.id, offers[1].id, 2)
    book.put(brokers[0], asked.id, offers[1].id, 1)  # thought again
    found = book.gathered(store)
    assert (len(found.needs), found.pairs, found.rows, dict(found.dropped)) == (1, 2, 2, {})
    levels = {found.offers[place].title: level for place, level in found.needs[0].levels.items()}
    assert levels == {offers[0].title: 3, offers[1].title: 1}


def test_what_is_withdrawn_teaches_nothing(store: Store, brokers: list[int]) -> None:
    offers, asked = [achievement(number, f"第{number}项") for number in range(2)], need(1)
    store.upsert([(record, None) for record in (*offers, asked)])
    book = JudgementBook(store.database)
    for offer in offers:
        book.put(brokers[0], asked.id, offer.id, 4)
    store.withdraw(offers[0].id)
    found = book.gathered(store)
    assert [offer.title for offer in found.offers] == [offers[1].title]
    assert found.dropped.total() == 1


def test_the_ranker_learns_no_name_that_a_need_hides(store: Store, brokers: list[int]) -> None:
    offer, asked = achievement(1), need(1, institution="通江县雾里菌品有限公司", visibility="intermediaries")
    asked = Need(**vars(asked) | {"abstract": "雾里菌品的烘房能耗高，电话13900001111。"})
    store.upsert([(offer, None), (asked, None)])
    book = JudgementBook(store.database)
    book.put(brokers[0], asked.id, offer.id, 4)
    (learned,) = book.gathered(store).needs
    assert "雾里" not in learned.text
    assert "1390000" not in learned.text


def test_without_judgements_there_is_nothing_to_learn(store: Store) -> None:
    with pytest.raises(UntrainableJudgements, match="标注"):
        JudgementBook(store.database).gathered(store)


def test_a_judgement_is_taken_back_once(store: Store, brokers: list[int]) -> None:
    offer, asked = achievement(1), need(1)
    store.upsert([(offer, None), (asked, None)])
    book = JudgementBook(store.database)
    book.put(brokers[0], asked.id, offer.id, 4)
    with pytest.raises(NotFound):
        book.withdraw(brokers[1], asked.id, offer.id)
    book.withdraw(brokers[0], asked.id, offer.id)
    with pytest.raises(NotFound):
        book.withdraw(brokers[0], asked.id, offer.id)
