"""The bureau's summary: offers, needs, leads, talks and contracts by programme and by county, against the targets.

Private records are in none of the figures, nor are leads of theirs: a count would tell that there is one.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, or_, select, true

from matcher import tables
from matcher.database import Database
from matcher.errors import InvalidQuery
from matcher.life import CHINA
from matcher.listing import seen
from matcher.records import PROGRAMME_NAMES
from matcher.regions import counties
from matcher.store import live
from matcher.targets import Policy, Target, policy
from matcher.visibility import Viewer

# Code, if it has one, and name.
Place = tuple[str | None, str]
# What everybody knows of who brings the two sides together.
_OPEN: Final = Viewer("intermediary").sight
# A lead that came as far as one of these has been talked about; one that is lost was, if its steps say so.
_TALKS: Final = ("contacted", "negotiating", "signed")
# Of a period; no platform is older, and clocks of other zones stay within what Python can count.
YEARS: Final = range(2000, 3000)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
NO_PROGRAMME: Final = "未归入专项"
NO_COUNTY: Final = "（未注明县区）"
ELSEWHERE: Final = "其他地区"
NOWHERE: Final = "未注明地区"

NOTES: Final = (
    "只计公开和仅中介可见的记录；不公开的记录及其线索不计入任何数字。",
    "属于多个专项的记录在每个专项下各计一次，合计中只计一次，因此各专项之和可能大于合计。",
    "成果和专利按自身所在地归入县区；线索、洽谈和签约按需求的专项和需求方所在地归类。",
    "成果专利和需求为当日参与匹配的数量；线索为列出过的全部配对；洽谈为联系过、谈判过或签约的线索，后来未成的也在内。",
    "起止日期只限定洽谈和签约（目标中的转化、重大成果和合同金额也是）：洽谈按记录的时间，签约按签约日期。",
    "重大成果和合同金额只计已签约的线索。开发区没有行政区划代码，按地址中的名称归类。",
)


@dataclass(frozen=True)
class Period:
    """Days of China, both included; None is open.

    :raises InvalidQuery: if it ends before it begins, or lies beyond `YEARS`.
    """

    first: datetime.date | None = None
    last: datetime.date | None = None

    @classmethod
    def parse(cls, first: str | None, last: str | None) -> Period:
        """The days as people write them, YYYY-MM-DD.

        :raises InvalidQuery: naming the field and the reason.
        """
        return cls(_day("from", first), _day("to", last))

    def __post_init__(self) -> None:
        for field, day in (("from", self.first), ("to", self.last)):
            if day and day.year not in YEARS:
                raise InvalidQuery(field, f"年份须在 {YEARS[0]} 到 {YEARS[-1]} 之间")
        if self.first and self.last and self.first > self.last:
            raise InvalidQuery("from", f"起始日期 {self.first} 晚于截止日期 {self.last}；请对调或改正")

    def holds_day(self, day: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition that a day, YYYY-MM-DD, lies in it."""
        first = day >= self.first.isoformat() if self.first else true()
        return and_(first, day <= self.last.isoformat() if self.last else true())

    def holds_moment(self, moment: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition that a moment, as the store writes it, lies in it."""
        first = moment >= _midnight(self.first) if self.first else true()
        return and_(first, moment < _midnight(self.last + datetime.timedelta(days=1)) if self.last else true())


@dataclass(frozen=True)
class Counts:
    """One row: what there is, and what has come of it.

    :param code: of the programme or the place; None where it has none.
    :param offers: that take part in matches today, as do `needs`; `amount` of the contracts in yuan.
    """

    code: str | None
    name: str
    offers: int = 0
    needs: int = 0
    leads: int = 0
    talks: int = 0
    signed: int = 0
    amount: int = 0
    major: int = 0


# The figures of a row, in their order, and what people call them.
FIGURES: Final[Mapping[str, str]] = {
    "offers": "成果和专利",
    "needs": "需求",
    "leads": "线索",
    "talks": "洽谈",
    "signed": "签约",
    "amount": "合同金额（元）",
    "major": "重大成果",
}
_OF_LEADS: Final = tuple(FIGURES)[2:]


@dataclass(frozen=True)
class Progress:
    """How far a target has been reached; `done` is None where the platform does not count it."""

    target: Target
    done: int | None

    @property
    def share(self) -> float | None:
        """Of the goal; above one when it is passed."""
        return None if self.done is None else self.done / self.target.goal


@dataclass(frozen=True)
class Summary:
    """All figures at one moment.

    :param day: of China.
    """

    day: datetime.date
    period: Period
    policy: Policy
    targets: tuple[Progress, ...]
    programmes: tuple[Counts, ...]
    regions: tuple[Counts, ...]
    total: Counts


def summarise(database: Database, period: Period) -> Summary:
    """Count everything."""
    plan = policy()
    programmes: dict[str | None, Counter[str]] = {code: Counter() for code in (*PROGRAMME_NAMES, None)}
    regions = _Regions(plan)
    with database.reading.connect() as connection:
        _count_records(connection, programmes, regions)
        _count_leads(connection, period, programmes, regions)
        targets = _progress(connection, period, plan)
    total = sum(regions.rows.values(), Counter[str]())  # everything is in one place, but may be in several programmes
    return Summary(
        day=datetime.datetime.now(CHINA).date(),
        period=period,
        policy=plan,
        targets=targets,
        programmes=tuple(
            _row(code, PROGRAMME_NAMES[code] if code else NO_PROGRAMME, own) for code, own in programmes.items()
        ),
        regions=tuple(_row(*place, own) for place, own in regions.rows.items()),
        total=_row(None, "合计", total),
    )


def _count_records(
    connection: Connection,
    programmes: Mapping[str | None, Counter[str]],
    regions: _Regions,
) -> None:
    r, t = tables.records.c, tables.tags.c
    place = (r.region_code, r.county, r.province)
    placed = select(*place, r.kind, func.count()).where(*_standing()).group_by(*place, r.kind)
    for code, county, province, kind, count in connection.execute(placed):
        regions.of(code, county, province)[_side(kind)] += count
    tagged = select(t.code, r.kind, func.count()).select_from(tables.records.outerjoin(tables.tags))
    for programme, kind, count in connection.execute(tagged.where(*_standing()).group_by(t.code, r.kind)):
        programmes[programme][_side(kind)] += count


def _count_leads(
    connection: Connection,
    period: Period,
    programmes: Mapping[str | None, Counter[str]],
    regions: _Regions,
) -> None:
    n, t = _need.c, tables.tags.c
    own: dict[int, list[str | None]] = {}
    tagged = select(t.key, t.code).join_from(tables.tags, _need, n.key == t.key).where(n.kind == "need")
    for key, programme in connection.execute(tagged):
        own.setdefault(key, []).append(programme)
    for key, code, county, province, *values in connection.execute(_leads_by_need(period)):
        figures = dict(zip(_OF_LEADS, map(int, values), strict=True))
        regions.of(code, county, province).update(figures)
        for programme in own.get(key, [None]):
            programmes[programme].update(figures)


class _Regions:
    """The rows of places."""

    def __init__(self, plan: Policy) -> None:
        self._plan = plan
        self._counties = counties(plan.region)
        zones: list[Place] = [(None, zone.name) for zone in plan.zones]
        rest: list[Place] = [(plan.region, plan.city + NO_COUNTY), (None, ELSEWHERE), (None, NOWHERE)]
        self.rows: Mapping[Place, Counter[str]] = {
            place: Counter() for place in (*self._counties.items(), *zones, *rest)
        }

    def of(self, code: str | None, county: str | None, province: str | None) -> Counter[str]:
        """The row that a place belongs to."""
        if code in self._counties:
            return self.rows[code, self._counties[code]]
        if code == self._plan.region:
            zone = next((zone.name for zone in self._plan.zones if county in zone.called), None)
            return self.rows[(None, zone) if zone else (code, self._plan.city + NO_COUNTY)]
        return self.rows[None, ELSEWHERE if code or province or county else NOWHERE]


def _progress(connection: Connection, period: Period, plan: Policy) -> tuple[Progress, ...]:
    le, a = tables.leads.c, tables.accounts.c
    signed = _signed(period)
    query = select(func.count(le.offer_id.distinct()), func.sum(le.amount), func.count(_major_offer().distinct()))
    query = query.select_from(_joined()).where(*_known(), signed, _need.c.region_code.like(f"{plan.region[:4]}%"))
    conversions, amount, major = connection.execute(query).one()
    agencies = select(func.count()).where(a.role == "intermediary", a.closed_at.is_(None))
    done = {
        "conversions": conversions,
        "major": major,
        "amount": int(amount or 0),
        "agencies": connection.execute(agencies).scalar_one(),
    }
    return tuple(Progress(target, done[target.code] if target.counted else None) for target in plan.targets)


# ---------------------------------------------------------------- conditions

_need: Final = tables.records.alias("need")
_offer: Final = tables.records.alias("offer")


def _standing() -> tuple[ColumnElement[bool], ...]:
    """The conditions that a record is counted."""
    return (seen(_OPEN), tables.records.c.kind != "institution", *live())


def _joined() -> Any:
    le = tables.leads.c
    return tables.leads.join(_need, _need.c.id == le.need_id).join(_offer, _offer.c.id == le.offer_id)


def _known() -> tuple[ColumnElement[bool], ...]:
    """The conditions that a lead is counted: it outlives its records' deadlines and withdrawals."""
    return seen(_OPEN, _need), seen(_OPEN, _offer)


def _signed(period: Period) -> ColumnElement[bool]:
    le = tables.leads.c
    return and_(le.status == "signed", period.holds_day(le.signed_on))


def _talked(period: Period) -> ColumnElement[bool]:
    le, step = tables.leads.c, tables.lead_steps.c
    steps = exists().where(step.lead == le.key, step.status.in_(_TALKS), period.holds_moment(step.at))
    # Without a period what it is today will do.
    return or_(_signed(period) if period.first or period.last else le.status.in_(_TALKS), steps)


def _major_offer() -> ColumnElement[Any]:
    return case((tables.leads.c.major != 0, tables.leads.c.offer_id))


def _leads_by_need(period: Period) -> Select[Any]:
    """Of each need its key, its place, and the figures of its leads in the order of `_OF_LEADS`."""
    le, n = tables.leads.c, _need.c
    signed = _signed(period)
    figures = (
        func.count(),
        func.sum(case((_talked(period), 1), else_=0)),
        func.sum(case((signed, 1), else_=0)),
        func.sum(case((signed, func.coalesce(le.amount, 0)), else_=0)),
        func.sum(case((and_(signed, le.major != 0), 1), else_=0)),
    )
    groups = (n.key, n.region_code, n.county, n.province)
    return select(*groups, *figures).select_from(_joined()).where(*_known()).group_by(*groups)


def _row(code: str | None, name: str, counter: Counter[str]) -> Counts:
    return Counts(code, name, *(counter[figure] for figure in FIGURES))


def _side(kind: str) -> str:
    return "needs" if kind == "need" else "offers"


def _day(field: str, text: str | None) -> datetime.date | None:
    if not text:
        return None
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InvalidQuery(field, f"“{text[:20]}”不是日期；请写成 YYYY-MM-DD，如 2026-11-30") from None


def _midnight(day: datetime.date) -> str:
    """When a day of China begins, as the store writes it."""
    begin = datetime.datetime.combine(day, datetime.time(), CHINA)
    return begin.astimezone(datetime.UTC).isoformat(timespec="seconds")
