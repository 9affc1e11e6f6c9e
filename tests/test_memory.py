from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.documents import segment_of
from matcher.embed import Embedder
from matcher.errors import RankerMismatch
from matcher.explain import Explainer
from matcher.features import FEATURES, Question, ask
from matcher.judgements import JudgedNeed, Judgements, Offer, Pool
from matcher.memory import FILE_NAME, NOISE, REMEMBERED, Memory, fit_memory, kernel, log_odds, remember
from matcher.rank import Compared, Ranker
from matcher.text import Tokenizer
from matcher.training import Material, fit_ranker, learn_memory, save
from tests.fakes import DIMENSION, index_document, material, ranker_weights, statistics

THINGS = ("银耳", "核桃", "茶叶", "竹笋", "香菇", "辣椒")
MODELS = "甲乙丙丁"
SPOKEN = "与这条需求已认可的成果相近"


class Learned(NamedTuple):
    """What people judged, and what was learned of it.

    :param weights: of a ranker fitted on the same.
    :param question: a judged need; of the offers shown to it 热泵 was liked and 微波 refused.
    :param other: a need that was not judged.
    :param pool: offers nobody judged: 热泵, 微波, and something else.
    """

    material: Material
    weights: dict[str, Any]
    memory: Memory
    question: Question
    other: Question
    pool: Pool


def units(seed: int, count: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    found: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def question(title: str = "银耳烘干", text: str = "") -> Question:
    nothing = np.zeros(8, np.float32)
    no_terms = np.empty(0, np.uint32)
    return Question(title, text, nothing, nothing, [], no_terms, no_terms, no_terms, 0)


@pytest.fixture(scope="module")
def learned(shared_embedder: Embedder, tokenizer: Tokenizer) -> Learned:
    """Half of the needs like 热泵, half 微波: nothing but earlier judgements tells which."""
    offers = [Offer(f"{kind}{thing}烘干机{n}型") for thing in THINGS for kind in ("热泵", "微波") for n in MODELS]
    needs = []
    for i, thing in enumerate(THINGS):
        liked, refused = ("热泵", "微波") if i % 2 == 0 else ("微波", "热泵")
        levels = {
            place: (4 - place % 2) if liked in offer.title else (1 + place % 2)
            for place, offer in enumerate(offers)
            if thing in offer.title
        }
        assert sum(refused in offers[place].title for place in levels) == len(MODELS)
        needs.append(JudgedNeed((f"n{i}",), f"{thing}烘干", "", levels))
    made = material(Judgements(needs, offers), shared_embedder, tokenizer)
    titles = ("热泵银耳烘干机戊型", "微波银耳烘干机戊型", "石墨提纯炉")
    segment = segment_of([index_document(k, t, tokenizer=tokenizer) for k, t in enumerate(titles)], DIMENSION)
    other = ask(shared_embedder, tokenizer, "银耳烘干", "能耗高。")
    weights = fit_ranker(made, f"fake:{DIMENSION}", "toy")
    memory = learn_memory(made, Ranker(weights))
    return Learned(made, weights, memory, made.questions[0], other, Pool(segment, statistics(segment)))


def compared(learned: Learned, question: Question, memory: Memory | None) -> Compared:
    return Ranker(learned.weights, memory).compare(question, learned.pool.documents, learned.pool.statistics)


# ---------------------------------------------------------------- one need


@given(st.integers(2, 12), st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_what_the_others_say_of_an_offer_is_what_is_learned_without_it(count: int, seed: int) -> None:
    titles = units(seed, count)
    residuals = np.random.default_rng(seed).normal(size=count)
    _, others = remember(titles, residuals)
    for left_out in range(count):
        kept = np.arange(count) != left_out
        rest, _ = remember(titles[kept], residuals[kept])
        (said,) = kernel(titles[[left_out]], rest.titles) @ rest.weights
        assert others[left_out] == pytest.approx(said, abs=1e-6)


def test_a_need_with_one_judgement_has_no_others_to_ask() -> None:
    own, others = remember(units(1, 1), np.array([2.0]))
    assert others == pytest.approx([0])
    assert own.weights == pytest.approx(2 / (kernel(own.titles, own.titles)[0] + NOISE))


def test_the_nearer_an_offer_the_more_is_carried_over() -> None:
    titles = units(1, 3)
    own, _ = remember(titles[:1], np.array([2.0]))
    near = titles[0] + 0.3 * titles[1]
    said = kernel(np.stack([titles[0], near / np.linalg.norm(near), -titles[0]]), own.titles) @ own.weights
    assert 2 > said[0] > said[1] > said[2]


# ---------------------------------------------------------------- all needs


def test_an_offer_like_liked_ones_rises_and_one_like_refused_ones_falls(learned: Learned) -> None:
    before, after = (compared(learned, learned.question, memory) for memory in (None, learned.memory))
    assert after.remembered is not None
    liked, refused, strange = after.remembered
    assert liked > max(strange, 0) >= min(strange, 0) > refused
    assert (learned.memory.gains > 0).all()
    # Against what the same pairs would get if nothing like them had been judged.
    nothing = learned.memory.corrected(log_odds(before.probabilities), np.zeros(3)).mean(axis=1)
    now = log_odds(after.probabilities).mean(axis=1)
    assert now[0] > nothing[0]
    assert now[1] < nothing[1]
    assert np.ptp(before.probabilities[:2].mean(axis=1)) < after.probabilities[0].mean() - after.probabilities[1].mean()


def test_what_one_need_likes_another_may_refuse(learned: Learned) -> None:
    for i, asked in enumerate(learned.material.questions):
        remembered = compared(learned, asked, learned.memory).remembered
        assert remembered is not None
        assert (remembered[0] > remembered[1]) == (i % 2 == 0)


def test_a_need_that_was_not_judged_is_compared_as_if_there_were_no_memory(learned: Learned) -> None:
    without, with_memory = (compared(learned, learned.other, memory) for memory in (None, learned.memory))
    assert with_memory.remembered is None
    for name in ("features", "probabilities", "contributions"):
        assert np.array_equal(getattr(with_memory, name), getattr(without, name))
    with_need = compared(learned, learned.question, learned.memory)
    # Of a judged one neither the features nor what they count change.
    plain = compared(learned, learned.question, None)
    assert np.array_equal(with_need.features, plain.features)
    assert np.array_equal(with_need.contributions, plain.contributions)


def test_a_need_is_known_by_title_and_text_alone(learned: Learned) -> None:
    titles = np.asarray(learned.pool.documents.title)
    asked = learned.question
    assert learned.memory.residual(question(asked.title, asked.text), titles) is not None
    for title, text in (("", asked.title), (asked.title, "。"), (asked.title[:-1], asked.title[-1]), ("", "")):
        assert learned.memory.residual(question(title, text), titles) is None


def test_nothing_to_compare_is_remembered_as_nothing(learned: Learned) -> None:
    empty = learned.pool.documents.select(np.empty(0, np.int64))
    ranker = Ranker(learned.weights, learned.memory)
    assert ranker.score(learned.question, empty, learned.pool.statistics) == []


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(-5, 5), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_a_higher_level_is_still_never_likelier_than_a_lower_one(
    learned: Learned, chances: list[float], gap: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    memory = Memory(
        learned.memory.needs, learned.memory.mean, draw.normal(1, 1, 3), draw.normal(1, 1, 3), draw.normal(0, gap**2, 3)
    )
    form = ranker_weights()["forms"]["full"] | {"intercepts": log_odds(np.array(chances)).tolist()}
    ranker = Ranker(ranker_weights() | {"forms": {"full": form, "titled": form}}, memory)
    found = ranker.compare(learned.question, learned.pool.documents, learned.pool.statistics).probabilities
    assert (np.diff(found, axis=1) <= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_judgements_that_tell_nothing_of_each_other_never_count_against_themselves() -> None:
    # Of two offers that are unlike, one liked and one refused, each is the other's only witness, and wrong.
    asked, titles = [question(f"需求{i}") for i in range(4)], [np.eye(2, 8, dtype=np.float32)] * 4
    levels, chances = [np.array([4, 1])] * 4, [np.full((2, 3), 0.5)] * 4
    memory = fit_memory(asked, titles, levels, chances, np.zeros(8, np.float32))
    assert (memory.gains >= 0).all()


def test_levels_that_all_offers_or_none_reached_are_left_to_the_ranker() -> None:
    memory = fit_memory(
        [question()], [units(1, 4)], [np.array([2, 3, 3, 2])], [np.full((4, 3), 0.5)], np.zeros(8, np.float32)
    )
    # All reached level 2, none level 4.
    assert memory.slopes[[0, 2]].tolist() == [1, 1]
    assert memory.gains[[0, 2]].tolist() == [0, 0]
    assert memory.intercepts[[0, 2]].tolist() == [0, 0]
    logits = np.array([[1.0, 0.0, -1.0]])
    assert memory.corrected(logits, np.array([2.0]))[0, [0, 2]].tolist() == [1, -1]


@given(st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_log_odds_are_finite_and_lead_back(chance: float) -> None:
    odds = log_odds(np.array([chance]))
    assert np.isfinite(odds).all()
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(chance, abs=2e-6)


# ---------------------------------------------------------------- in words


def test_what_is_remembered_is_among_the_contributions_and_in_the_sentence(learned: Learned) -> None:
    documents, known = learned.pool.documents, learned.pool.statistics
    ranked = Ranker(learned.weights, learned.memory).score(learned.question, documents, known)
    found = {item.key: item.contributions for item in ranked}
    assert all(list(contributions) == [*FEATURES, REMEMBERED] for contributions in found.values())
    assert found[0][REMEMBERED] > 0 > found[1][REMEMBERED]
    explainer = Explainer(learned.question, known)
    # It may count less than two features: alone it is spoken, and where it speaks against a match it is not.
    quiet = dict.fromkeys(FEATURES, 0.0)
    liked = explainer.explain("热泵银耳烘干机戊型", "", quiet | {REMEMBERED: found[0][REMEMBERED]})
    refused = explainer.explain("微波银耳烘干机戊型", "", quiet | {REMEMBERED: found[1][REMEMBERED]})
    assert SPOKEN in liked.sentence
    assert SPOKEN not in refused.sentence


def test_without_a_memory_the_contributions_are_the_features(learned: Learned) -> None:
    documents, known = learned.pool.documents, learned.pool.statistics
    for asked, memory in ((learned.question, None), (learned.other, learned.memory)):
        ranked = Ranker(learned.weights, memory).score(asked, documents, known)
        assert all(list(item.contributions) == list(FEATURES) for item in ranked)


# ---------------------------------------------------------------- files


def test_a_memory_that_was_saved_says_the_same(learned: Learned, tmp_path: Path) -> None:
    learned.memory.save(tmp_path)
    loaded = Memory.load(tmp_path)
    assert loaded is not None
    assert loaded.needs.keys() == learned.memory.needs.keys()
    for key, own in learned.memory.needs.items():
        assert loaded.needs[key].titles.dtype == np.float32
        # Titles are kept as float16: eleven bits of numbers up to 1.
        assert loaded.needs[key].titles == pytest.approx(own.titles, abs=2**-11)
        assert np.array_equal(loaded.needs[key].weights, own.weights)
    for name in ("mean", "slopes", "gains", "intercepts"):
        assert np.array_equal(getattr(loaded, name), getattr(learned.memory, name))
    titles = np.asarray(learned.pool.documents.title)
    for asked in learned.material.questions:
        expected = learned.memory.residual(asked, titles)
        assert expected is not None
        assert loaded.residual(asked, titles) == pytest.approx(expected, abs=1e-2)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_memory_holds_no_text(learned: Learned, tmp_path: Path) -> None:
    learned.memory.save(tmp_path)
    with np.load(tmp_path / FILE_NAME) as stored:
        assert all(len(key) == 64 and int(key, 16) for key in stored["keys"].tolist())
        assert all(stored[name].dtype.kind in "fi" for name in stored.files if name != "keys")


def test_where_there_is_no_memory_none_is_loaded(learned: Learned, tmp_path: Path) -> None:
    assert Memory.load(tmp_path) is None
    Memory.remove(tmp_path)
    learned.memory.save(tmp_path)
    assert Memory.load(tmp_path) is not None
    Memory.remove(tmp_path)
    assert Memory.load(tmp_path) is None


def test_a_ranker_folder_is_loaded_with_its_memory(learned: Learned, tmp_path: Path) -> None:
    save(ranker_weights(), tmp_path / "ranker.json")
    documents, known = learned.pool.documents, learned.pool.statistics
    for expected in (False, True):
        loaded = Ranker.load(tmp_path, f"fake:{DIMENSION}").compare(learned.question, documents, known)
        assert (loaded.remembered is not None) == expected
        learned.memory.save(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half", b"\x93NUMPY\x01", b"text"])
def test_a_damaged_memory_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    save(ranker_weights(), tmp_path / "ranker.json")
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(RankerMismatch, match=r"memory\.npz.*matcher train"):
        Ranker.load(tmp_path, f"fake:{DIMENSION}")


def test_half_a_memory_is_refused(learned: Learned, tmp_path: Path) -> None:
    learned.memory.save(tmp_path)
    whole = (tmp_path / FILE_NAME).read_bytes()
    middle = len(whole) // 2
    # Cut off, and with a byte turned: the file's own checksums tell.
    for damaged in (whole[:middle], whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]):
        (tmp_path / FILE_NAME).write_bytes(damaged)
        with pytest.raises(RankerMismatch):
            Memory.load(tmp_path)
