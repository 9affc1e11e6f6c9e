"""Finding duplicates: what is compared, what is merged at once, what is asked, and what nobody may learn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from matcher.duplicates import Finder
from matcher.embed import Embedder
from matcher.index import LocalIndex
from matcher.indexing import Indexer
from matcher.likeness import compare, face_of, weights
from matcher.proposals import Proposals
from matcher.records import Achievement, Patent, Record
from matcher.sources import sources
from matcher.store import Store
from matcher.text import Tokenizer
from matcher.visibility import OPERATOR, Viewer
from tests.fakes import DIMENSION

BODY = (
    "本技术以核桃壳为原料，经破碎、磷酸浸渍、四百五十度炭化与八百度活化两段处理，再经水洗和低温烘干制得活性炭，"
    "比表面积达到1400 m²/g，用于果酒脱色时用量减少三成，收率38%，可再生五次以上，已建成年产300吨的生产线。"
)
# The same in other words and other figures' spelling, as another platform's editor writes it.
EDITED = (
    "以核桃壳为原料，经破碎、磷酸浸渍、450度炭化与800度活化两段处理，再经水洗和低温烘干制得活性炭。"
    "比表面积达到1400平方米每克，用于果酒脱色时用量减少30%，收率百分之三十八，可再生五次以上。欢迎洽谈。"
)
OTHER = (
    "针对银耳烘干能耗高的问题，采用闭路除湿热泵与分段变温曲线，先低温定型再高温烘透，整朵银耳每千克干品耗电6.4千瓦时，"
    "比电加热烘房节能六成以上，蒂头不再返潮，色泽米白，适合合作社和乡镇加工点使用，配套远程监控。"
)


def achievement(
    source: str, title: str = "核桃壳活性炭果酒脱色技术", abstract: str = BODY, **values: str
) -> Achievement:
    given = {"institution": "巴蜀炭材料研究所"} | values
    return Achievement(source=source, source_id=f"{source}1", title=title, abstract=abstract, **given)  # type: ignore[arg-type]


class Installation:
    """A store with its index, without the real model."""

    def __init__(self, store: Store, embedder: Embedder, tokenizer: Tokenizer, folder: Path) -> None:
        self.store = store
        self.index = LocalIndex(folder, embedder.fingerprint, DIMENSION)
        self.proposals = Proposals(store)
        self._indexer = Indexer(store, embedder, tokenizer, NoTagger())  # type: ignore[arg-type]

    def put(self, *records: Record, owner: int = 0) -> None:
        self.store.upsert([(record, None) for record in records], owner)
        self.catch_up()

    def catch_up(self) -> None:
        with self.index.writer(10) as writer:
            self._indexer.advance(writer, None, publish=True)

    def run(self, everything: bool = False) -> tuple[int, int, int]:
        report = Finder(self.store, self.index).run(everything=everything)
        self.catch_up()
        return report.looked, report.merged, report.proposed

    def into(self, record: Record) -> str | None:
        return self.store.by_id([record.id])[record.id].merged_into


class NoTagger:
    def tag(self, text: object) -> list[object]:
        return []


@pytest.fixture
def installed(store: Store, embedder: Embedder, tokenizer: Tokenizer, tmp_path: Path) -> Iterator[Installation]:
    yield Installation(store, embedder, tokenizer, tmp_path / "index")


def score(first: Record, second: Record) -> float:
    return compare(face_of(first), face_of(second)).score


def test_a_copy_with_other_marks_and_figures_spelled_out_is_merged_at_once(installed: Installation) -> None:
    first = achievement("甲")
    copy = achievement("乙", abstract=BODY.replace("38%", "百分之三十八").replace("四百五十", "450"))
    installed.put(first, copy, achievement("丙", "银耳热泵烘干技术", OTHER))
    assert installed.run() == (3, 1, 0)
    assert installed.into(copy) == first.id
    assert installed.index.count() == 2
    (pair,) = installed.proposals.page("merged")
    assert pair.basis == "content"
    assert pair.why == "标题相同，正文相同，单位相同，指标数字一致。"


def test_an_edited_copy_is_proposed_with_the_reason(installed: Installation) -> None:
    installed.put(achievement("甲"), achievement("乙", abstract=EDITED, institution=""))
    assert installed.run() == (2, 0, 1)
    (pair,) = installed.proposals.page()
    assert weights().proposed <= pair.score < 1
    assert "标题相同" in pair.why
    assert "单位不全" in pair.why


def test_only_what_has_changed_is_compared_again(installed: Installation) -> None:
    installed.put(achievement("甲"), achievement("丙", "银耳热泵烘干技术", OTHER))
    assert installed.run() == (2, 0, 0)
    assert installed.run() == (0, 0, 0)
    installed.put(achievement("乙", abstract=EDITED))
    assert installed.run() == (1, 0, 1)
    assert installed.run(everything=True) == (3, 0, 0)


def test_a_run_that_was_cut_off_goes_on_where_it_was(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matcher.duplicates.BLOCK", 2)
    records = [achievement(str(n), f"第{n}号设备", f"{OTHER}{n}" * 2) for n in range(4)]
    copy = achievement("乙", "第0号设备", f"{OTHER}0" * 2 + "已应用。")
    installed.put(*records, copy)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Finder(installed.store, installed.index).run(stop)
    assert installed.into(copy) == records[0].id
    looked, merged, proposed = installed.run()
    assert (0 < looked < 5, merged, proposed) == (True, 0, 0)


def test_what_the_index_does_not_know_yet_waits_for_the_next_run(installed: Installation) -> None:
    installed.put(achievement("甲"))
    installed.store.upsert([(achievement("乙", abstract=EDITED), None)])
    assert installed.run() == (1, 0, 0)
    assert installed.run() == (1, 0, 1)


def test_siblings_are_not_merged(installed: Installation) -> None:
    device = achievement("甲", "一种核桃壳活性炭的制备装置")
    method = achievement("乙", "一种核桃壳活性炭的制备方法", BODY.replace("核桃壳为原料", "上述装置"))
    larger = achievement("丙", "一种核桃壳活性炭的制备装置", BODY.replace("300吨", "600吨").replace("38%", "41%"))
    installed.put(device, method, larger)
    installed.run()
    assert [installed.into(one) for one in (device, method, larger)] == [None, None, None]
    assert not compare(face_of(device), face_of(larger)).mergeable


@pytest.mark.parametrize("kind", [Achievement, Patent])
def test_the_same_title_over_another_text_is_another_thing(kind: type[Record]) -> None:
    first = kind(source="甲", source_id="1", title="烘干装置", abstract=BODY, institution="甲公司")
    second = kind(source="乙", source_id="2", title="烘干装置", abstract=OTHER, institution="乙公司")
    assert score(first, second) < 0.05


def test_two_numbers_forbid_what_two_texts_suggest(installed: Installation) -> None:
    first = Patent(source="甲", source_id="1", title="一种活性炭", abstract=BODY, publication_number="CN199876543A")
    second = Patent(source="乙", source_id="2", title="一种活性炭", abstract=BODY, publication_number="CN199876544A")
    like = compare(face_of(first), face_of(second))
    assert (like.conflict, like.mergeable) == (True, False)
    assert like.score >= weights().automatic
    installed.put(first, second)
    assert installed.run() == (2, 0, 0)
    assert [pair.basis for pair in installed.proposals.page()] == ["text"]


def test_without_texts_titles_are_never_enough_to_merge(installed: Installation) -> None:
    installed.put(achievement("甲", abstract=""), achievement("乙", abstract=""))
    assert installed.run() == (2, 0, 1)


def test_records_of_two_accounts_that_are_not_public_are_never_merged_by_a_search(installed: Installation) -> None:
    copy = BODY.replace("38%", "百分之三十八")
    installed.put(achievement("甲", visibility="private"), owner=1)
    installed.put(achievement("乙", abstract=copy, visibility="private"), owner=2)
    installed.put(achievement("丙", abstract=copy.replace("，", "、"), visibility="intermediaries"), owner=1)
    # The two copies with one wording had been noticed as they came in, and wait for somebody to be asked.
    assert installed.run() == (3, 1, 1)
    assert installed.into(achievement("乙")) is None
    assert installed.into(achievement("甲")) == achievement("丙").id


def test_sources_tell_a_reader_of_what_is_his_to_know(installed: Installation) -> None:
    first, copy = (
        achievement("甲"),
        achievement("乙", abstract=EDITED, institution="某研究所", url="https://example.com/1"),
    )
    group = installed.store
    installed.put(first, copy)
    seen = group.by_id([first.id, copy.id])
    whole, part = sources([seen[first.id], seen[copy.id]], OPERATOR)
    assert (whole.leads, whole.name, dict(whole.differing)) == (True, "甲", {})
    assert (part.leads, part.name, part.number) == (False, "乙", "乙1")
    assert part.differing == {"abstract": EDITED, "institution": "某研究所", "url": "https://example.com/1"}
    installed.put(achievement("乙", abstract=EDITED, visibility="intermediaries"))
    hidden = group.by_id([copy.id])[copy.id]
    _, nameless = sources([seen[first.id], hidden], Viewer("intermediary", 5))
    assert (nameless.name, nameless.number) == (None, None)


def test_the_order_of_two_records_does_not_matter() -> None:
    first, second = achievement("甲"), achievement("乙", abstract=EDITED, date="2021-05")
    assert compare(face_of(first), face_of(second)) == compare(face_of(second), face_of(first))
