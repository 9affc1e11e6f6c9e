from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from matcher import tagging
from matcher.embed import Embedder
from matcher.errors import RankerMismatch
from matcher.programs import EVIDENCE, FILINGS, SHOWN_TERMS, Evidence, TaggedText, Tagger, programmes
from matcher.records import PROGRAMME_CODES
from matcher.tagging import COMMON_THRESHOLD, FOLDS, LEAST_TEXTS, THRESHOLDS, fit_tagger, save_tagger
from matcher.text import Tokenizer
from tests.fakes import DIMENSION, FakeEncoder

MODEL = f"fake:{DIMENSION}"
# Programmes by what their toy texts speak of; the others have none.
SPOKEN = {
    "agriculture": ("食用菌菌袋杂菌污染防控", "茶树良种繁育", "畜禽健康养殖", "稻田水产苗种", "生物农药防治病虫害"),
    "food": ("白酒勾调与陈化", "泡菜发酵调味品", "植物蛋白饮料", "肉制品货架期延长", "豆制品精深加工"),
    "energy_materials": ("石墨负极电极材料", "页岩气净化液化", "锂电池储能系统", "氢燃料电池电解质", "沼气生物质能"),
}
STRANGE = ("歌曲演唱比赛通知", "旅游景点门票优惠", "足球联赛赛程", "电影票房排行", "周末聚餐安排")
COUNT = 42
UNITS = 64


class Toy(NamedTuple):
    """What the tagger was taught."""

    texts: list[TaggedText]
    labels: np.ndarray
    evidence: Evidence
    weights: dict[str, Any]


def under(prefix: str) -> str:
    """A symbol as patents have it, under a class, subclass or main group."""
    return f"{prefix:B<4} 1/02" if len(prefix) < 5 else prefix.partition("/")[0] + "/02"


def tagged(tokenizer: Tokenizer, text: str, ipc: tuple[str, ...] = (), industry: str | None = None) -> TaggedText:
    return TaggedText(FakeEncoder().encode([text], "document")[0], tokenizer.terms(text), ipc, industry)


def place(code: str) -> int:
    return PROGRAMME_CODES.index(code)


@pytest.fixture(scope="module")
def toy(shared_embedder: Embedder, tokenizer: Tokenizer) -> Toy:
    """Texts of three programmes, of two of them at once, and of none; some are filed, not all where they belong."""
    draw = np.random.default_rng(7)
    texts, labels = [], []
    for i in range(COUNT):
        for codes in (*((code,) for code in SPOKEN), ("agriculture", "food"), ()):
            phrases = [str(draw.choice(SPOKEN[code])) for code in codes] or [str(draw.choice(STRANGE))]
            own = programmes()[place(codes[0])] if codes else programmes()[place("environment")]
            # One text in ten is filed elsewhere.
            filed = own if i % 10 else programmes()[place("machinery")]
            ipc = (under(draw.choice(filed.ipc)),) if i % 2 else ()
            industry = f"{draw.choice(filed.industries)}业" if i % 3 == 0 else None
            texts.append(tagged(tokenizer, "，".join([*phrases, f"第{i}号"]), ipc, industry))
            labels.append([code in codes for code in PROGRAMME_CODES])
    truth = np.array(labels)
    evidence = Evidence(shared_embedder, tokenizer, np.mean([text.vector for text in texts], axis=0))
    with pytest.MonkeyPatch.context() as patch:
        # One small net that learns faster, instead of three large ones: enough for a toy.
        for name, less in (("STARTS", 1), ("UNITS", UNITS), ("EPOCHS", 20), ("LEARNING_RATE", 2e-2)):
            patch.setattr(tagging, name, less)
        return Toy(texts, truth, evidence, fit_tagger(texts, truth, evidence, MODEL, "toy"))


@pytest.fixture
def filing(toy: Toy) -> Tagger:
    """The toy's texts leave nothing for filings to tell: here they count."""
    return Tagger(toy.evidence, toy.weights | {"filings": np.ones(len(FILINGS), np.float32)})


@pytest.fixture
def tagger(toy: Toy) -> Tagger:
    return Tagger(toy.evidence, toy.weights)


def codes(tagger: Tagger, text: TaggedText) -> list[str]:
    return [tag.code for tag in tagger.tag(text)]


# ---------------------------------------------------------------- learning


def test_programmes_that_can_be_told_apart_are_learned(toy: Toy, tagger: Tagger) -> None:
    found = np.array([[code in codes(tagger, text) for code in PROGRAMME_CODES] for text in toy.texts])
    assert (found == toy.labels).mean() > 0.98
    # Texts that no net had seen: the phrases repeat, so nearly all are told.
    figures = json.loads(str(toy.weights["card"]))["cross_validation"]
    assert figures["micro_f1"] > 0.95
    assert figures["folds"] == FOLDS
    assert set(figures["f1"]) == set(PROGRAMME_CODES)
    assert all(figures["f1"][code] > 0.9 for code in SPOKEN)


def test_a_new_text_is_tagged_with_what_decided(tagger: Tagger, tokenizer: Tokenizer) -> None:
    (tag,) = tagger.tag(tagged(tokenizer, "白酒勾调与陈化的新办法"))
    assert (tag.code, tag.name) == ("food", "食品饮料")
    assert "勾调" in tag.topic
    assert tag.terms
    assert len(tag.terms) <= SHOWN_TERMS
    assert all(term in "白酒勾调与陈化的新办法" for term in tag.terms)
    assert 0 <= tag.score <= 1


def test_a_text_of_two_programmes_gets_both_the_likelier_first(tagger: Tagger, tokenizer: Tokenizer) -> None:
    tags = tagger.tag(tagged(tokenizer, "茶树良种繁育，植物蛋白饮料"))
    assert {tag.code for tag in tags} == {"agriculture", "food"}
    assert tags[0].score >= tags[1].score


@pytest.mark.parametrize("text", ["歌曲演唱比赛通知", "足球联赛赛程，第99号"])
def test_no_programme_at_all_is_an_answer(tagger: Tagger, tokenizer: Tokenizer, text: str) -> None:
    assert tagger.tag(tagged(tokenizer, text)) == []


def test_the_tags_are_the_programmes_that_pass_their_thresholds(toy: Toy, tagger: Tagger) -> None:
    for text in toy.texts[:20]:
        chances = tagger.probabilities(text)
        assert chances.shape == (len(PROGRAMME_CODES),)
        passed = {
            code for code, p, at in zip(PROGRAMME_CODES, chances, toy.weights["thresholds"], strict=True) if p >= at
        }
        assert set(codes(tagger, text)) == passed


def test_the_weights_are_for_these_features(toy: Toy) -> None:
    width = DIMENSION + len(PROGRAMME_CODES) * len(EVIDENCE)
    shapes = {name: array.shape for name, array in toy.weights.items()}
    assert shapes == {
        "model": (),
        "card": (),
        "mean": (DIMENSION,),
        "middle": (width,),
        "spread": (width,),
        "filings": (len(FILINGS),),
        "thresholds": (len(PROGRAMME_CODES),),
        "hidden": (UNITS, width),
        "hidden_bias": (UNITS,),
        "output": (len(PROGRAMME_CODES), UNITS),
        "output_bias": (len(PROGRAMME_CODES),),
    }
    assert str(toy.weights["model"]) == MODEL
    assert toy.evidence.features(toy.texts[0]).shape == (width,)
    assert (toy.weights["spread"] > 0).all()


def test_several_starts_stand_side_by_side_and_give_the_mean_of_theirs(
    monkeypatch: pytest.MonkeyPatch, toy: Toy
) -> None:
    monkeypatch.setattr(tagging, "EPOCHS", 2)
    features = np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)
    both = tagging._fit_nets(features, toy.labels[:12])
    alone = [tagging._fit_net(features, toy.labels[:12], seed) for seed in range(tagging.STARTS)]
    expected = [
        np.maximum(features @ hidden.astype(np.float16).astype(np.float32).T + bias, 0) @ output.T + last
        for hidden, bias, output, last in alone
    ]
    assert both["hidden"].shape == (tagging.STARTS * tagging.UNITS, 5)
    assert tagging._logits(both, features) == pytest.approx(np.mean(expected, axis=0), abs=1e-5)


def test_the_card_tells_of_what_was_learned_from(toy: Toy) -> None:
    told = json.loads(str(toy.weights["card"]))
    assert told["data"] == "toy"
    assert told["records"] == len(toy.texts)
    assert told["records_by_programme"] == dict(zip(PROGRAMME_CODES, toy.labels.sum(axis=0).tolist(), strict=True))


# ---------------------------------------------------------------- thresholds


def test_a_programme_with_few_texts_takes_the_common_threshold(toy: Toy) -> None:
    for i, code in enumerate(PROGRAMME_CODES):
        if toy.labels[:, i].sum() < LEAST_TEXTS:
            assert code not in SPOKEN
            assert toy.weights["thresholds"][i] == np.float32(COMMON_THRESHOLD)
    few = np.arange(LEAST_TEXTS - 1) >= 0
    assert tagging._threshold(np.full(LEAST_TEXTS - 1, 0.3), few) == COMMON_THRESHOLD


def test_a_threshold_is_the_one_of_best_f1_and_of_equals_the_middle_one() -> None:
    truth = np.arange(2 * LEAST_TEXTS) % 2 == 0
    # Any threshold up to 0.9 is perfect.
    assert tagging._threshold(np.where(truth, 0.9, 0.1), truth) == pytest.approx(COMMON_THRESHOLD)
    # Only those above 0.5 keep the others out, only those up to 0.35 let the right ones in.
    assert tagging._threshold(np.where(truth, 0.9, 0.5), truth) > 0.5
    assert tagging._threshold(np.where(truth, 0.34, 0.1), truth) <= 0.34
    assert THRESHOLDS.min() < COMMON_THRESHOLD < THRESHOLDS.max()


# ---------------------------------------------------------------- what a record is filed under


def test_a_patent_class_of_a_programme_speaks_for_it(filing: Tagger, tokenizer: Tokenizer) -> None:
    plain = tagged(tokenizer, "白酒勾调与陈化，石墨负极电极材料")
    before = filing.probabilities(plain)
    for code in PROGRAMME_CODES:
        own = programmes()[place(code)].ipc[0]
        foreign = programmes()[place("food" if code != "food" else "agriculture")].ipc[0]
        filed, half = (replace(plain, ipc=symbols) for symbols in ((under(own),), (own, foreign)))
        assert filing.probabilities(filed)[place(code)] > before[place(code)]
        # Classes of two programmes speak for neither of them, and against all others.
        assert filing.probabilities(half)[place(code)] == pytest.approx(before[place(code)])
    others = np.arange(len(PROGRAMME_CODES)) != place("food")
    filed = replace(plain, ipc=("C12G3/02",))
    assert (filing.probabilities(filed)[others] < before[others]).all()


def test_an_industry_of_a_programme_speaks_for_it(filing: Tagger, tokenizer: Tokenizer) -> None:
    plain = tagged(tokenizer, "白酒勾调与陈化，石墨负极电极材料")
    before, after = filing.probabilities(plain), filing.probabilities(replace(plain, industry="白酒制造"))
    assert after[place("food")] > before[place("food")]
    others = np.arange(len(PROGRAMME_CODES)) != place("food")
    assert (after[others] < before[others]).all()


def test_a_record_that_is_filed_under_nothing_is_judged_by_its_text(
    toy: Toy, filing: Tagger, tokenizer: Tokenizer
) -> None:
    plain = tagged(tokenizer, "茶树良种繁育")
    assert not toy.evidence.filings(plain).any()
    assert not toy.evidence.filings(replace(plain, industry="")).any()
    without = Tagger(toy.evidence, toy.weights | {"filings": np.zeros(len(FILINGS), np.float32)})
    assert np.array_equal(without.probabilities(plain), filing.probabilities(plain))


def test_what_is_filed_is_no_part_of_the_features(toy: Toy, tokenizer: Tokenizer) -> None:
    plain = tagged(tokenizer, "茶树良种繁育")
    filed = replace(plain, ipc=("A01G 7/00",), industry="茶叶种植")
    assert np.array_equal(toy.evidence.features(plain), toy.evidence.features(filed))
    assert toy.evidence.filings(filed)[place("agriculture")].tolist() == [0.5, 0.5]
    assert (toy.evidence.filings(filed)[:, 0] == 0.5).sum() == 1


def test_filings_that_nobody_has_or_that_mislead_count_for_nothing(toy: Toy) -> None:
    logits = np.where(toy.labels, 1.0, -1.0) + np.random.default_rng(1).normal(size=toy.labels.shape)
    nothing = np.zeros((*toy.labels.shape, len(FILINGS)), np.float32)
    assert tagging._filing_weights(logits, nothing, toy.labels).tolist() == [0, 0]
    misleading = nothing.copy()
    misleading[:, :, 0] = np.where(toy.labels, -0.5, 0.5)
    assert tagging._filing_weights(logits, misleading, toy.labels).tolist() == [0, 0]
    assert tagging._filing_weights(logits, -misleading, toy.labels)[0] > 0


# ---------------------------------------------------------------- files


def test_a_tagger_that_was_saved_tags_the_same(
    toy: Toy, tagger: Tagger, shared_embedder: Embedder, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "tagger.npz"
    save_tagger(toy.weights, path)
    assert [each.name for each in path.parent.iterdir()] == ["tagger.npz"]
    loaded = Tagger.load(path, shared_embedder, tokenizer)
    for text in toy.texts[:20]:
        assert loaded.probabilities(text) == pytest.approx(tagger.probabilities(text), abs=1e-6)
        assert codes(loaded, text) == codes(tagger, text)


def test_a_tagger_for_another_model_is_refused(
    toy: Toy, shared_embedder: Embedder, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    save_tagger(toy.weights | {"model": np.array("bge:1")}, tmp_path / "tagger.npz")
    with pytest.raises(RankerMismatch, match=r"另一个模型.*matcher train"):
        Tagger.load(tmp_path / "tagger.npz", shared_embedder, tokenizer)


@pytest.mark.parametrize("name", ["hidden", "filings"])
def test_a_tagger_for_other_features_is_refused(toy: Toy, name: str) -> None:
    with pytest.raises(RankerMismatch, match="特征不一致"):
        Tagger(toy.evidence, toy.weights | {name: toy.weights[name][..., :-1]})


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half", b"\x93NUMPY\x01", b"text"])
def test_what_is_no_tagger_is_refused_by_its_name(
    shared_embedder: Embedder, tokenizer: Tokenizer, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "tagger.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RankerMismatch, match=r"tagger\.npz"):
        Tagger.load(path, shared_embedder, tokenizer)


def test_a_damaged_tagger_is_refused(toy: Toy, shared_embedder: Embedder, tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tagger.npz"
    save_tagger(toy.weights, path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(RankerMismatch):
            Tagger.load(path, shared_embedder, tokenizer)
    # One array instead of an archive, and an archive of something else.
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(RankerMismatch):
        Tagger.load(path, shared_embedder, tokenizer)
    save_tagger({"other": np.zeros(3)}, path)
    with pytest.raises(RankerMismatch):
        Tagger.load(path, shared_embedder, tokenizer)
