from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.documents import segment_of
from matcher.embed import Embedder
from matcher.errors import RankerMismatch
from matcher.features import FEATURES, Question, ask
from matcher.rank import (
    FUSION_CONSTANT,
    LEVEL_NAMES,
    LEVELS,
    Ranker,
    Regression,
    Scored,
    fold,
    fuse,
    predicted_levels,
)
from matcher.segments import Segment
from matcher.text import Tokenizer
from tests.fakes import DIMENSION, index_document, ranker_weights, statistics

SILVER = ("银耳热泵烘干技术", "采用热泵除湿对鲜银耳分段变温烘干，降低能耗，防止耳基发黄，每批二十小时。")
# As the first publication and the granted patent of one application: the wording differs a little.
PUBLISHED = (
    "一种高含水胶质菌类的除湿干燥系统",
    "本发明公开了一种用于胶质菌类鲜品的干燥系统，包括干燥室、闭路除湿热泵、全热回收新风段及称重传感网盘。"
    "控制方法分四个阶段，先大风量定型，随后升温并切换为半开式排湿，最后烘透耳基。",
)
GRANTED = (
    "一种高含水胶质菌类的除湿干燥系统",
    "本发明公开了一种用于胶质菌类鲜品的干燥系统，包括干燥室、闭路除湿热泵、全热回收新风段及称重传感网盘。"
    "控制方法分四个阶段，首先大风量定型，随后升温并切换为半开式排湿，最后烘透耳基。",
)
SIMILAR = (
    "一种高含水胶质菌类的除湿干燥系统",
    "本实用新型涉及菌类干燥，系统由远红外辐射板、真空泵和冷阱组成，真空度维持在五千帕，辐射板温度随含水率下降，"
    "银耳片不贴网，翻面机构由凸轮带动，换料只需三分钟，适合合作社使用。",
)


def documents(*texts: tuple[str, str]) -> Segment:
    tokenizer = Tokenizer.default()
    return segment_of([index_document(key, *text, tokenizer=tokenizer) for key, text in enumerate(texts)], DIMENSION)


def scored(*keys: int) -> list[Scored]:
    return [Scored(key, 1 - place / 100, 4, {}) for place, key in enumerate(keys)]


def feature_values(limit: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-limit, limit, width=32), min_size=len(FEATURES), max_size=len(FEATURES))


@pytest.fixture
def question(embedder: Embedder, tokenizer: Tokenizer) -> Question:
    return ask(embedder, tokenizer, "银耳烘干", "鲜银耳用热泵烘干，降低能耗。")


@pytest.fixture
def ranker() -> Ranker:
    return Ranker(ranker_weights())


# ---------------------------------------------------------------- scores and levels


def test_what_fits_comes_first_with_a_higher_level(ranker: Ranker, question: Question) -> None:
    segment = documents(("石墨提纯", "氯气高温除铁。"), SILVER, ("香菇烘房改造", "燃煤烘房改为热泵供热。"))
    ranked = ranker.score(question, segment, statistics(segment))
    assert [item.key for item in ranked] == [1, 2, 0]
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)
    assert ranked[0].level > ranked[-1].level
    assert {item.level for item in ranked} <= set(LEVELS)
    assert all(0 <= item.score <= 1 for item in ranked)


def test_equally_good_ones_come_in_the_order_of_their_keys(ranker: Ranker, question: Question) -> None:
    made = [index_document(key, *SILVER, tokenizer=Tokenizer.default()) for key in (7, 3, 5, 1)]
    segment = segment_of(made, DIMENSION)
    assert [item.key for item in ranker.score(question, segment, statistics(segment))] == [1, 3, 5, 7]


def test_a_score_does_not_depend_on_what_else_is_compared(ranker: Ranker, question: Question) -> None:
    segment = documents(SILVER, PUBLISHED, ("石墨提纯", ""), ("银耳烘干", ""))
    known = statistics(segment)
    together = {item.key: item.score for item in ranker.score(question, segment, known)}
    for row in range(len(segment)):
        (alone,) = ranker.score(question, segment.select(np.array([row])), known)
        assert alone.score == pytest.approx(together[row], abs=1e-6)


def test_nothing_to_rank_is_ranked_as_nothing(ranker: Ranker, question: Question) -> None:
    assert ranker.score(question, documents(), statistics(documents())) == []


def test_documents_known_by_title_alone_are_judged_by_weights_of_their_own(question: Question) -> None:
    weights = ranker_weights()
    weights["forms"]["titled"] = weights["forms"]["full"] | {"intercepts": [9.0, 9.0, 9.0]}
    segment = documents(("石墨提纯", "氯气高温除铁。"), ("石墨提纯", ""))
    levels = {item.key: item.level for item in Ranker(weights).score(question, segment, statistics(segment))}
    assert levels[1] == 4
    assert levels[0] < 4


def test_contributions_name_what_spoke_for_a_match(ranker: Ranker, question: Question) -> None:
    segment = documents(SILVER, ("石墨提纯", "氯气高温除铁。"))
    best, worst = ranker.score(question, segment, statistics(segment))
    assert list(best.contributions) == list(FEATURES)
    assert best.contributions["word_overlap"] > 0 > worst.contributions["word_overlap"]
    assert sum(best.contributions.values()) > sum(worst.contributions.values())


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=len(FEATURES), max_size=len(FEATURES)),
    st.integers(0, len(FEATURES) - 1),
    st.floats(0, 1, width=32),
)
@settings(max_examples=60, deadline=None)
def test_more_of_what_speaks_for_a_match_never_lowers_it(values: list[float], place: int, more: float) -> None:
    regression = Regression.of(ranker_weights()["forms"]["full"])
    better = [value + more * (i == place) for i, value in enumerate(values)]
    low, high = regression.probabilities(np.array([values, better], np.float32))
    assert (high >= low - 1e-12).all()


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=len(FEATURES), max_size=len(FEATURES)),
    st.permutations([0.0, 3.0, -2.0]),
)
@settings(max_examples=60, deadline=None)
def test_a_higher_level_is_never_more_likely_than_a_lower_one(values: list[float], intercepts: list[float]) -> None:
    form = ranker_weights()["forms"]["full"] | {"intercepts": intercepts}
    ((two, three, four),) = Regression.of(form).probabilities(np.array([values], np.float32))
    assert 1 >= two >= three >= four >= 0


def test_the_level_is_the_median_of_what_is_likely() -> None:
    probabilities = np.array([[0.4, 0.3, 0.1], [0.9, 0.3, 0.1], [0.9, 0.6, 0.2], [0.9, 0.8, 0.7], [0.5, 0.5, 0.5]])
    assert predicted_levels(probabilities).tolist() == [1, 2, 3, 4, 4]
    assert predicted_levels(np.empty((0, 3))).tolist() == []


def test_every_level_has_its_name() -> None:
    assert tuple(LEVEL_NAMES) == LEVELS
    assert LEVEL_NAMES == {4: "强相关", 3: "较强相关", 2: "弱相关", 1: "无相关"}


# ---------------------------------------------------------------- weights that do not fit


def saved(folder: Path, content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "ranker.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def test_a_ranker_that_was_saved_ranks_the_same(tmp_path: Path, ranker: Ranker, question: Question) -> None:
    loaded = Ranker.load(saved(tmp_path, ranker_weights()), f"fake:{DIMENSION}")
    segment = documents(SILVER, PUBLISHED)
    assert loaded.score(question, segment, statistics(segment)) == ranker.score(question, segment, statistics(segment))


def test_a_ranker_for_other_features_is_refused() -> None:
    with pytest.raises(RankerMismatch, match=r"另一组特征.*matcher train"):
        Ranker(ranker_weights() | {"features": ["body_cosine"]})


def test_a_ranker_for_another_model_is_refused_by_both_names(tmp_path: Path) -> None:
    with pytest.raises(RankerMismatch, match=r"fake:64.*当前模型是 bge:1.*matcher train"):
        Ranker.load(saved(tmp_path, ranker_weights()), "bge:1")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "4711", "{}", '{"model": "fake:64"}', '{"model": "fake:64", "features": 3}']
)
def test_what_is_no_ranker_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(RankerMismatch):
        Ranker.load(saved(tmp_path, content), f"fake:{DIMENSION}")


def test_a_folder_without_a_ranker_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(RankerMismatch, match=r"nowhere.*MATCHER_RANKER"):
        Ranker.load(tmp_path / "nowhere", f"fake:{DIMENSION}")


# ---------------------------------------------------------------- candidates of several engines


def test_what_several_engines_find_comes_before_what_one_finds() -> None:
    rankings = {"body": np.array([1, 2, 3]), "words": np.array([3, 4]), "title": np.array([3, 1])}
    assert fuse(rankings, 10).tolist() == [3, 1, 2, 4]


def test_fusing_adds_reciprocal_ranks() -> None:
    # 1 / 60 + 1 / 61 for both: the smaller key comes first.
    assert fuse({"a": np.array([9, 5]), "b": np.array([5, 9])}, 2).tolist() == [5, 9]
    # Once at the top is less than twice further down: 1 / 60 < 2 / 100.
    deep = np.arange(100, 100 + FUSION_CONSTANT)
    assert fuse({"a": np.append(deep[:40], 7), "b": np.append(deep[20:], 7)}, 1).tolist() != [7]
    assert fuse({"a": np.array([1, 7]), "b": np.array([2, 7])}, 1).tolist() == [7]


def test_fusing_nothing_gives_nothing() -> None:
    assert fuse({}, 5).tolist() == []
    assert fuse({"body": np.array([3, 1]), "words": np.empty(0, np.int64)}, 5).tolist() == [3, 1]
    assert fuse({"body": np.arange(30)}, 7).tolist() == list(range(7))


# ---------------------------------------------------------------- families


def test_the_two_publications_of_one_patent_are_one_entry() -> None:
    segment = documents(PUBLISHED, SILVER, GRANTED)
    folded = fold(scored(2, 1, 0), segment, {})
    assert [(item.key, item.variants) for item in folded] == [(2, (0,)), (1, ())]
    assert folded[0].score == 1


def test_the_same_text_from_two_sources_is_one_entry() -> None:
    segment = documents(SILVER, PUBLISHED, SILVER, SILVER)
    assert [(item.key, item.variants) for item in fold(scored(3, 0, 1, 2), segment, {})] == [(3, (0, 2)), (1, ())]


def test_a_record_with_a_shortened_body_is_the_same_family() -> None:
    shortened = (PUBLISHED[0], PUBLISHED[1][:60])
    assert [item.variants for item in fold(scored(0, 1), documents(PUBLISHED, shortened), {})] == [(1,)]


@pytest.mark.parametrize(
    "other",
    [
        SIMILAR,
        SILVER,
        ("另一种完全不同的振动筛分设备", PUBLISHED[1]),
        (PUBLISHED[0], PUBLISHED[1][:50] + SIMILAR[1][:60]),
        ("", ""),
    ],
)
def test_what_is_merely_similar_keeps_its_own_entry(other: tuple[str, str]) -> None:
    folded = fold(scored(0, 1), documents(PUBLISHED, other), {0: "org-a", 1: "org-b"})
    assert [(item.key, item.variants) for item in folded] == [(0, ()), (1, ())]


def prose(seed: int, length: int) -> str:
    draw = np.random.default_rng(seed)
    return "".join(chr(0x4E00 + int(code)) for code in (draw.zipf(1.2, length) - 1) % 3000)


def test_long_texts_under_one_title_are_not_one_family_for_their_length() -> None:
    title = "省级科技计划项目成果汇编说明"
    segment = documents((title, prose(1, 15_000)), (title, prose(2, 15_000)), (title, prose(3, 300)))
    assert [item.variants for item in fold(scored(0, 1, 2), segment, {})] == [(), (), ()]


def test_one_owner_s_inventions_that_differ_in_a_word_are_one_entry() -> None:
    apart = documents(PUBLISHED, SIMILAR, SILVER)
    near = replace(apart, title=apart.title[[0, 0, 2]], body=apart.body[[0, 0, 2]])
    same = dict.fromkeys(range(3), "org-a")
    assert [item.variants for item in fold(scored(0, 1, 2), near, same)] == [(1,), ()]
    # Others' are not, nor those whose owner is unknown, nor those that only share a title.
    for owners in ({0: "org-a", 1: "org-b"}, {0: "org-a"}, {0: None, 1: None}, {}):
        assert [item.variants for item in fold(scored(0, 1, 2), near, owners)] == [(), (), ()]
    titled = replace(apart, title=apart.title[[0, 0, 2]])
    assert [item.variants for item in fold(scored(0, 1, 2), titled, same)] == [(), (), ()]


def test_folding_keeps_the_order_and_loses_nobody() -> None:
    segment = documents(*[SILVER, PUBLISHED, GRANTED, SIMILAR] * 2)
    folded = fold(scored(*range(8)), segment, {})
    assert [item.key for item in folded] == [0, 1, 3]
    assert sorted(key for item in folded for key in (item.key, *item.variants)) == list(range(8))
    assert [item.score for item in folded] == sorted((item.score for item in folded), reverse=True)


def test_folding_nobody_and_one_changes_nothing() -> None:
    assert fold([], documents(), {}) == []
    assert fold(scored(1), documents(SILVER, PUBLISHED), {}) == scored(1)
    empty = documents(("", ""), ("", ""))
    assert [item.key for item in fold(scored(0, 1), empty, {})] == [0, 1]
