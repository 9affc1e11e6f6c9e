"""The leads of one database: who was told of a pair as new, who works on it, and what became of it.

A pair is one row for the whole platform. What decides who is told of it is read and written in one transaction that
no other writer has at the same time, so that nobody is told of it as new together with somebody else.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, exists, insert, or_, select, update

from matcher import audit, tables
from matcher.accounts import Account
from matcher.audit import Entry
from matcher.database import ID_BATCH, Database
from matcher.errors import Conflict, Forbidden, InvalidLead, NotFound
from matcher.judged import put_judgement
from matcher.lead_states import OVER, Reason, Status, Step, check_following, checked_step, level_told
from matcher.lead_wanted import Show
from matcher.life import CHINA
from matcher.listing import seen
from matcher.visibility import Viewer

# Days that a new lead waits for whoever was told of it: two weekly lists, and time for a call that nobody took.
# After them it may be told to somebody else.
CLAIM_DAYS = 14


@dataclass(frozen=True)
class Lead:
    """A pair that somebody was told of; see `matcher.tables.leads`."""

    key: int
    id: str
    need_id: str
    offer_id: str
    level: int
    score: float
    status: Status
    listed_to: int
    listed_at: str
    assignee: int | None
    amount: int | None
    signed_on: str | None
    major: bool
    reason: Reason | None
    revision: int
    updated_at: str

    @property
    def holder(self) -> int:
        """The account whose it is."""
        return self.listed_to if self.assignee is None else self.assignee

    def lapsed(self, moment: str) -> bool:
        """Whether it was left alone for so long that another may be told of it."""
        return self.status == "new" and moment >= self.claimed_until

    @property
    def claimed_until(self) -> str:
        """Until when a new lead waits for its holder, as ISO time in UTC: from when he was told or given it."""
        end = datetime.datetime.fromisoformat(self.updated_at) + datetime.timedelta(days=CLAIM_DAYS)
        return end.isoformat(timespec="seconds")


@dataclass(frozen=True)
class LeadStep:
    """What somebody did with a lead; see `matcher.tables.lead_steps`."""

    at: str
    account: int
    status: Status
    note: str
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """A match that may become a lead.

    :param why: in one sentence.
    """

    need_id: str
    offer_id: str
    level: int
    score: float
    why: str


@dataclass(frozen=True)
class Listed:
    """A pair as it is listed to somebody.

    :param lead: where it stands, if it is his; None for another's, and for what was only looked at.
    :param new: whether nobody was told of it before, or whoever was has left it alone.
    :param taken: whether it is another's.
    """

    pair: Pair
    lead: Lead | None
    new: bool
    taken: bool

    @property
    def open(self) -> bool:
        """Whether there is something for him to do."""
        return not self.taken and (self.lead is None or self.lead.status not in OVER)


class LeadBook:
    """Lists, shows and changes leads. Administrators and the operator may do so with others' leads as well."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------ listing

    def draw(self, pairs: Sequence[Pair], viewer: Viewer, limit: int, show: Show, peek: bool) -> list[Listed]:
        """List pairs to somebody: his first, those that are others' or over last, each kind as given.

        :param pairs: best first, of records that he may see.
        :param limit: how many at most; no more than these become his.
        :param peek: only look: nothing becomes anybody's.
        """
        opening = self._database.reading.connect() if peek else self._database.writing()
        with opening as connection:
            known = _known(connection, pairs)
            lapsed = [lead for lead in known.values() if lead.lapsed(audit.now())]
            told = _told_before(connection, viewer.account, lapsed)
            standing = [_standing(pair, known.get((pair.need_id, pair.offer_id)), viewer, told) for pair in pairs]
            wanted = [one for one in standing if show == "all" or (one.new if show == "new" else one.open)]
            rows = sorted(wanted, key=lambda one: not one.open)[:limit]
            return rows if peek else _claimed(connection, rows, known, viewer)

    def page(
        self, viewer: Viewer, status: Status | None, limit: int, before: int | None = None, everybodys: bool = False
    ) -> list[Lead]:
        """Somebody's leads, latest first.

        :param before: the number of the last one of the page before this one.
        :param everybodys: all leads, of records that he may see.
        :raises Forbidden: if he may not see others' leads.
        """
        if everybodys and not _manages(viewer):
            raise Forbidden("只有管理员账号可以查看全部线索。")
        leads = tables.leads.c
        query = select(tables.leads).where(_open_to(viewer) if everybodys else _held_by(viewer))
        if status is not None:
            query = query.where(leads.status == status)
        if before is not None:
            query = query.where(leads.key < before)
        with self._database.reading.connect() as connection:
            return [_lead(row) for row in connection.execute(query.order_by(leads.key.desc()).limit(limit))]

    def get(self, id_: str, viewer: Viewer) -> Lead:
        """A lead that is somebody's, or that he may look after.

        :raises NotFound: if there is none, or it is another's; the two look the same.
        """
        with self._database.reading.connect() as connection:
            return _one(connection, id_, viewer)

    def steps(self, lead: Lead, viewer: Viewer) -> list[LeadStep]:
        """What was done with a lead that `get` gave, oldest first.

        What became of it before it was anybody's work, holders do not learn: who else was told of it.
        """
        s = tables.lead_steps.c
        query = select(s.at, s.account, s.status, s.note, s.details).where(s.lead == lead.key).order_by(s.key)
        with self._database.reading.connect() as connection:
            steps = [LeadStep(*row) for row in connection.execute(query)]
        mine = viewer.account
        return [
            step
            for step in steps
            if step.status != "new" or _manages(viewer) or mine in (step.account, step.details.get("assigned"))
        ]

    # ------------------------------------------------------------ changing

    def step(self, id_: str, step: Step, viewer: Viewer, seen_revision: int | None = None) -> Lead:
        """Write down what was done with a lead, and what that says about the pair.

        :param seen_revision: the lead's, as the caller has last seen it; None if that does not matter.
        :raises InvalidLead: naming the field and the reason.
        :raises NotFound: as `get`.
        :raises Conflict: if the lead has another revision.
        """
        step = checked_step(step, datetime.datetime.now(CHINA).date())
        with self._database.writing() as connection:
            lead = _one(connection, id_, viewer)
            _require_revision(lead, seen_revision)
            check_following(lead.status, step.status)
            change = {
                "status": step.status,
                "amount": step.amount,
                "signed_on": step.signed_on and step.signed_on.isoformat(),
                "major": int(step.major),
                "reason": step.reason,
                # Whoever was told of it has begun to work on it; the operator is nobody's colleague.
                "assignee": lead.holder or None,
            }
            told = _judge(connection, lead, step, viewer.account)
            _write_step(connection, lead, viewer.account, step.status, step.note, step.details() | told)
            return _changed(
                connection, lead, change, [Entry(viewer.account, "lead-step", id_, {"status": step.status})]
            )

    def assign(self, id_: str, to: Account, viewer: Viewer, seen_revision: int | None = None) -> Lead:
        """Give a lead to somebody, who holds it alone from then on.

        :raises InvalidLead: if he is no intermediary or administrator, or may not see both records.
        :raises NotFound: as `get`.
        :raises Conflict: if the lead has another revision.
        """
        with self._database.writing() as connection:
            lead = _one(connection, id_, viewer)
            _require_revision(lead, seen_revision)
            if to.role not in ("intermediary", "admin") or to.closed_at is not None:
                raise InvalidLead("account", "须是开通中的中介或管理员账号")
            of_both = select(tables.leads.c.key).where(tables.leads.c.key == lead.key, *_both_seen(to.viewer))
            if connection.execute(of_both).first() is None:
                raise InvalidLead("account", "该账号看不到这条线索的需求或成果，不能负责它")
            _write_step(connection, lead, viewer.account, lead.status, "", {"assigned": to.key})
            entry = Entry(viewer.account, "lead-assign", id_, {"to": to.id})
            return _changed(connection, lead, {"assignee": to.key}, [entry])


_COLUMNS = tuple(field.name for field in fields(Lead))


def _lead(row: Row[Any]) -> Lead:
    values = {name: getattr(row, name) for name in _COLUMNS}
    return Lead(**(values | {"major": bool(row.major)}))


def _manages(viewer: Viewer) -> bool:
    return viewer.role in ("admin", "operator")


def _held_by(viewer: Viewer) -> Any:
    c = tables.leads.c
    return or_(c.assignee == viewer.account, and_(c.assignee.is_(None), c.listed_to == viewer.account))


def _open_to(viewer: Viewer) -> Any:
    """The condition that somebody may look at a lead: his own, and whoever manages those of records that he may see."""
    if not _manages(viewer):
        return _held_by(viewer)
    return or_(_held_by(viewer), and_(*_both_seen(viewer)))


def _both_seen(viewer: Viewer) -> tuple[Any, Any]:
    # Withdrawn records as well: what became of their leads still counts.
    conditions = []
    for column in (tables.leads.c.need_id, tables.leads.c.offer_id):
        r = tables.records.alias()
        conditions.append(exists(select(r.c.key).where(r.c.id == column, seen(viewer.sight, r))))
    return conditions[0], conditions[1]


def _one(connection: Connection, id_: str, viewer: Viewer) -> Lead:
    row = None
    if id_.isprintable():  # databases fail, instead of finding nothing, when asked for NUL
        row = connection.execute(select(tables.leads).where(tables.leads.c.id == id_, _open_to(viewer))).one_or_none()
    if row is None:
        raise NotFound(f"没有编号为“{id_[:40]}”的线索，或该线索由他人负责。")
    return _lead(row)


def _require_revision(lead: Lead, seen_revision: int | None) -> None:
    if seen_revision is not None and seen_revision != lead.revision:
        raise Conflict("该线索刚被修改过，您看到的不是最新内容。请重新读取后再改。")


def _known(connection: Connection, pairs: Sequence[Pair]) -> dict[tuple[str, str], Lead]:
    """The leads of pairs; also of records that these stand for since two were found to be one."""
    offers = {pair.offer_id for pair in pairs}
    needs = sorted({pair.need_id for pair in pairs})
    found: dict[tuple[str, str], Lead] = {}
    n, o, c = tables.records.alias(), tables.records.alias(), tables.leads.c
    joined = tables.leads.join(n, n.c.id == c.need_id).join(o, o.c.id == c.offer_id)
    for start in range(0, len(needs), ID_BATCH // 2):
        part = needs[start : start + ID_BATCH // 2]
        query: Select[Any] = select(tables.leads, n.c.merged_into.label("n"), o.c.merged_into.label("o"))
        for row in connection.execute(
            query.select_from(joined).where(or_(n.c.id.in_(part), n.c.merged_into.in_(part)))
        ):
            pair = (row.n or row.need_id, row.o or row.offer_id)
            if pair[1] in offers and (pair not in found or _outranks(_lead(row), found[pair])):
                found[pair] = _lead(row)
    return found


def _outranks(one: Lead, other: Lead) -> bool:
    """Of two leads that are one since their records were merged, the one that was worked on, or else the later."""
    return (one.status != "new", one.updated_at) > (other.status != "new", other.updated_at)


def _told_before(connection: Connection, account: int, leads: Sequence[Lead]) -> set[int]:
    """Those of these leads, by number, that this account was told of before somebody else was."""
    s, told = tables.lead_steps.c, set()
    for start in range(0, len(leads), ID_BATCH):
        part = [lead.key for lead in leads[start : start + ID_BATCH]]
        told |= {*connection.scalars(select(s.lead).where(s.lead.in_(part), s.account == account, s.status == "new"))}
    return told


def _standing(pair: Pair, lead: Lead | None, viewer: Viewer, told: set[int]) -> Listed:
    if lead is None:
        return Listed(pair, None, new=True, taken=False)
    if lead.holder == viewer.account:
        return Listed(pair, lead, new=False, taken=False)
    if lead.lapsed(audit.now()):
        return Listed(pair, None, new=lead.key not in told, taken=False)
    return Listed(pair, None, new=False, taken=True)


def _claimed(
    connection: Connection, rows: Sequence[Listed], known: Mapping[tuple[str, str], Lead], viewer: Viewer
) -> list[Listed]:
    """Let what is listed and nobody's become the viewer's."""
    moment = audit.now()
    made: dict[tuple[str, str], Lead] = {}
    fresh: list[dict[str, Any]] = []
    for row in rows:
        if row.lead is not None or row.taken:
            continue
        pair = row.pair
        values = {
            "level": pair.level,
            "score": pair.score,
            "status": "new",
            "listed_to": viewer.account,
            "listed_at": moment,
            "assignee": None,
            "updated_at": moment,
        }
        before = known.get((pair.need_id, pair.offer_id))
        if before is None:
            id_ = f"lead-{secrets.token_hex(8)}"
            fresh.append(values | {"id": id_, "need_id": pair.need_id, "offer_id": pair.offer_id})
            continue
        # So that it is not new to whoever was told of it a second time.
        _write_step(connection, before, before.holder, "new", "", {"lapsed": True})
        entry = Entry(viewer.account, "lead-list", before.id, {"lapsed": True})
        made[pair.need_id, pair.offer_id] = _changed(connection, before, values, [entry])
    if fresh:
        connection.execute(insert(tables.leads), fresh)
        audit.write(connection, [Entry(viewer.account, "lead-list", values["id"], {}) for values in fresh])
    for start in range(0, len(fresh), ID_BATCH):
        ids = [values["id"] for values in fresh[start : start + ID_BATCH]]
        for found in connection.execute(select(tables.leads).where(tables.leads.c.id.in_(ids))):
            made[found.need_id, found.offer_id] = _lead(found)
    return [replace(row, lead=row.lead or made.get((row.pair.need_id, row.pair.offer_id))) for row in rows]


def _write_step(
    connection: Connection, lead: Lead, account: int, status: Status, note: str, details: Mapping[str, Any]
) -> None:
    row = {"lead": lead.key, "at": audit.now(), "account": account, "status": status, "note": note}
    connection.execute(insert(tables.lead_steps).values(row | {"details": dict(details)}))


def _changed(connection: Connection, lead: Lead, values: Mapping[str, Any], entries: Sequence[Entry]) -> Lead:
    c = tables.leads.c
    change = {"revision": lead.revision + 1, "updated_at": audit.now(), **values}
    connection.execute(update(tables.leads).where(c.key == lead.key).values(change))
    audit.write(connection, entries)
    return _lead(connection.execute(select(tables.leads).where(c.key == lead.key)).one())


def _judge(connection: Connection, lead: Lead, step: Step, account: int) -> dict[str, int]:
    """Write down as a judgement what an outcome says about the pair, and take back what is no longer said.

    :returns: for the history: the level, if there is one.
    """
    level = level_told(step.status, step.reason)
    before = level_told(lead.status, lead.reason)
    if before in (1, 4) and level != before:
        # An opened loss, a contract that came to nothing: whoever had said so has said it no more.
        j, s = tables.judgements.c, tables.lead_steps.c
        sayers = [
            row.account
            for row in connection.execute(select(s.account, s.details).where(s.lead == lead.key))
            if row.details.get("judged") == before
        ]
        pair = (j.need_id == lead.need_id, j.offer_id == lead.offer_id)
        connection.execute(delete(tables.judgements).where(*pair, j.account.in_(sayers), j.level == before))
    if level is None:
        return {}
    put_judgement(connection, account, lead.need_id, lead.offer_id, level)
    return {"judged": level}
