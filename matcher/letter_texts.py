"""What mails say, as text and as HTML: matches, news for everybody, and the question whether somebody wants them.

Both forms are made from the same entries, so that they cannot say different things. Nothing here is fetched when a
mail is read: no pictures, no fonts, no style sheets, and nothing that tells whether it was read.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from matcher import wording
from matcher.briefs import Brief, BriefItem
from matcher.consent import CONFIRM_DAYS
from matcher.letters import Letter
from matcher.links import person_page, record_link, unsubscribe_page
from matcher.normal import clean
from matcher.privacy import masked
from matcher.records import KIND_NAMES
from matcher.rows import StoredRecord
from matcher.sentences import sentences
from matcher.subscribers import Subscriber, Subscription
from matcher.why_sentence import why_sentence

# Of the first sentence of an abstract, where there is no match to explain.
SUMMARY_SHOWN = 100
# What a mail program would make a link of. Anybody may enter anybody's address: nobody shall send his
# advertisement through us by calling it a subscription.
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:[/:?#]\S*)?", re.I | re.A)
_LEFT_OUT = "［链接已略］"


@dataclass(frozen=True)
class _Entry:
    """One record in a mail.

    :param level: 4 to 2; 0 for news, which have none.
    :param risen: since when it is told again; empty where it is new.
    :param facts: kind, institution, place, day.
    :param terms: what a need offers and until when, as (label, value).
    :param fits: the reader's own record that it fits, and its link.
    """

    number: int
    title: str
    link: str
    level: int
    level_name: str
    risen: str
    facts: tuple[str, ...]
    programmes: tuple[str, ...]
    terms: tuple[tuple[str, str], ...]
    why: str
    fits: tuple[str, str] | None


@dataclass(frozen=True)
class _Section:
    """The entries of one subscription.

    :param reason: why the reader gets them, in one sentence.
    :param omitted: how many more there are.
    """

    heading: str
    link: str | None
    reason: str
    entries: tuple[_Entry, ...]
    omitted: int


def digest_letter(brief: Brief, base_url: str, sender_name: str) -> Letter:
    """The mail of one person's new matches.

    :param base_url: what links begin with, without a slash at the end.
    """
    subscriber = brief.subscriber
    sections = []
    number = 0
    for section in brief.sections:
        entries = []
        for item in section.items:
            number += 1
            entries.append(_match(number, item, subscriber, base_url))
        subscription, subject = section.subscription, section.subject
        link = record_link(base_url, subscriber, subject.id) if subject else None
        reason = f"您订阅了这些匹配：{wording.conditions(subscription)}。"
        heading = wording.followed(subscription, subject)
        sections.append(_Section(heading, link, reason, tuple(entries), section.omitted))
    items = [item for section in brief.sections for item in section.items]
    count = _counted(items)
    subject_line = f"技术匹配简报：{count}（{wording.month_and_day(brief.day)}）"
    values = {
        "heading": "技术匹配简报",
        "lead": f"{wording.day(brief.day)} · {count}",
        "preheader": _levels(items),
        "sections": sections,
        "switch": "改收非个性化资讯",
    }
    return _letter("digest", subscriber, subject_line, base_url, sender_name, values)


def news_letter(brief: Brief, base_url: str, sender_name: str) -> Letter:
    """The mail for those who do not want to be looked at: the latest public offers, the same for everybody.

    :param base_url: what links begin with, without a slash at the end.
    """
    subscriber = brief.subscriber
    entries = [_news(number, stored, subscriber, base_url) for number, stored in enumerate(brief.news, 1)]
    count = f"{len(entries)} 项最新成果和专利"
    values = {
        "heading": "科技成果资讯",
        "lead": f"{wording.day(brief.day)} · {count}",
        "preheader": "公开的最新成果和专利，所有人收到的内容相同。",
        "entries": entries,
        "switch": "改收个性化匹配",
    }
    subject_line = f"科技成果资讯：{count}（{wording.month_and_day(brief.day)}）"
    return _letter("news", subscriber, subject_line, base_url, sender_name, values)


def confirmation_letter(
    subscriber: Subscriber,
    waiting: Sequence[Subscription],
    base_url: str,
    sender_name: str,
    askers: Mapping[int, str] | None = None,
) -> Letter:
    """The mail that asks whether an address wants what was subscribed for it (double opt-in).

    Whose address it is nobody knows yet: a record is told by its number alone.

    :param waiting: the subscriptions to be confirmed.
    :param base_url: what links begin with, without a slash at the end.
    :param askers: names of the accounts that subscribed, by key.
    """
    names = dict.fromkeys((askers or {}).get(one.account, "") for one in waiting)
    known = [wording.one_line(name) for name in names if name]
    wanted = [(_wanted(one), wording.conditions(one)) for one in waiting]
    sender = wording.one_line(sender_name)
    values = {
        "heading": "请确认订阅",
        "lead": f"共 {len(wanted)} 项，{CONFIRM_DAYS} 天内确认有效",
        "preheader": "确认后才会发送匹配简报；不是您本人申请的，不必理会。",
        "wanted": wanted,
        "asker": f"{sender}的账号{'、'.join(f'“{name}”' for name in known)}" if known else f"有人在{sender}",
        "days": CONFIRM_DAYS,
    }
    letter = _letter("confirm", subscriber, "请确认订阅技术匹配简报", base_url, sender_name, values)
    return Letter(letter.to, letter.subject, letter.text, letter.html, None)


def _letter(
    name: str, subscriber: Subscriber, subject: str, base_url: str, sender_name: str, values: Mapping[str, object]
) -> Letter:
    links = {"person": person_page(base_url, subscriber), "unsubscribe": unsubscribe_page(base_url, subscriber)}
    known = {**values, "subject": subject, "links": links, "sender": wording.one_line(sender_name)}
    text, html = (_templates().get_template(f"{name}.{form}").render(known) for form in ("txt", "html"))
    return Letter(subscriber.email, subject, text, html, links["unsubscribe"])


def _match(number: int, item: BriefItem, subscriber: Subscriber, base_url: str) -> _Entry:
    before = item.level_before
    risen = f"关联度由{wording.level(before)}升为{wording.level(item.level)}" if before else ""
    # Where a record has no text, the best passage is its title, which stands above.
    passage = item.passage if clean(item.passage) != clean(item.found.record.title) else ""
    fits = (wording.title(item.asking), record_link(base_url, subscriber, item.asking.id)) if item.asking else None
    why = why_sentence(item.terms, passage)
    return _entry(number, item.found, subscriber, base_url, item.level, risen, why, fits)


def _news(number: int, stored: StoredRecord, subscriber: Subscriber, base_url: str) -> _Entry:
    first = next(iter(sentences(clean(stored.record.abstract))), "")
    return _entry(number, stored, subscriber, base_url, 0, "", wording.one_line(first, SUMMARY_SHOWN), None)


def _entry(
    number: int,
    stored: StoredRecord,
    subscriber: Subscriber,
    base_url: str,
    level: int,
    risen: str,
    why: str,
    fits: tuple[str, str] | None,
) -> _Entry:
    date = "" if stored.record.kind == "need" else wording.day(stored.record.date)
    facts = (KIND_NAMES[stored.record.kind], wording.owner(stored), wording.region(stored), date)
    return _Entry(
        number=number,
        title=wording.title(stored),
        link=record_link(base_url, subscriber, stored.id),
        level=level,
        level_name=wording.level(level) if level else "",
        risen=risen,
        facts=tuple(fact for fact in facts if fact),
        programmes=tuple(wording.programmes(stored)),
        terms=tuple(wording.need_terms(stored)),
        why=why,
        fits=fits,
    )


def _counted(items: Sequence[BriefItem]) -> str:
    risen = sum(item.level_before is not None for item in items)
    parts = [f"{count} 项{what}" for count, what in ((len(items) - risen, "新匹配"), (risen, "关联度上升")) if count]
    return "，".join(parts)


def _levels(items: Sequence[BriefItem]) -> str:
    """How many of each level, and no titles: this is what a locked telephone shows."""
    counts = {level: sum(item.level == level for item in items) for level in (4, 3, 2)}
    return f"其中{'、'.join(f'{wording.level(level)} {count} 项' for level, count in counts.items() if count)}。"


def _wanted(subscription: Subscription) -> str:
    if subscription.follows != "text":
        return wording.followed(subscription, None)
    words = _ADDRESS.sub(_LEFT_OUT, masked(clean(subscription.title or subscription.text)))
    return f"“{wording.one_line(words, wording.TEXT_SHOWN)}”的匹配"


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("matcher"),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
