"""Groups, identities and the weights: rules without a store."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from matcher.groups import Components, Member, automatic, covers, leaders
from matcher.identities import identities, shared_basis
from matcher.likeness import FEATURES, body_key, owner_key, title_key, weights
from matcher.records import VISIBILITIES, derived_source_id
from matcher.visibility import ANONYMOUS, OPERATOR, Viewer

MEMBERS = st.builds(
    Member,
    key=st.just(0),
    kind=st.sampled_from(["achievement", "patent", "need"]),
    visibility=st.sampled_from(sorted(set(VISIBILITIES.values()))),
    owner=st.integers(0, 2),
    ends=st.sampled_from([0, 20260101, 99991231]),
    withdrawn=st.booleans(),
    publication=st.sampled_from([None, "CN199876543A", "CN199876543B"]),
    full=st.booleans(),
)
VIEWERS = (
    *(ANONYMOUS, OPERATOR, Viewer("intermediary", 9), Viewer("admin", 8)),
    *(Viewer("enterprise", owner) for owner in (1, 2)),
)


def numbered(members: list[Member]) -> list[Member]:
    return [Member(**(vars(one) | {"key": key})) for key, one in enumerate(members, 1)]


@given(st.lists(MEMBERS, max_size=6))
def test_a_leader_is_seen_by_all_who_may_see_those_behind_it(members: list[Member]) -> None:
    members = numbered(members)
    by_key = {one.key: one for one in members}
    for key, head in leaders(members).items():
        if head is not None:
            leader, member = by_key[head], by_key[key]
            assert leaders(members)[head] is None
            assert not leader.withdrawn
            assert not member.withdrawn
            for viewer in VIEWERS:
                if viewer.sight.shows("achievement", member.visibility, member.owner):
                    assert viewer.sight.shows("achievement", leader.visibility, leader.owner)
            assert leader.ends >= member.ends or (leader.kind == "patent" and leader.owner == member.owner)


@given(st.lists(MEMBERS, max_size=4))
def test_the_order_in_which_records_are_looked_at_does_not_matter(members: list[Member]) -> None:
    members = numbered(members)
    assert all(leaders(order) == leaders(members) for order in permutations(members))


@given(MEMBERS, MEMBERS)
def test_what_may_be_merged_without_asking_hides_nothing(first: Member, second: Member) -> None:
    first, second = numbered([first, second])
    if automatic(first, second) and first.ends == second.ends:
        assert covers(first, second) or covers(second, first)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_components_are_what_a_walk_along_the_pairs_reaches(pairs: list[tuple[int, int]]) -> None:
    joined = Components(pairs)
    reached = {key: {key} for pair in pairs for key in pair}
    for _ in reached:
        for first, second in pairs:
            both = reached[first] | reached[second]
            reached[first] = reached[second] = both
    assert {frozenset(one) for one in joined.all()} == {frozenset(one) for one in reached.values()}
    assert all(joined.together(first, second) for first, second in pairs)


def test_titles_bodies_and_owners_are_alike_however_they_are_written() -> None:
    assert title_key("一种 核桃壳活性炭的制备方法。") == title_key("核桃殼活性炭的製備方法")
    assert body_key("本发明公开了一种装置，包括支架(1)。") == body_key("本实用新型涉及装置,包括支架")
    assert owner_key("巴蜀炭材料科技有限公司") == owner_key("巴蜀炭材料股份有限公司") == "巴蜀炭材料"
    assert owner_key("四川大学") != owner_key("四川大学华西医院")


def test_a_made_up_source_id_is_no_identity() -> None:
    title, owner = "一种烘干机", "甲公司"
    made = derived_source_id(title, owner)
    assert identities("achievement", made, title, "", owner, {}) == frozenset()
    assert len(identities("achievement", "A-1", title, "", owner, {})) == 1


def test_the_surest_of_several_common_identities_is_named() -> None:
    details = {"application_number": "200310102344.5", "publication_number": "CN199876543A"}
    one = identities("patent", "1", "甲", "", None, details)
    two = identities("patent", "2", "乙", "", None, details | {"publication_number": "CN199876543B"})
    assert shared_basis(one, two) == "application"
    assert shared_basis(one, identities("patent", "3", "丙", "", None, {})) is None


def test_the_shipped_weights_fit_the_measures_and_their_thresholds_are_in_order() -> None:
    own = weights()
    assert len(own.coefficients) == len(FEATURES)
    assert 0 < own.proposed < own.automatic < 1
