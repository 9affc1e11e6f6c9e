"""Merged records in the store, inside the transactions that change them: surely equal ones, groups, who leads.

What belongs together is a matter of the pairs in state `merged` alone, and who leads one of the records alone
(`matcher.groups`); `records.merged_into` only says what follows. So a merge undone leaves what would be there
without it, and a record that is changed, hidden or withdrawn finds its place anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from matcher import audit, tables
from matcher.database import batches, next_revision
from matcher.groups import Components, Member, automatic, leaders
from matcher.identities import REASONS, Basis, conflicting, identities, shared_basis

State = Literal["proposed", "merged", "rejected", "dropped"]


@dataclass(frozen=True)
class Known:
    """A pair that the store has already."""

    key: int
    state: State
    basis: Basis
    score: float
    texts: str


def after_write(connection: Connection, ids: Sequence[str]) -> None:
    """Merge what has become surely equal by a write, and let every group that was touched find its leader."""
    keys = _keys(connection, ids)
    identify(connection, keys)
    regroup(connection, keys)


def after_withdrawal(connection: Connection, id_: str, actor: int) -> None:
    """Let another record of its group stand for a withdrawn one."""
    regroup(connection, _keys(connection, [id_]), actor)


def identify(connection: Connection, keys: Sequence[int]) -> None:
    """Note what makes these records surely one with others, and pair them with the first that is.

    Pairs whose owners must be asked first, or whose patent numbers disagree, are proposed only.
    """
    i, own = tables.record_identities, _identities_of(connection, keys)
    for part in batches(keys):
        connection.execute(delete(i).where(i.c.key.in_(part)))
    rows = [{"key": key, "identity": identity} for key, found in own.items() for identity in sorted(found)]
    if not rows:
        return
    connection.execute(insert(i), rows)
    holders: dict[str, list[int]] = {}
    for names in batches(sorted({identity for one in own.values() for identity in one})):
        query = select(i.c.identity, i.c.key).where(i.c.identity.in_(names)).order_by(i.c.key)
        for identity, key in connection.execute(query):
            holders.setdefault(identity, []).append(key)
    rivals = {key: {other for one in found for other in holders[one] if other != key} for key, found in own.items()}
    touched = sorted({key for key in rivals if rivals[key]} | set().union(*rivals.values()))
    if not touched:
        return
    members = load_members(connection, touched)
    numbers: dict[int, set[str]] = {}
    for part in batches(touched):
        for key, identity in connection.execute(select(i.c.key, i.c.identity).where(i.c.key.in_(part))):
            numbers.setdefault(key, set()).add(identity)
    found: list[tuple[int, int, Basis, bool]] = []
    for key in sorted(key for key in rivals if rivals[key]):
        chosen: dict[Basis, tuple[int, bool]] = {}
        for other in sorted(rivals[key]):
            basis = shared_basis(numbers[key], numbers[other])
            sure = automatic(members[key], members[other]) and not conflicting(numbers[key], numbers[other])
            # The first that may be merged at once; if none may, the first of all. Were all of them paired, a copy
            # that somebody has set apart would come back by way of another.
            if basis and (basis not in chosen or (sure and not chosen[basis][1])):
                chosen[basis] = other, sure
        found += [(min(key, other), max(key, other), basis, sure) for basis, (other, sure) in chosen.items()]
    _pair(connection, found)


def _pair(connection: Connection, found: Iterable[tuple[int, int, Basis, bool]]) -> None:
    """Write down pairs of surely equal records: (first, second, basis, whether to merge at once)."""
    wanted: dict[tuple[int, int], tuple[Basis, bool]] = {}
    for first, second, basis, sure in found:
        wanted.setdefault((first, second), (basis, sure))
    keys = sorted({key for pair in wanted for key in pair})
    known, texts = known_pairs(connection, keys), texts_of(connection, keys)
    joined = Components(edges(connection, keys))
    for (first, second), (basis, sure) in sorted(wanted.items()):
        old = known.get((first, second))
        both = texts[first] + texts[second]
        if joined.together(first, second) or (old and old.state in ("merged", "rejected") and old.texts == both):
            continue
        state: State = "merged" if sure and not (old and old.state == "rejected") else "proposed"
        if old and old.state == state == "proposed" and old.texts == both:
            continue
        save_pair(connection, (first, second), old, basis, 1.0, REASONS[basis], state, both)
        if state == "merged":
            joined.join(first, second)


def save_pair(
    connection: Connection,
    pair: tuple[int, int],
    old: Known | None,
    basis: Basis,
    score: float,
    why: str,
    state: State,
    texts: str,
) -> None:
    """Write a pair as the program found it, in place of what was known of it."""
    d, moment = tables.duplicates, audit.now()
    values: dict[str, Any] = {"basis": basis, "score": score, "why": why, "state": state, "texts": texts}
    values |= {"account": None, "decided_at": moment if state == "merged" else None}
    if old:
        connection.execute(update(d).where(d.c.key == old.key).values(**values))
    else:
        connection.execute(insert(d).values(first=pair[0], second=pair[1], created_at=moment, **values))


def regroup(connection: Connection, keys: Sequence[int], actor: int = audit.OPERATOR_ACCOUNT) -> None:
    """Let the groups of these records find their leaders, and records that left a group stand for themselves.

    :param actor: for the audit trail.
    """
    r = tables.records
    components = Components(edges(connection, keys))
    lonely: list[Sequence[int]] = [[key] for key in keys]
    grouped = components.all()
    together = {key for group in grouped for key in group}
    members = load_members(connection, sorted(together | set(keys)))
    placed: dict[int, int | None] = {}
    for group in [*grouped, *(one for one in lonely if one[0] not in together)]:
        placed |= leaders(members[key] for key in group)
    now: dict[int, tuple[str, str | None]] = {}
    for part in batches(sorted(placed)):
        query = select(r.c.key, r.c.id, r.c.merged_into).where(r.c.key.in_(part))
        now |= {key: (id_, head) for key, id_, head in connection.execute(query)}
    wanted = {key: now[head][0] if head is not None else None for key, head in placed.items()}
    changed = [(key, now[key][0], wanted[key]) for key in sorted(placed) if now[key][1] != wanted[key]]
    if not changed:
        return
    first = next_revision(connection, len(changed))
    change = update(r).where(r.c.key == bindparam("changed_key"))
    connection.execute(
        change.values(merged_into=bindparam("leader"), revision=bindparam("number")),
        [
            {"changed_key": key, "leader": leader, "number": first + offset}
            for offset, (key, _, leader) in enumerate(changed)
        ],
    )
    entries = [
        audit.Entry(actor, "merge", id_, {"into": leader}) if leader else audit.Entry(actor, "unmerge", id_, {})
        for _, id_, leader in changed
    ]
    audit.write(connection, entries)


def edges(connection: Connection, keys: Sequence[int]) -> list[tuple[int, int]]:
    """The merged pairs of all groups that these records are in."""
    d = tables.duplicates.c
    found: set[tuple[int, int]] = set()
    seen, frontier = set(keys), sorted(set(keys))
    while frontier:
        fresh: set[int] = set()
        for part in batches(frontier):
            for column in (d.first, d.second):
                query = select(d.first, d.second).where(column.in_(part), d.state == "merged")
                for first, second in connection.execute(query):
                    found.add((first, second))
                    fresh |= {first, second}
        frontier = sorted(fresh - seen)
        seen |= fresh
    return sorted(found)


def known_pairs(connection: Connection, keys: Sequence[int]) -> dict[tuple[int, int], Known]:
    """What is known of all pairs whose first record is one of these."""
    d = tables.duplicates.c
    found: dict[tuple[int, int], Known] = {}
    for part in batches(keys):
        query = select(d.first, d.second, d.key, d.state, d.basis, d.score, d.texts).where(d.first.in_(part))
        found |= {(row.first, row.second): Known(*row[2:]) for row in connection.execute(query)}
    return found


def load_members(connection: Connection, keys: Sequence[int]) -> dict[int, Member]:
    """What decides the place of records in their groups."""
    r = tables.records.c
    found: dict[int, Member] = {}
    for part in batches(keys):
        columns = (r.key, r.kind, r.visibility, r.owner, r.ends, r.withdrawn, r.details, r.abstract)
        for row in connection.execute(select(*columns).where(r.key.in_(part))):
            number = row.details.get("publication_number")
            found[row.key] = Member(*row[:5], bool(row.withdrawn), number, bool(row.abstract))
    return found


def texts_of(connection: Connection, keys: Sequence[int]) -> dict[int, str]:
    """A digest of each record's title and abstract, 32 characters."""
    r = tables.records.c
    found: dict[int, str] = {}
    for part in batches(keys):
        for key, title, abstract in connection.execute(select(r.key, r.title, r.abstract).where(r.key.in_(part))):
            found[key] = text_digest(title, abstract)
    return found


def text_digest(title: str, abstract: str) -> str:
    """See `texts_of`."""
    return hashlib.blake2b(f"{title}\x1f{abstract}".encode("utf-8", "replace"), digest_size=16).hexdigest()


def _keys(connection: Connection, ids: Sequence[str]) -> list[int]:
    r = tables.records.c
    found: list[int] = []
    for part in batches(ids):
        query = select(r.key).where(r.id.in_(part), r.kind != "institution")
        found += connection.execute(query).scalars()
    return sorted(found)


def _identities_of(connection: Connection, keys: Sequence[int]) -> dict[int, frozenset[str]]:
    r = tables.records.c
    found: dict[int, frozenset[str]] = {}
    columns = (r.key, r.kind, r.source_id, r.title, r.abstract, r.institution, r.details)
    for part in batches(keys):
        for key, *values in connection.execute(select(*columns).where(r.key.in_(part))):
            found[key] = identities(*values)
    return found
