from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.life import NEVER
from matcher.partners import LEVEL_WEIGHT, OLDEST_WEIGHT, Partner, suggest
from matcher.records import Achievement, institution_id
from matcher.rows import StoredRecord

YEAR = 2026
Match = tuple[StoredRecord, int, float]


def match(key: int, owner: str | None, level: int = 4, score: float = 0.9, **values: Any) -> Match:
    """An offer that was matched; `id_` is the owner's id where it has another name as well."""
    id_ = values.pop("id_", institution_id(owner) if owner else None)
    record = Achievement(
        source="平台甲",
        source_id=str(key),
        title=f"银耳烘干技术{key}",
        institution=owner,
        **({"date": "2026"} | values),
    )
    return StoredRecord(key, record.id, record, id_, 0, NEVER, False, key, False, {}), level, score


def partners(
    *matches: Match, asker: str | None = None, question: str = "求银耳烘干技术", limit: int = 5
) -> list[Partner]:
    return suggest(matches, asker, question, YEAR, limit)


def names(*matches: Match, **options: Any) -> list[str]:
    return [partner.name for partner in partners(*matches, **options)]


def test_the_institutions_behind_the_offers_are_named_with_their_evidence() -> None:
    first, second, other = match(1, "四川大学", 3), match(2, "四川大学", 4), match(3, "西南大学", 2)
    found = partners(first, other, second)
    assert [(partner.id, partner.name) for partner in found] == [
        (institution_id("四川大学"), "四川大学"),
        (institution_id("西南大学"), "西南大学"),
    ]
    # The strongest offer first.
    assert [stored.key for stored in found[0].evidence] == [2, 1]
    assert found[1].evidence == (other[0],)
    assert all(0 < partner.score <= 1 for partner in found)


def test_the_sentence_says_how_many_how_strong_and_how_recent() -> None:
    (partner,) = partners(match(1, "四川大学", 2, date="2021-05"), match(2, "四川大学", 4, date="2019"))
    assert partner.why == "有 2 项相关成果或专利，其中《银耳烘干技术2》为强相关，最近一项为 2021 年。"
    (undated,) = partners(match(1, "四川大学", 3, date=None))
    assert undated.why == "有 1 项相关成果或专利，其中《银耳烘干技术1》为较强相关。"


def test_strong_offers_count_more_than_weak_ones() -> None:
    assert names(match(1, "弱", 2), match(2, "强", 4), match(3, "中", 3)) == ["强", "中", "弱"]


def test_more_offers_count_more() -> None:
    assert names(match(1, "一项", 3), match(2, "两项", 3), match(3, "两项", 3)) == ["两项", "一项"]


def test_one_strong_offer_outweighs_a_few_weak_ones() -> None:
    weak = [match(key, "弱", 2) for key in range(5)]
    assert names(*weak, match(9, "强", 4)) == ["强", "弱"]


def test_no_pile_of_weak_ones_outweighs_a_strong_one() -> None:
    # A strong one has a score of at least a half, a weak one less than that of a medium one.
    weak = [match(key, "弱", 2, 0.9) for key in range(30)]
    assert names(*weak, match(99, "强", 4, 0.5, date="1990")) == ["强", "弱"]


def test_one_weak_old_offer_is_enough_to_be_named() -> None:
    found = partners(match(1, "西南大学", 2, 0.2, date="1990"), match(2, "四川大学", 3, 0.6))
    assert [partner.name for partner in found] == ["四川大学", "西南大学"]
    assert found[1].score > 0


def test_a_better_score_counts_more_within_a_level() -> None:
    assert names(match(1, "四川大学", 3, 0.6), match(2, "西南大学", 3, 0.7)) == ["西南大学", "四川大学"]


def test_recent_offers_count_more_than_old_ones() -> None:
    dates = {"今年": "2026-01-05", "三年前": "2023", "无日期": None, "十年前": "2016-11"}
    made = [match(key, owner, date=date) for key, (owner, date) in enumerate(dates.items())]
    assert names(*made) == list(dates)


def test_age_does_not_take_everything_and_the_future_adds_nothing() -> None:
    old, older, new, future = (
        partners(match(1, "四川大学", date=date))[0].score for date in ("2010", "1985", "2026", "2031")
    )
    assert old == older > 0
    assert new == future
    assert old > new * OLDEST_WEIGHT


@pytest.mark.parametrize("asker", ["四川云耳公司", "四川云耳 公司", "四川云耳公司 "])
def test_the_asking_enterprise_is_never_suggested_to_itself(asker: str) -> None:
    assert names(match(1, "四川云耳公司"), match(2, "四川大学"), asker=asker) == ["四川大学"]


def test_the_asking_enterprise_is_left_out_however_it_is_spelled() -> None:
    assert names(match(1, "云耳科技（巴中）有限公司"), asker="云耳科技(巴中)有限公司") == []
    assert names(match(1, "云耳科技有限责任公司"), asker="云耳科技有限公司") == []
    assert names(match(1, "蜀北农林大学园艺学院"), asker="蜀北农林大学成都校区") == []
    assert names(match(1, "云耳科技（成都）有限公司"), asker="云耳科技有限公司") == ["云耳科技（成都）有限公司"]
    # Two names of one institution: the asker's name for it is enough.
    known = institution_id("四川云耳公司")
    assert names(match(1, "四川云耳公司"), match(2, "云耳", id_=known), asker="云耳") == []
    assert names(match(2, "云耳", id_=known), match(1, "四川云耳公司"), asker="四川云耳公司") == []


def test_who_is_named_in_the_question_is_not_suggested() -> None:
    matches = [match(1, "四川云耳公司"), match(2, "四川大学")]
    assert names(*matches, question="四川云耳公司创办于2011年，求烘干技术") == ["四川大学"]
    branch = [match(1, "云耳科技（巴中）有限公司")]
    assert names(*branch, question="我公司（云耳科技(巴中)有限公司）求烘干技术") == []


def test_an_offer_without_an_owner_has_nobody_to_talk_to() -> None:
    assert partners(match(1, None), match(2, "无编号", id_=None)) == []


def test_what_is_unrelated_is_no_evidence() -> None:
    assert partners(match(1, "四川大学", 1)) == []
    (partner,) = partners(match(1, "四川大学", 1), match(2, "四川大学", 2))
    assert [stored.key for stored in partner.evidence] == [2]
    assert set(LEVEL_WEIGHT) == {2, 3, 4}


def test_no_more_partners_than_asked_for() -> None:
    matches = [match(key, f"机构{key}", 4, 1 - key / 100) for key in range(10)]
    assert names(*matches, limit=3) == ["机构0", "机构1", "机构2"]
    assert partners() == []


def test_the_answer_does_not_depend_on_the_order_of_the_matches() -> None:
    matches = [match(key, f"机构{key % 4}", 2 + key % 3, 0.5) for key in range(12)]
    expected = partners(*matches)
    for seed in range(10):
        shuffled = random.Random(seed).sample(matches, len(matches))
        assert partners(*shuffled) == expected


def test_equally_good_ones_come_in_the_order_of_their_ids() -> None:
    found = partners(*[match(key, f"机构{key}") for key in range(5)])
    assert [partner.id for partner in found] == sorted(partner.id for partner in found)


LEVEL, SCORE = st.sampled_from([1, 2, 3, 4]), st.floats(0.01, 1)
DATE = st.none() | st.integers(1985, 2031).map(str)
OFFERS = st.lists(st.tuples(st.sampled_from("甲乙丙丁"), LEVEL, SCORE, DATE), min_size=1, max_size=12)
Offers = list[tuple[str, int, float, str | None]]


def made(offers: Offers) -> list[Match]:
    return [match(key, owner, level, score, date=date) for key, (owner, level, score, date) in enumerate(offers)]


def scores(offers: Offers) -> dict[str, float]:
    return {partner.name: partner.score for partner in partners(*made(offers), question="")}


@given(OFFERS, LEVEL, SCORE, DATE)
def test_a_further_offer_never_lowers_an_institution_and_moves_no_other(
    offers: Offers, level: int, score: float, date: str | None
) -> None:
    before, after = scores(offers), scores([*offers, ("甲", level, score, date)])
    # Scores are rounded to four digits.
    assert after.get("甲", 0) >= before.pop("甲", 0) - 1e-4
    after.pop("甲", None)
    assert after == before


@given(OFFERS, LEVEL, SCORE, st.data())
def test_a_stronger_offer_never_lowers_an_institution(
    offers: Offers, level: int, score: float, data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, len(offers) - 1))
    owner, old_level, old_score, date = offers[which]
    better = (owner, max(level, old_level), max(score, old_score), date)
    before, after = scores(offers), scores([*offers[:which], better, *offers[which + 1 :]])
    assert after.get(owner, 0) >= before.get(owner, 0) - 1e-4


@given(OFFERS)
def test_everybody_with_a_related_offer_is_named_but_the_asker(offers: Offers) -> None:
    related = {owner for owner, level, _, _ in offers if level > 1}
    assert set(names(*made(offers), asker="甲", question="")) == related - {"甲"}
    found = partners(*made(offers), question="")
    assert {partner.name for partner in found} == related
    assert [partner.score for partner in found] == sorted((partner.score for partner in found), reverse=True)
    assert all(0 < partner.score <= 1 for partner in found)
