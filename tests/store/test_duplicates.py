"""Merged records: what is surely one is merged with the write, undone exactly, and never hides anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from matcher import audit
from matcher.errors import Conflict, NotFound
from matcher.merges import text_digest
from matcher.proposals import Finding, Proposals
from matcher.records import Achievement, Need, Patent, Record
from matcher.rows import StoredRecord
from matcher.store import Store
from tests.store.examples import stored

BODY = "核桃壳经磷酸浸渍、两段炭化与水洗，比表面积一千四百平方米每克，用于果酒脱色，收率百分之三十八，可再生五次以上。"


def patent(source: str, number: str, **values: str) -> Patent:
    given = {"title": "一种核桃壳活性炭的制备方法", "abstract": BODY, "institution": "巴蜀炭材料研究所"} | values
    return Patent(source=source, source_id=number, publication_number=number, **given)  # type: ignore[arg-type]


def achievement(source: str, number: str = "A1", **values: str) -> Achievement:
    given = {"title": "核桃壳活性炭果酒脱色技术", "abstract": BODY, "institution": "巴蜀炭材料研究所"} | values
    return Achievement(source=source, source_id=number, **given)  # type: ignore[arg-type]


def put(store: Store, *records: Record, owner: int = 0) -> list[StoredRecord]:
    store.upsert([(record, None) for record in records], owner)
    found = store.by_id([record.id for record in records])
    return [found[record.id] for record in records]


def leader_of(store: Store, record: Record) -> str | None:
    return stored(store, record).merged_into


def found(store: Store, first: Record, second: Record, score: float = 0.99, automatic: bool = True) -> Finding:
    one, other = sorted((stored(store, first), stored(store, second)), key=lambda each: each.key)
    texts = "".join(text_digest(each.record.title, each.record.abstract) for each in (one, other))
    return Finding(one.key, other.key, score, "标题相同。", texts, automatic, proposed=score >= 0.3)


def test_the_application_and_its_grant_are_one_and_the_grant_leads(store: Store) -> None:
    application, grant = patent("甲", "CN199876543A"), patent("乙", "cn 199876543 B", title="核桃壳活性炭的制备方法")
    put(store, application)
    put(store, grant)
    assert leader_of(store, application) == grant.id
    assert leader_of(store, grant) is None
    assert store.counts()["patent"] == 1
    (pair,) = Proposals(store).page("merged")
    assert (pair.basis, pair.account, pair.score) == ("publication", None, 1.0)
    assert Proposals(store).group(application.id) == Proposals(store).group(grant.id) == [grant.id, application.id]


def test_one_application_number_is_enough_however_it_is_written(store: Store) -> None:
    first = Patent(source="甲", source_id="1", title="一种烘干机", application_number="CN200310102344.5")
    second = Patent(source="乙", source_id="7", title="烘干机", application_number="ZL 2003 1 0102344.5")
    put(store, first, second)
    assert leader_of(store, second) == first.id


def test_two_applications_with_one_text_are_asked_about_and_not_merged(store: Store) -> None:
    """An invention and a utility model of the same day are two patents."""
    put(store, patent("甲", "CN199876543A"), patent("甲", "CN209876543U"))
    assert store.counts()["patent"] == 2
    (pair,) = Proposals(store).page()
    assert pair.basis == "text"


def test_the_same_number_in_two_tables_is_the_same_thing_only_under_one_title_and_owner(store: Store) -> None:
    first, other = achievement("甲", "1"), achievement("乙", "1", title="银耳烘干技术", abstract="")
    put(store, first, other)
    assert leader_of(store, other) is None
    copy = achievement("丙", "1", abstract="")
    put(store, copy)
    assert leader_of(store, copy) == first.id


def test_the_same_text_under_other_numbers_is_merged_whatever_marks_and_width_it_has(store: Store) -> None:
    first, copy = achievement("甲"), achievement("乙", "B7", abstract=BODY.replace("，", ",").replace("。", "．"))
    put(store, first)
    put(store, copy)
    assert leader_of(store, copy) == first.id
    other = achievement("丙", "C3", abstract=BODY.replace("三十八", "八十三"))
    put(store, other)
    assert leader_of(store, other) is None


def test_a_later_file_changes_its_own_record_and_leaves_the_merge(store: Store) -> None:
    first, copy = achievement("甲"), achievement("乙", "B7")
    put(store, first, copy)
    changed = achievement("乙", "B7", abstract=f"{BODY}已在三家企业应用。")
    put(store, changed)
    assert stored(store, copy).record.abstract.endswith("应用。")
    assert leader_of(store, copy) == first.id
    renewed = achievement("甲", abstract=f"{BODY}已获奖。")
    put(store, renewed)
    assert (leader_of(store, first), leader_of(store, copy)) == (None, first.id)


def test_undoing_a_merge_brings_everything_back_and_the_next_file_does_not_merge_again(store: Store) -> None:
    records = [achievement("甲"), achievement("乙", "B7"), achievement("丙", "C3")]
    alone = put(store, *[achievement("丁", "D4", title="另一项技术")])
    before = put(store, *records)
    proposals = Proposals(store)
    assert [one.merged_into for one in before] == [None, records[0].id, records[0].id]
    second = next(pair for pair in proposals.page("merged") if pair.second == before[1].key)
    proposals.undo(second.number)
    assert [leader_of(store, record) for record in records] == [None, None, records[0].id]
    put(store, achievement("乙", "B7", url="https://example.com/1"))
    assert leader_of(store, records[1]) is None
    with pytest.raises(Conflict, match="没有合并"):
        proposals.undo(second.number)
    proposals.merge(second.number)
    assert [leader_of(store, record) for record in records] == [None, records[0].id, records[0].id]
    assert stored(store, alone[0].record) == alone[0]


def test_undoing_the_pair_that_holds_two_groups_together_gives_both_groups_back(store: Store) -> None:
    left = [achievement("甲"), achievement("乙", "B7")]
    right = [achievement("丙", "C3", title="另一种说法"), achievement("丁", "D4", title="另一种说法")]
    put(store, *left, *right)
    proposals = Proposals(store)
    proposals.note([found(store, left[0], right[0], 0.5, automatic=False)], store.revision())
    (pair,) = proposals.page()
    proposals.merge(pair.number, account=3)
    assert {leader_of(store, record) for record in [left[1], *right]} == {left[0].id}
    assert proposals.page() == []
    proposals.undo(pair.number, account=3)
    assert [leader_of(store, record) for record in [*left, *right]] == [None, left[0].id, None, right[0].id]
    history = audit.history(store.database, right[0].id)
    assert [(entry.action, entry.account) for entry in history[:2]] == [("unmerge", 3), ("merge", 3)]


def test_a_rejected_pair_is_proposed_again_only_when_a_text_changes(store: Store) -> None:
    first, second = achievement("甲"), achievement("乙", "B7", title="果酒脱色技术")
    put(store, first, second)
    proposals = Proposals(store)
    assert proposals.note([found(store, first, second, 0.6, automatic=False)], 1) == {"proposed": 1}
    (pair,) = proposals.page()
    proposals.reject(pair.number)
    assert proposals.note([found(store, first, second)], 2) == {}
    assert proposals.page() == []
    put(store, achievement("乙", "B7", title="果酒的脱色技术"))
    # Somebody has said no to this pair: from now on somebody is asked.
    assert proposals.note([found(store, first, second)], 3) == {"proposed": 1}
    assert leader_of(store, second) is None
    assert proposals.progress() == 3


def test_a_proposal_whose_texts_have_parted_is_dropped(store: Store) -> None:
    first, second = achievement("甲"), achievement("乙", "B7", title="果酒脱色技术")
    put(store, first, second)
    proposals = Proposals(store)
    proposals.note([found(store, first, second, 0.6, automatic=False)], 1)
    put(store, achievement("乙", "B7", title="银耳烘干技术"))
    assert proposals.note([found(store, first, second, 0.1, automatic=False)], 2) == {"dropped": 1}
    assert proposals.page() == []


def test_what_was_compared_before_the_text_changed_decides_nothing(store: Store) -> None:
    first, second = achievement("甲"), achievement("乙", "B7", title="果酒脱色技术")
    put(store, first, second)
    stale = found(store, first, second)
    put(store, achievement("乙", "B7", title="银耳烘干技术"))
    assert Proposals(store).note([stale], 1) == {}
    assert leader_of(store, second) is None


def test_a_chain_of_likenesses_makes_no_group(store: Store) -> None:
    first, second, third = (achievement("甲", str(n), title=f"第{n}种说法") for n in (1, 2, 3))
    put(store, first, second, third)
    proposals = Proposals(store)
    counts = proposals.note([found(store, first, second, 0.99), found(store, second, third, 0.98)], 1)
    assert counts == {"merged": 1, "proposed": 1}
    assert [leader_of(store, one) for one in (first, second, third)] == [None, first.id, None]


def test_records_of_two_accounts_are_merged_without_asking_only_if_both_are_public(store: Store) -> None:
    public, secret = achievement("甲"), achievement("乙", "B7", visibility="private")
    put(store, public, owner=1)
    put(store, secret, owner=2)
    assert leader_of(store, secret) is None
    (pair,) = Proposals(store).page()
    copy = achievement("丙", "C3")
    put(store, copy, owner=3)
    assert leader_of(store, copy) == public.id
    # Nothing but the private one is hidden: everybody who may see it sees the public one.
    Proposals(store).merge(pair.number)
    assert (leader_of(store, public), leader_of(store, secret)) == (None, public.id)


def test_private_records_of_two_accounts_cannot_be_merged_at_all(store: Store) -> None:
    put(store, achievement("甲", visibility="private"), owner=1)
    put(store, achievement("乙", "B7", visibility="private"), owner=2)
    (pair,) = Proposals(store).page()
    with pytest.raises(Conflict, match="不同的账户"):
        Proposals(store).merge(pair.number)


def test_a_leader_that_is_hidden_or_withdrawn_makes_way_and_takes_its_place_again(store: Store) -> None:
    first, copy = achievement("甲"), achievement("乙", "B7")
    put(store, first, copy)
    put(store, achievement("甲", visibility="private"))
    assert (leader_of(store, first), leader_of(store, copy)) == (copy.id, None)
    put(store, first)
    assert (leader_of(store, first), leader_of(store, copy)) == (None, first.id)
    store.withdraw(first.id)
    assert (leader_of(store, first), leader_of(store, copy)) == (None, None)
    assert store.counts()["achievement"] == 1
    put(store, first)
    assert (leader_of(store, first), leader_of(store, copy)) == (None, first.id)


def test_nobody_takes_another_account_s_place_by_copying_it(store: Store) -> None:
    need = {"title": "求果酒脱色技术", "abstract": BODY, "institution": "某酒厂"}
    own = Need(source="甲", source_id="1", deadline="2090-01-01", **need)  # type: ignore[arg-type]
    copied = Need(source="乙", source_id="2", deadline="2099-01-01", **need)  # type: ignore[arg-type]
    put(store, own, owner=1)
    put(store, copied, owner=2)
    # The copy outlives the original, and stands beside it rather than before or behind it.
    assert (leader_of(store, own), leader_of(store, copied)) == (None, None)
    dead = patent("乙", "CN199876543B", legal_status="失效")
    put(store, patent("甲", "CN199876543A"), owner=1)
    put(store, dead, owner=2)
    assert leader_of(store, dead) == patent("甲", "CN199876543A").id


def test_a_patent_that_one_source_of_an_account_knows_to_have_lapsed_has_lapsed(store: Store) -> None:
    put(store, patent("甲", "CN199876543A"), patent("乙", "CN199876543B", legal_status="失效"))
    assert [one for one in store.records("patent") if one.live] == []


def test_a_merged_record_leaves_the_matches_and_not_the_store(store: Store) -> None:
    first, copy = put(store, achievement("甲"), achievement("乙", "B7"))
    assert not copy.live
    assert not copy.withdrawn
    assert store.keys(("achievement",), ("public",)) == [first.key]
    assert store.standing([first.key, copy.key], ("public",)).keys() == {first.key}
    assert {one.id for one in store.records()} >= {first.id, copy.id}


def test_the_change_of_place_is_a_change_of_the_record_which_the_index_follows(store: Store) -> None:
    put(store, achievement("甲"), achievement("乙", "B7"))
    revision = store.revision()
    (pair,) = Proposals(store).page("merged")
    Proposals(store).undo(pair.number)
    assert [one.merged_into for one in store.changes(revision, 10)] == [None]


def test_records_that_were_there_before_anybody_looked_are_merged_when_somebody_does(store: Store) -> None:
    records = put(store, achievement("甲"), achievement("乙", "B7"))
    (pair,) = Proposals(store).page("merged")
    with store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM duplicates")
        connection.exec_driver_sql("DELETE FROM record_identities")
        connection.exec_driver_sql("UPDATE records SET merged_into = NULL")
    Proposals(store).identify([one.key for one in records])
    (again,) = Proposals(store).page("merged")
    assert (again.first, again.second) == (pair.first, pair.second)


@pytest.mark.parametrize("number", [0, -1, 99, 2**70])
def test_a_pair_that_there_is_not_is_named(store: Store, number: int) -> None:
    decisions: list[Callable[[int], object]] = [
        Proposals(store).merge,
        Proposals(store).reject,
        Proposals(store).undo,
        Proposals(store).get,
    ]
    for decide in decisions:
        with pytest.raises(NotFound, match=f"编号为 {number} "):
            decide(number)


def test_a_merged_pair_is_undone_before_it_is_rejected_and_merged_once(store: Store) -> None:
    put(store, achievement("甲"), achievement("乙", "B7"))
    (pair,) = Proposals(store).page("merged")
    with pytest.raises(Conflict, match="撤销"):
        Proposals(store).reject(pair.number)
    with pytest.raises(Conflict, match="已经合并"):
        Proposals(store).merge(pair.number)
