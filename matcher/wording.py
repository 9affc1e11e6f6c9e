"""Records and subscriptions in the words of mails and pages."""

from __future__ import annotations

import datetime
import re

from matcher.normal import clean
from matcher.rank import LEVEL_NAMES
from matcher.records import KIND_NAMES, PROGRAMME_NAMES, Institution, Need, kind_of
from matcher.regions import name_of
from matcher.rows import StoredRecord
from matcher.subscribers import FREQUENCY_NAMES, Subscription

HIDDEN_OWNER = "单位未公开"
UNKNOWN_OWNER = "单位不详"
# Of a title in a mail: three lines on a phone.
TITLE_SHOWN = 90
# Of a text that is followed: enough to know it by.
TEXT_SHOWN = 40
_SPACE = re.compile(r"\s+")


def one_line(text: str, length: int = TITLE_SHOWN) -> str:
    """A text without line breaks, markup and characters that cannot be seen, cut where it is too long."""
    plain = _SPACE.sub(" ", clean(text)).strip()
    return plain if len(plain) <= length else f"{plain[: length - 1].rstrip()}…"


def title(stored: StoredRecord) -> str:
    """What a record is called; never empty, so that its link can be seen."""
    return one_line(stored.record.title) or stored.id


def owner(stored: StoredRecord) -> str:
    """The institution of a record, as far as its reader may know it."""
    record = stored.record
    if isinstance(record, Institution):
        return record.type or KIND_NAMES["institution"]
    if record.institution:
        return one_line(record.institution)
    return UNKNOWN_OWNER if record.visibility == "public" else HIDDEN_OWNER


def region(stored: StoredRecord) -> str:
    """Province, city and county in one; empty if none is known."""
    record = stored.record
    # A municipality is its own province.
    return "".join(dict.fromkeys(one_line(part) for part in (record.province, record.city, record.county) if part))


def programmes(stored: StoredRecord) -> list[str]:
    """The names of a record's programmes, most likely first."""
    return [PROGRAMME_NAMES[code] for code in sorted(stored.tags, key=lambda code: (-stored.tags[code], code))]


def day(date: str | None) -> str:
    """An ISO date of any precision: 2027年6月30日, 2027年6月; empty for none."""
    return "".join(f"{int(part)}{unit}" for part, unit in zip((date or "").split("-"), "年月日", strict=False) if part)


def month_and_day(date: str) -> str:
    """11月23日."""
    parsed = datetime.date.fromisoformat(date)
    return f"{parsed.month}月{parsed.day}日"


def need_terms(stored: StoredRecord) -> list[tuple[str, str]]:
    """What a need offers and until when, each with its label."""
    need = stored.record
    if not isinstance(need, Need):
        return []
    budget = one_line(need.budget or "", TEXT_SHOWN) or ("面议" if need.negotiable else "")
    return [(label, value) for label, value in (("预算", budget), ("截止", day(need.deadline))) if value]


def level(number: int) -> str:
    """强相关, 较强相关 or 弱相关."""
    return LEVEL_NAMES[number]


def followed(subscription: Subscription, subject: StoredRecord | None) -> str:
    """What a subscription follows: 技术需求《…》的匹配.

    :param subject: the record or institution that it follows, as the reader may see it. Without it, only the
        number is told.
    """
    number = f"（编号 {subscription.subject}）"
    if subscription.follows == "own":
        return "您账号名下全部记录的匹配"
    if subscription.follows == "text":
        return f"“{one_line(subscription.title or subscription.text, TEXT_SHOWN)}”的匹配"
    if subscription.follows == "institution":
        return f"{title(subject) if subject else f'机构{number}'}全部成果和专利的匹配"
    kind = kind_of(subscription.subject or "")
    return f"{KIND_NAMES[kind] if kind else '记录'}{f'《{title(subject)}》' if subject else number}的匹配"


def conditions(subscription: Subscription) -> str:
    """How often, from which level on, and what else it asks for, in one line."""
    least = subscription.min_level
    upwards = "" if least == max(LEVEL_NAMES) else "以上"
    parts = [f"{FREQUENCY_NAMES[subscription.frequency]}，关联度 {least} 级（{LEVEL_NAMES[least]}）{upwards}"]
    if subscription.kinds:
        parts.append(f"只看{'、'.join(KIND_NAMES[kind] for kind in subscription.kinds)}")
    if subscription.programmes:
        parts.append(f"专项限{'、'.join(PROGRAMME_NAMES[code] for code in subscription.programmes)}")
    if subscription.regions:
        parts.append(f"地区限{'、'.join(name_of(code) or code for code in subscription.regions)}")
    return "；".join(parts)
