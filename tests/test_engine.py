"""The engine as one door, with the embedded model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from matcher.engine import Matcher
from matcher.errors import Busy, NotFound
from matcher.integrity import check
from matcher.proposals import DECISIONS
from matcher.queries import MatchQuery
from matcher.records import Achievement
from matcher.settings import Settings
from matcher.visibility import ANONYMOUS, OPERATOR, Viewer
from tests.postgresql import Server


@pytest.fixture
def matcher(model_home: Path, tmp_path: Path) -> Iterator[Matcher]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "model").symlink_to(model_home / "model")
    opened = Matcher(Settings(home=home, threads=2))
    yield opened
    opened.close()


def table(folder: Path, name: str, *rows: str) -> Path:
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


ACHIEVEMENTS = (
    "成果名称,成果简介,完成单位,所在省份",
    "低温真空油炸香菇脆片工艺,变频离心脱油使含油率低于百分之十八,秦巴食用菌工程中心,四川省",
)


def test_a_backlog_is_left_to_the_process_that_stored_it_and_taken_over_later(matcher: Matcher, tmp_path: Path) -> None:
    other = Matcher(matcher.settings)
    other.ingest(table(tmp_path, "成果.csv", *ACHIEVEMENTS))
    other.close()
    assert not matcher.refresh(grace=60)
    assert matcher.index.count() == 0
    assert matcher.refresh(grace=0)
    assert matcher.index.count() == 1
    assert not matcher.refresh(grace=0)


def test_a_patent_is_found_by_its_owners_province(matcher: Matcher, tmp_path: Path) -> None:
    owners = table(tmp_path, "机构.csv", "机构名称,省份", "巴蜀炭材料研究所,四川省", "滨海炭素厂,天津市")
    patents = table(
        tmp_path,
        "专利.csv",
        "公开号,标题,摘要,申请人",
        "CN199900002A,一种核桃壳活性炭的制备方法,核桃壳经磷酸浸渍后两段炭化,巴蜀炭材料研究所",
        "CN199900003A,一种椰壳活性炭的制备方法,椰壳经水蒸气活化后酸洗,滨海炭素厂",
    )
    for path in (owners, patents):
        matcher.ingest(path)
    matcher.catch_up()
    query = MatchQuery(text="果壳制活性炭", provinces=("四川省",), min_level=1)
    assert [match.stored.record.title for match in matcher.match(query).matches] == ["一种核桃壳活性炭的制备方法"]


def test_a_record_withdrawn_a_moment_ago_is_in_no_answer_even_before_the_index_knows(
    matcher: Matcher, tmp_path: Path
) -> None:
    matcher.ingest(table(tmp_path, "成果.csv", *ACHIEVEMENTS))
    matcher.catch_up()
    query = MatchQuery(text="香菇脆片含油率太高", min_level=1)
    (match,) = matcher.match(query).matches
    matcher.store.withdraw(match.stored.id)
    assert matcher.match(query).matches == []
    matcher.catch_up()
    assert matcher.index.count() == 0


def test_vectors_are_made_once_however_often_a_file_comes_and_the_index_is_rebuilt(
    matcher: Matcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, "成果.csv", *ACHIEVEMENTS)
    matcher.ingest(path)
    matcher.catch_up()
    asked: list[str] = []
    encode = matcher.embedder.encoder.encode

    def counting(texts: list[str], side: str) -> object:
        asked.extend(texts)
        return encode(texts, side)  # type: ignore[arg-type]

    monkeypatch.setattr(matcher.embedder.encoder, "encode", counting)
    matcher.ingest(path)
    matcher.catch_up()
    matcher.reindex()
    matcher.index.refresh()
    assert asked == []
    assert matcher.index.count() == 1


def test_an_application_and_its_grant_are_one_entry_and_so_is_an_achievement_of_two_sources(
    matcher: Matcher, tmp_path: Path
) -> None:
    body = "核桃壳经磷酸浸渍、两段炭化与水洗，比表面积一千四百平方米每克，用于果酒脱色，{}收率百分之三十八。"
    patents = table(
        tmp_path,
        "专利.csv",
        "公开号,标题,摘要,申请人,公开日",
        f"CN199900002A,一种核桃壳活性炭的制备方法,{body.format('')},巴蜀炭材料研究所,2021-09-03",
        f"CN199900002B,一种核桃壳活性炭的制备方法,{body.format('活化后')},巴蜀炭材料研究所,2023-02-10",
        "CN199900003A,一种椰壳活性炭的活化炉,椰壳在回转炉中经水蒸气活化，炉尾余热用于干燥。,滨海炭素厂,2020-01-07",
    )
    matcher.ingest(patents)
    for source, more in (("平台甲", ""), ("平台乙", "已在三家企业应用。")):
        row = f"核桃壳活性炭果酒脱色技术,以核桃壳活性炭代替进口炭，脱色率提高两成，可再生五次。{more},秦巴炭材料中心"
        matcher.ingest(table(tmp_path, f"{source}.csv", "成果名称,成果简介,完成单位", row), source=source)
    matcher.catch_up()
    answer = matcher.match(MatchQuery(text="核桃壳制活性炭，用于果酒脱色", min_level=1))
    families = {
        match.stored.record.title: {match.stored.id, *(one.id for one in match.variants)} for match in answer.matches
    }
    assert len(answer.matches) == len(families) == 3
    assert {title: len(ids) for title, ids in families.items()} == {
        "一种核桃壳活性炭的制备方法": 1,
        "核桃壳活性炭果酒脱色技术": 2,
        "一种椰壳活性炭的活化炉": 1,
    }
    grant = next(iter(families["一种核桃壳活性炭的制备方法"]))
    assert [source.number for source in matcher.duplicates.sources(grant, OPERATOR)] == ["CN199900002B", "CN199900002A"]


def test_a_merged_record_leaves_the_answers_and_comes_back_when_the_merge_is_undone(
    matcher: Matcher, tmp_path: Path
) -> None:
    for source, more in (("平台甲", "烘干能耗每公斤6千瓦时。"), ("平台乙", "已在三家企业应用，欢迎洽谈合作。")):
        body = f"以核桃壳活性炭代替进口炭用于果酒脱色，脱色率提高两成，可再生五次以上。{more}"
        row = f"核桃壳活性炭果酒脱色技术,{body},秦巴炭材料中心"
        matcher.ingest(table(tmp_path, f"{source}.csv", "成果名称,成果简介,完成单位", row), source=source)
    matcher.catch_up()
    query = MatchQuery(text="核桃壳制活性炭，用于果酒脱色", min_level=1)

    def answered() -> set[str]:
        matcher.catch_up()
        return {one.id for match in matcher.match(query).matches for one in (match.stored, *match.variants)}

    both = answered()
    assert len(both) == 2
    assert matcher.duplicates.run().proposed == 1
    (pair,) = matcher.duplicates.pairs(OPERATOR)
    merged = matcher.duplicates.decide("merge", pair.proposal.number, OPERATOR)
    (left,) = answered()
    assert check(matcher.settings).findings == ()
    assert {merged.first.id, merged.second.id} == both
    assert matcher.record((both - {left}).pop(), ANONYMOUS).merged_into == left
    assert [source.leads for source in matcher.duplicates.sources(left, ANONYMOUS)] == [True, False]
    matcher.duplicates.decide("undo", pair.proposal.number, OPERATOR)
    assert answered() == both


def test_a_pair_with_a_record_that_the_caller_may_not_see_does_not_exist_for_him(matcher: Matcher) -> None:
    body = "以核桃壳活性炭代替进口炭用于果酒脱色，脱色率提高两成，可再生五次以上，收率百分之三十八，已建成生产线。"
    offers = [
        Achievement(source=name, source_id=name, title="果酒脱色技术", abstract=body, visibility=visibility)
        for name, visibility in (("甲", "public"), ("乙", "private"))
    ]
    for owner, offer in enumerate(offers, 1):
        matcher.store.upsert([(offer, None)], owner)
    (pair,) = matcher.duplicates.pairs(OPERATOR)
    admin = Viewer("admin", 8)
    assert matcher.duplicates.pairs(admin) == []
    for decision in DECISIONS:
        with pytest.raises(NotFound, match="不对您公开"):
            matcher.duplicates.decide(decision, pair.proposal.number, admin)
    matcher.duplicates.decide("merge", pair.proposal.number, OPERATOR)
    assert [one.id for one in matcher.duplicates.sources(offers[0].id, admin)] == [offers[0].id]
    assert len(matcher.duplicates.sources(offers[0].id, OPERATOR)) == 2
    with pytest.raises(NotFound):
        matcher.duplicates.sources(offers[1].id, admin)


def test_a_second_writer_of_the_same_index_is_told_wherever_it_runs(
    model_home: Path, tmp_path: Path, postgresql: Server
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "model").symlink_to(model_home / "model")
    url = postgresql.create()
    here, there = (Matcher(Settings(home=home, threads=1, database_url=url)) for _ in range(2))
    here.ingest(table(tmp_path, "成果.csv", *ACHIEVEMENTS))
    # As a process on another machine holds it, whose index is the same and whose files are not.
    with there.store.exclusive(f"index {here.index.place}", 0):
        with pytest.raises(Busy):
            here.catch_up(wait=0)
        assert not here.refresh()
    assert here.catch_up(wait=0) == 2
    here.close()
    there.close()
    postgresql.drop(url)
