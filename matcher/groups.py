"""Which of several records of one thing stands for all: a rule without a memory, so that whatever is undone
leaves what would be there had it never been done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matcher.patent_numbers import granted
from matcher.records import Kind, Visibility

_WIDTH: Mapping[Visibility, int] = {"private": 0, "intermediaries": 1, "public": 2}


@dataclass(frozen=True)
class Member:
    """What of a record decides its place in a group.

    :param owner: the account whose record it is; 0 for the operator's.
    :param ends: see `matcher.life`.
    :param publication: a patent's publication number.
    :param full: whether it has a body.
    """

    key: int
    kind: Kind
    visibility: Visibility
    owner: int
    ends: int
    withdrawn: bool
    publication: str | None = None
    full: bool = True


def covers(leader: Member, member: Member) -> bool:
    """Whether everybody who may see the member may see the leader, and for as long.

    Only a patent that has lapsed stands for its copies that do not say so, within one account.
    """
    if leader.ends < member.ends and not (leader.kind == "patent" and leader.owner == member.owner):
        return False
    if leader.visibility == "public":
        return True
    return _WIDTH[leader.visibility] >= _WIDTH[member.visibility] and member.owner in (0, leader.owner)


def automatic(first: Member, second: Member) -> bool:
    """Whether two records may be merged without asking: never those of two accounts, unless both are public."""
    return first.owner == second.owner or first.visibility == second.visibility == "public"


def leaders(members: Iterable[Member]) -> dict[int, int | None]:
    """For each of one group's records the one that it is merged into, None for those that stand for themselves.

    The record that most may see leads, and among these one of the account that was first: nobody takes another's
    place by copying him. Of one account's records, a patent that one source knows to have lapsed has lapsed, while
    a need or an achievement goes on as long as one source says; a granted patent goes before its application, a
    text before a bare title, the older before the newer. A record that somebody may see who may not see the leader
    stands beside it: nothing is ever hidden behind what its reader cannot see. Withdrawn records are out of it.
    """
    members = list(members)
    found: dict[int, int | None] = {member.key: None for member in members}
    standing = [member for member in members if not member.withdrawn]
    first: dict[int, int] = {}
    for member in standing:
        first[member.owner] = min(member.key, first.get(member.owner, member.key))
    leading: list[Member] = []
    for member in sorted(standing, key=lambda one: _precedence(one, first[one.owner])):
        head = next((one for one in leading if covers(one, member)), None)
        if head is None:
            leading.append(member)
        else:
            found[member.key] = head.key
    return found


def _precedence(member: Member, first: int) -> tuple[int, ...]:
    patent = member.kind == "patent"
    return (
        -_WIDTH[member.visibility],
        first,
        member.ends if patent else -member.ends,
        -int(patent and granted(member.publication)),
        -int(member.full),
        member.key,
    )


class Components:
    """Records joined by pairs: which belong together."""

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._parent: dict[int, int] = {}
        for first, second in pairs:
            self.join(first, second)

    def join(self, first: int, second: int) -> bool:
        """Put two together; whether they were apart before."""
        roots = self._root(first), self._root(second)
        self._parent[max(roots)] = min(roots)
        return roots[0] != roots[1]

    def together(self, first: int, second: int) -> bool:
        """Whether two are joined, by whatever others."""
        return self._root(first) == self._root(second)

    def all(self) -> list[Sequence[int]]:
        """The keys of each component."""
        found: dict[int, list[int]] = {}
        for key in self._parent:
            found.setdefault(self._root(key), []).append(key)
        return list(found.values())

    def _root(self, key: int) -> int:
        self._parent.setdefault(key, key)
        while self._parent[key] != key:
            self._parent[key] = self._parent[self._parent[key]]
            key = self._parent[key]
        return key
