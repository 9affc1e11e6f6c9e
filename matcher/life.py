"""When a record stops taking part in matches.

A need does past its deadline, a patent when it has lapsed, an achievement when it has been signed. Such a
record stays in the store with its history. Days are numbers such as 20261231, which compare like dates.
"""

from __future__ import annotations

import calendar
import datetime

from matcher.records import Achievement, Need, Patent, Record

NEVER = 9999_12_31
# The last day of what is over already, whatever the clock says.
OVER = 0
# All of the country keeps this time, and a deadline is meant in it.
CHINA = datetime.timezone(datetime.timedelta(hours=8))
# Of a patent's legal status; 有效, 授权, 公开 and 实质审查的生效 are alive.
_DEAD_PATENT = ("失效", "终止", "撤回", "驳回", "放弃", "届满", "全部无效", "宣告无效", "撤销", "未缴年费", "权利丧失")
# With these the same words say the contrary: 专利权的恢复, 驳回后复审.
_ALIVE_AFTER_ALL = ("未失效", "恢复", "复审")
_SIGNED = ("已签约", "已转让", "已转化", "已成交", "已许可", "已售", "签约", "signed")
# Years of protection from the day of application, by the letter of the publication's kind (Patent Law, article 42;
# designs applied for before June 2021 have ten, which their legal status tells).
_PROTECTION = {"A": 20, "B": 20, "C": 20, "U": 10, "Y": 10, "S": 15, "D": 15}


def today() -> int:
    """The day it is in China."""
    return _number(datetime.datetime.now(CHINA).date())


def last_day(record: Record) -> int:
    """The last day on which a record takes part in matches: `NEVER`, `OVER`, or a day."""
    if isinstance(record, Need):
        return min(_end(record.deadline), _end(record.expires))
    if isinstance(record, Patent):
        return _end_of_patent(record)
    if isinstance(record, Achievement) and record.status and record.status.strip().lower().startswith(_SIGNED):
        return OVER
    return NEVER


def _end_of_patent(patent: Patent) -> int:
    status = patent.legal_status or ""
    dead = status == "无效" or any(word in status for word in _DEAD_PATENT)
    if dead and not any(word in status for word in _ALIVE_AFTER_ALL):
        return OVER
    letter = next((c for c in reversed(patent.publication_number or "") if c.isalpha()), "")
    years = _PROTECTION.get(letter)
    if not years or not patent.application_date:
        return NEVER
    day = _end(patent.application_date)
    return day if day in (NEVER, OVER) else day + years * 10_000


def _end(date: str | None) -> int:
    """The last day of a date of any precision."""
    if not date:
        return NEVER
    year, *rest = (int(part) for part in date.split("-"))
    month = rest[0] if rest else 12
    day = rest[1] if len(rest) > 1 else calendar.monthrange(year, month)[1]
    return _number(datetime.date(year, month, day))


def _number(day: datetime.date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
