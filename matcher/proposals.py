"""Pairs of records that may be one thing: what people decide about them, and what a search for more has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from matcher import audit, merges, tables
from matcher.database import batches
from matcher.errors import Conflict, NotFound
from matcher.groups import Components, automatic, covers
from matcher.identities import Basis
from matcher.merges import State
from matcher.store import Store

STATES: tuple[State, ...] = get_args(State)
STATE_NAMES: dict[State, str] = {
    "proposed": "待确认",
    "merged": "已合并",
    "rejected": "已否定",
    "dropped": "已不再相似",
}
Decision = Literal["merge", "reject", "undo"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
# The row of `counters` that says up to which revision the search for duplicates has come.
_COUNTER = "duplicates"


@dataclass(frozen=True)
class Proposal:
    """A pair.

    :param number: by which people name it.
    :param first: the store's number of the record that was there first; `second` of the other.
    :param basis: what they have in common; `content` where the score decided.
    :param account: who decided, 0 for the operator; None where nobody was asked.
    """

    number: int
    first: int
    second: int
    basis: Basis
    score: float
    why: str
    state: State
    account: int | None
    created_at: str
    decided_at: str | None


@dataclass(frozen=True)
class Finding:
    """Two records that were compared.

    :param texts: of both, as they were compared, see `merges.text_digest`.
    :param automatic: whether the score is enough to merge without asking.
    :param proposed: whether it is enough to ask.
    """

    first: int
    second: int
    score: float
    why: str
    texts: str
    automatic: bool
    proposed: bool


class Proposals:
    """The pairs of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # ------------------------------------------------------------ reading

    def page(self, state: State = "proposed", after: int = 0, limit: int = 100) -> list[Proposal]:
        """Pairs in a state, by number, those with a withdrawn record left out, and proposals long settled otherwise.

        :param after: the number of the last one seen.
        """
        d, r = tables.duplicates.c, tables.records
        first, second = r.alias(), r.alias()
        query = (
            select(tables.duplicates)
            .join(first, first.c.key == d.first)
            .join(second, second.c.key == d.second)
            .where(d.state == state, d.key > after, first.c.withdrawn == 0, second.c.withdrawn == 0)
        )
        if state == "proposed":
            heads = [func.coalesce(one.c.merged_into, one.c.id) for one in (first, second)]
            query = query.where(heads[0] != heads[1])
        with self._store.database.reading.connect() as connection:
            return [_read(row) for row in connection.execute(query.order_by(d.key).limit(limit))]

    def get(self, number: int) -> Proposal:
        """One pair.

        :raises NotFound: if there is none of this number.
        """
        with self._store.database.reading.connect() as connection:
            return self._get(connection, number)

    def group(self, id_: str) -> list[str]:
        """A record's group: the one that stands for it first, then the others by age; itself alone if it has none.

        Records that belong there but have readers of their own, who may not see the first, are not in it.
        """
        r = tables.records.c
        with self._store.database.reading.connect() as connection:
            head = connection.execute(select(r.merged_into).where(r.id == id_)).scalar() or id_
            query = select(r.id).where(r.merged_into == head).order_by(r.key)
            return [head, *connection.execute(query).scalars()]

    def open_with(self, keys: Sequence[int]) -> list[tuple[int, int]]:
        """The proposed pairs in which one of these records is."""
        d = tables.duplicates.c
        found: set[tuple[int, int]] = set()
        with self._store.database.reading.connect() as connection:
            for part in batches(keys):
                where = or_(d.first.in_(part), d.second.in_(part))
                query = select(d.first, d.second).where(d.state == "proposed", d.basis == "content", where)
                found |= {(row.first, row.second) for row in connection.execute(query)}
        return sorted(found)

    # ------------------------------------------------------------ deciding

    def decide(self, decision: Decision, number: int, account: int = audit.OPERATOR_ACCOUNT) -> Proposal:
        """Do what a decision is named for: see `merge`, `reject` and `undo`."""
        decide = {"merge": self.merge, "reject": self.reject, "undo": self.undo}[decision]
        return decide(number, account)

    def merge(self, number: int, account: int = audit.OPERATOR_ACCOUNT) -> Proposal:
        """Merge a pair that was proposed, or rejected before.

        :raises NotFound: if there is none of this number.
        :raises Conflict: if they are merged already, or somebody who may see the one could not see the other.
        """
        with self._store.database.writing() as connection:
            pair = self._get(connection, number)
            keys = [pair.first, pair.second]
            if Components(merges.edges(connection, keys)).together(*keys):
                raise Conflict(f"第 {number} 对的两条记录已经合并在一起，不需要再合并。")
            first, second = (merges.load_members(connection, keys)[key] for key in keys)
            if not (covers(first, second) or covers(second, first)):
                raise Conflict(
                    f"第 {number} 对的两条记录分属不同的账户，合并后总有人看不到自己原来能看到的记录，不能合并。"
                )
            return self._decide(connection, pair, "merged", account)

    def reject(self, number: int, account: int = audit.OPERATOR_ACCOUNT) -> Proposal:
        """Say that a proposed pair is not one thing: it is not proposed again before one of the texts changes.

        :raises NotFound: if there is none of this number.
        :raises Conflict: if it is merged.
        """
        with self._store.database.writing() as connection:
            pair = self._get(connection, number)
            if pair.state == "merged":
                raise Conflict(f"第 {number} 对已经合并，不能直接否定；请先用 --undo {number} 撤销合并。")
            return self._decide(connection, pair, "rejected", account)

    def undo(self, number: int, account: int = audit.OPERATOR_ACCOUNT) -> Proposal:
        """Take a merge back: both records, and what was merged by way of each, are as without it.

        The pair counts as rejected from then on, so that the next file does not merge it again.

        :raises NotFound: if there is none of this number.
        :raises Conflict: if it is not merged.
        """
        with self._store.database.writing() as connection:
            pair = self._get(connection, number)
            if pair.state != "merged":
                raise Conflict(f"第 {number} 对没有合并（现在是“{STATE_NAMES[pair.state]}”），没有可撤销的。")
            return self._decide(connection, pair, "rejected", account)

    def _decide(self, connection: Connection, pair: Proposal, state: State, account: int) -> Proposal:
        keys = [pair.first, pair.second]
        # A merged pair holds their groups together, and once it is undone only its two records name them.
        touched = sorted({key for edge in merges.edges(connection, keys) for key in edge} | set(keys))
        texts = merges.texts_of(connection, keys)
        d = tables.duplicates
        values = {"state": state, "account": account, "decided_at": audit.now()}
        values["texts"] = texts[pair.first] + texts[pair.second]
        connection.execute(update(d).where(d.c.key == pair.number).values(**values))
        if state == "rejected" and pair.state != "merged":
            audit.write(connection, [audit.Entry(account, "reject_duplicate", _id(connection, pair.second), {})])
        merges.regroup(connection, touched, account)
        return self._get(connection, pair.number)

    @staticmethod
    def _get(connection: Connection, number: int) -> Proposal:
        d = tables.duplicates
        # No database counts further, and PostgreSQL fails instead of finding nothing.
        row = connection.execute(select(d).where(d.c.key == number)).first() if 0 < number < 2**63 else None
        if row is None:
            raise NotFound(no_pair(number))
        return _read(row)

    # ------------------------------------------------------------ searching

    def progress(self) -> int:
        """The revision up to which all records have been compared; 0 before the first time."""
        c = tables.counters.c
        with self._store.database.reading.connect() as connection:
            return int(connection.execute(select(c.value).where(c.name == _COUNTER)).scalar() or 0)

    def note(self, findings: Sequence[Finding], reached: int) -> Counter[State]:
        """Write down what a search has found, the likest pairs first, and how far it has come.

        A pair is merged at once only if its score is enough, neither account needs to be asked, nobody has said
        otherwise before, and both records stand for themselves: a chain of likenesses makes no group.

        :returns: how many pairs were merged, proposed anew, and dropped because they are alike no more.
        """
        counts: Counter[State] = Counter()
        with self._store.database.writing() as connection:
            keys = sorted({key for finding in findings for key in (finding.first, finding.second)})
            known, texts = merges.known_pairs(connection, keys), merges.texts_of(connection, keys)
            members = merges.load_members(connection, keys)
            joined = Components(merges.edges(connection, keys))
            hidden = self._hidden(connection, keys)
            touched: set[int] = set()
            for finding in sorted(findings, key=lambda one: (-one.score, one.first, one.second)):
                pair = finding.first, finding.second
                old = known.get(pair)
                current = not joined.together(*pair) and texts[pair[0]] + texts[pair[1]] == finding.texts
                standing = not any(members[key].withdrawn for key in pair)
                if not current or not standing or (old and old.state == "rejected" and old.texts == finding.texts):
                    continue
                state: State = "proposed" if finding.proposed else "dropped"
                allowed = automatic(members[pair[0]], members[pair[1]]) and not hidden & set(pair)
                if finding.automatic and allowed and not (old and old.state == "rejected"):
                    state = "merged"
                    joined.join(*pair)
                    touched |= set(pair)
                    # Who leads is settled below; until then only one of the two goes on to be merged with others.
                    hidden.add(pair[1])
                if (old is None and state == "dropped") or (old and old.state == state and old.texts == finding.texts):
                    continue
                merges.save_pair(connection, pair, old, "content", finding.score, finding.why, state, finding.texts)
                counts[state] += 1
            merges.regroup(connection, sorted(touched))
            self._reach(connection, reached)
        return counts

    def identify(self, keys: Sequence[int]) -> None:
        """Merge records that are surely one with others and were stored before anybody looked for that."""
        i = tables.record_identities.c
        with self._store.database.reading.connect() as connection:
            known = {
                key
                for part in batches(keys)
                for key in connection.execute(select(i.key).where(i.key.in_(part))).scalars()
            }
        missing = sorted(set(keys) - known)
        if missing:
            with self._store.database.writing() as connection:
                merges.identify(connection, missing)
                merges.regroup(connection, missing)

    @staticmethod
    def _hidden(connection: Connection, keys: Sequence[int]) -> set[int]:
        r = tables.records.c
        found: set[int] = set()
        for part in batches(keys):
            query = select(r.key).where(r.key.in_(part), r.merged_into.is_not(None))
            found |= set(connection.execute(query).scalars())
        return found

    @staticmethod
    def _reach(connection: Connection, revision: int) -> None:
        c = tables.counters
        if not connection.execute(update(c).where(c.c.name == _COUNTER).values(value=revision)).rowcount:
            connection.execute(insert(c).values(name=_COUNTER, value=revision))


def no_pair(number: int) -> str:
    """The one sentence for a pair that there is not, and for one that the caller may not know of."""
    return f"没有编号为 {number} 的疑似重复，或其中的记录不对您公开。请先列出现有的疑似重复，查看编号。"


def _id(connection: Connection, key: int) -> str:
    r = tables.records.c
    return str(connection.execute(select(r.id).where(r.key == key)).scalar_one())


def _read(row: Row[tuple[object, ...]]) -> Proposal:
    return Proposal(
        number=row.key,
        first=row.first,
        second=row.second,
        basis=row.basis,
        score=row.score,
        why=row.why,
        state=row.state,
        account=row.account,
        created_at=row.created_at,
        decided_at=row.decided_at,
    )
