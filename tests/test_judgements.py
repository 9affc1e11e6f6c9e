from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from matcher import sample
from matcher.embed import Embedder
from matcher.errors import UnreadableFile
from matcher.judgements import Judgements, Offer, ask_tagged, build_pool, read_judgements
from matcher.programs import Tag, TaggedText
from matcher.segments import hash_terms
from matcher.text import Tokenizer
from tests.fakes import DIMENSION, FakeEncoder

NEEDS = [["n1", "银耳烘干", "降低能耗。"], ["n2", "石墨除铁", "铁杂质高。"], ["n3", "核桃脱皮", ""]]
PAIRS = [
    ["n1", "a1", "银耳热泵烘干技术", "4"],
    ["n1", "a2", "石墨高温提纯工艺", "1"],
    ["n2", "a2", "石墨高温提纯工艺", "4"],
    ["n3", "a3", "核桃青皮脱除机", "3"],
]


class Files:
    """The tables of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    def needs(self, rows: Sequence[Sequence[str]] = NEEDS) -> Path:
        return self.table("needs.csv", ["need_id", "title", "text"], rows)

    def judgements(self, rows: Sequence[Sequence[str]] = PAIRS, *more: str) -> Path:
        return self.table("judgements.csv", ["need_id", "achievement_id", "achievement_title", "level", *more], rows)

    def offers(self, rows: Sequence[Sequence[str]]) -> Path:
        return self.table("offers.csv", ["source_id", "title", "abstract"], rows)

    def read(self, pairs: Sequence[Sequence[str]] = PAIRS, needs: Sequence[Sequence[str]] = NEEDS) -> Judgements:
        return read_judgements(self.needs(needs), self.judgements(pairs))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def levels(judgements: Judgements) -> dict[tuple[str, ...], dict[str, int]]:
    return {
        need.ids: {judgements.offers[place].title: level for place, level in need.levels.items()}
        for need in judgements.needs
    }


def test_needs_come_with_the_levels_of_their_offers(files: Files) -> None:
    judgements = files.read()
    assert levels(judgements) == {
        ("n1",): {"银耳热泵烘干技术": 4, "石墨高温提纯工艺": 1},
        ("n2",): {"石墨高温提纯工艺": 4},
        ("n3",): {"核桃青皮脱除机": 3},
    }
    assert judgements.needs[0].title == "银耳烘干"
    assert judgements.needs[0].text == "降低能耗。"
    assert [offer.title for offer in judgements.offers] == ["银耳热泵烘干技术", "石墨高温提纯工艺", "核桃青皮脱除机"]
    assert not judgements.dropped


def test_needs_that_share_a_text_are_one_need(files: Files) -> None:
    needs = [*NEEDS, ["n4", "银耳烘干", "降低能耗。"], ["n5", "银耳烘干", "别的正文。"]]
    pairs = [*PAIRS, ["n4", "a3", "核桃青皮脱除机", "1"], ["n5", "a3", "核桃青皮脱除机", "2"]]
    judgements = files.read(pairs, needs)
    assert levels(judgements)[("n1", "n4")] == {"银耳热泵烘干技术": 4, "石墨高温提纯工艺": 1, "核桃青皮脱除机": 1}
    assert levels(judgements)[("n5",)] == {"核桃青皮脱除机": 2}
    assert not judgements.dropped


def test_the_same_judgement_twice_counts_once(files: Files) -> None:
    needs = [*NEEDS, ["n4", "银耳烘干", "降低能耗。"]]
    judgements = files.read([*PAIRS, PAIRS[0], ["n4", "a1", "银耳热泵烘干技术", "4"]], needs)
    assert levels(judgements)[("n1", "n4")]["银耳热泵烘干技术"] == 4
    assert judgements.dropped == {"重复的标注，已合并": 2}


@pytest.mark.parametrize(("given", "mean"), [("12", 2), ("14", 3), ("34", 4), ("13", 2), ("112", 1), ("1234", 3)])
def test_contradicting_levels_take_their_mean_rounded_half_up(files: Files, given: str, mean: int) -> None:
    judgements = files.read([["n1", "a1", "银耳热泵烘干技术", level] for level in given])
    assert levels(judgements) == {("n1",): {"银耳热泵烘干技术": mean}}
    conflicts = len(set(given)) - 1
    assert judgements.dropped["同一对有不同等级，已取平均"] == conflicts
    assert judgements.dropped["重复的标注，已合并"] == len(given) - 1 - conflicts


def test_what_cannot_be_used_is_left_out_and_named(files: Files) -> None:
    bad = [
        ["n1", "a3", "核桃青皮脱除机", "5"],
        ["n1", "a3", "核桃青皮脱除机", "强相关"],
        ["n1", "a3", "核桃青皮脱除机", ""],
        ["n9", "a3", "核桃青皮脱除机", "3"],
        ["n8", "a3", "核桃青皮脱除机", "3"],
        ["n2", "a3", "", "3"],
    ]
    judgements = files.read([*PAIRS, *bad], [*NEEDS, ["n8", "", ""]])
    assert levels(judgements) == levels(files.read())
    assert judgements.dropped == {
        "level 不是 1、2、3、4": 3,
        "need_id 在需求表中没有或没有文字": 2,
        "没有成果标题": 1,
    }


def test_rows_without_a_number_belong_to_nobody(files: Files) -> None:
    needs = [*NEEDS, ["", "没有编号的需求", "正文"]]
    judgements = files.read([*PAIRS, ["", "a3", "核桃青皮脱除机", "3"]], needs)
    assert levels(judgements) == levels(files.read())
    assert judgements.dropped == {"need_id 在需求表中没有或没有文字": 1, "需求表：没有 need_id": 1}
    unnumbered = [["n1", "", "核桃青皮脱除机", "2"], ["n1", "a2", "石墨高温提纯工艺", "1"]]
    offers = files.offers([["", "别的成果", "别的正文"], ["a2", "", "没有标题"]])
    judgements = read_judgements(files.needs(), files.judgements(unnumbered), [offers])
    assert levels(judgements) == {("n1",): {"核桃青皮脱除机": 2, "石墨高温提纯工艺": 1}}


def test_many_rows_of_few_pairs_are_counted(files: Files) -> None:
    # Sorted by level, as exports are: what a pair was given must not be searched through row by row.
    rows = "".join(f"{need},a1,银耳热泵烘干技术,{level}\n" * 25_000 for level in "1234" for need in ("n1", "n2"))
    path = files.folder / "judgements.csv"
    path.write_text("need_id,achievement_id,achievement_title,level\n" + rows, encoding="utf-8")
    judgements = read_judgements(files.needs(), path)
    assert (judgements.rows, judgements.pairs) == (200_000, 2)
    assert levels(judgements) == {("n1",): {"银耳热泵烘干技术": 3}, ("n2",): {"银耳热泵烘干技术": 3}}
    assert judgements.dropped == {"重复的标注，已合并": 200_000 - 8, "同一对有不同等级，已取平均": 6}


def test_rows_of_the_needs_that_cannot_be_used_are_named(files: Files) -> None:
    needs = [*NEEDS, ["", "没有编号", "正文"], ["n1", "另一条需求", "另一段文字。"], NEEDS[1]]
    judgements = files.read(PAIRS, needs)
    assert levels(judgements) == levels(files.read())
    assert judgements.dropped == {"需求表：没有 need_id": 1, "需求表：need_id 重复而文字不同，取第一行": 1}


def test_titles_that_survive_as_separate_words_are_joined(files: Files) -> None:
    judgements = files.read([["n1", "a1", "银耳 热泵 烘干 技术", "4"], ["n2", "a1", "银耳热泵烘干技术", "1"]])
    assert judgements.offers == [Offer("银耳热泵烘干技术")]


def test_offers_get_their_abstracts_from_the_tables_given(files: Files) -> None:
    offers = files.offers([["a1", "银耳热泵烘干成套技术", "采用热泵。"], ["a7", "没有人标注", "正文"]])
    judgements = read_judgements(files.needs(), files.judgements(), [offers])
    assert judgements.offers[0] == Offer("银耳热泵烘干成套技术", "采用热泵。")
    assert judgements.offers[1] == Offer("石墨高温提纯工艺")


def test_only_the_part_asked_for_is_read(files: Files) -> None:
    pairs = [[*pair, "test" if pair[0] == "n1" else "train"] for pair in PAIRS]
    path = files.judgements(pairs, "split")
    assert levels(read_judgements(files.needs(), path, split="test")).keys() == {("n1",)}
    assert levels(read_judgements(files.needs(), path, split="train")).keys() == {("n2",), ("n3",)}
    assert len(read_judgements(files.needs(), path).needs) == 3
    with pytest.raises(UnreadableFile, match="没有可用的标注"):
        read_judgements(files.needs(), path, split="dev")


# ---------------------------------------------------------------- files that are refused


def test_empty_files_are_refused(files: Files) -> None:
    empty = files.folder / "empty.csv"
    empty.write_text("")
    for paths in ((empty, files.judgements()), (files.needs(), empty)):
        with pytest.raises(UnreadableFile, match=r"empty\.csv"):
            read_judgements(*paths)
    with pytest.raises(UnreadableFile, match="只有表头"):
        files.read([])
    with pytest.raises(UnreadableFile, match="只有表头"):
        files.read(PAIRS, [])


def test_a_table_of_another_sort_is_refused_with_what_is_missing(files: Files) -> None:
    other = files.table("other.csv", ["need_id", "achievement_id"], [["n1", "a1"]])
    with pytest.raises(UnreadableFile, match=r"不是标注表：缺少列 achievement_title、level"):
        read_judgements(files.needs(), other)
    with pytest.raises(UnreadableFile, match=r"other.csv 不是需求表"):
        read_judgements(other, files.judgements())
    with pytest.raises(UnreadableFile, match=r"other.csv 不是成果或专利表"):
        read_judgements(files.needs(), files.judgements(), [other])


def test_judgements_of_other_needs_are_refused_with_what_to_check(files: Files) -> None:
    with pytest.raises(UnreadableFile, match=r"judgements.csv 中没有可用的标注.*needs.csv 的 need_id"):
        files.read([["x1", "a1", "银耳热泵烘干技术", "4"]])


def test_a_broken_row_is_left_out_and_named(files: Files) -> None:
    path = files.judgements()
    path.write_text(path.read_text("utf-8") + "n1,a3,核桃,3,多余,又多余,再多余\n", encoding="utf-8")
    judgements = read_judgements(files.needs(), path)
    assert levels(judgements) == levels(files.read())
    assert sum(judgements.dropped.values()) == 1


# ---------------------------------------------------------------- the sample's judgements


def test_the_sample_s_judgements_are_read_without_loss() -> None:
    offers = [sample.path(name) for name in ("achievements.csv", "patents.csv")]
    judgements = read_judgements(sample.path("needs.csv"), sample.path("judgements.csv"), offers)
    assert not judgements.dropped
    assert all(offer.abstract for offer in judgements.offers)
    parts = [
        read_judgements(sample.path("needs.csv"), sample.path("judgements.csv"), offers, split)
        for split in ("train", "test")
    ]
    assert sum(len(part.needs) for part in parts) == len(judgements.needs)


# ---------------------------------------------------------------- judged offers as the ranker sees them


class FakeTagger:
    """Tags by a word in the text."""

    def tag(self, text: TaggedText) -> list[Tag]:
        return [Tag("food", "食品饮料", 0.9, (), "")] if "银耳" in text.terms else []


def test_a_pool_holds_the_offers_in_order_outside_any_index(
    embedder: Embedder, encoder: FakeEncoder, tokenizer: Tokenizer
) -> None:
    offers = [Offer("银耳烘干", "采用热泵。"), Offer("石墨提纯"), Offer("核桃脱皮", "钢丝刷。")]
    pool = build_pool(offers, embedder, tokenizer, FakeTagger())  # type: ignore[arg-type]
    assert pool.documents.keys.tolist() == [0, 1, 2]
    assert pool.documents.programmes.tolist() == [2, 0, 0]
    expected = encoder.encode(["银耳烘干。采用热泵。", "石墨提纯", "核桃脱皮。钢丝刷。"], "document")
    assert np.array_equal(pool.documents.body, expected)
    assert pool.documents.title.shape == (3, DIMENSION)
    assert pool.statistics.documents == 3
    assert pool.statistics.term_frequencies(hash_terms(["热泵", "石墨", "没有"])).tolist() == [1, 1, 0]


def test_a_question_gets_the_programmes_of_its_text(embedder: Embedder, tokenizer: Tokenizer) -> None:
    tagger = FakeTagger()
    assert ask_tagged(embedder, tokenizer, tagger, "银耳烘干", "").programmes == 2  # type: ignore[arg-type]
    assert ask_tagged(embedder, tokenizer, tagger, "石墨", "提纯").programmes == 0  # type: ignore[arg-type]
