"""What a mail of the outbox says at the moment when it is sent, to whoever gets it and with his eyes.

Every record is looked up again: what was withdrawn, hidden or has ended since it was matched is not mailed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from matcher.briefs import Brief, BriefItem, BriefSection
from matcher.digests import NEWS, DigestBook, Item, Plan
from matcher.engine import Matcher
from matcher.errors import NotFound
from matcher.following import Following
from matcher.letter_texts import confirmation_letter, digest_letter, news_letter
from matcher.letters import Letter
from matcher.outbox import Waiting
from matcher.rows import StoredRecord
from matcher.subscribers import Subscriber, Subscription
from matcher.visibility import PUBLIC

_GONE = "邮件或收件人已被删除"
_SUPPRESSED = "收件人已退订，或邮箱已停用"
_NOTHING_LEFT = "其中的内容都已撤回、结束或不再公开，或订阅已取消"
_NOTHING_TO_CONFIRM = "没有等待确认的订阅"


@dataclass(frozen=True)
class Composer:
    """Composes mails.

    :param sender_name: whom readers see as the sender.
    """

    matcher: Matcher
    sender_name: str

    @cached_property
    def _following(self) -> Following:
        return Following(self.matcher.store, self.matcher.accounts)

    def compose(self, row: Waiting) -> Letter | str:
        """A mail that waits as a letter; a sentence if there is nothing to say any more, and why."""
        try:
            subscriber = self.matcher.subscriptions.by_key(row.subscriber)
        except NotFound:
            return _GONE
        if subscriber.suppressed_at is not None:
            return _SUPPRESSED
        return self._confirmation(subscriber) if row.kind == "confirm" else self._digest(row)

    def letter(self, brief: Brief) -> Letter:
        """A digest in its form."""
        write = digest_letter if brief.sections else news_letter
        return write(brief, self.matcher.settings.base_url, self.sender_name)

    def brief(self, plan: Plan, day: str) -> Brief | None:
        """What a digest says now; None if nothing is left to say."""
        if not plan.subscriber.personalised:
            ids = [item.record_id for item in plan.items if item.level == NEWS]
            known = self.matcher.records(ids, PUBLIC)
            news = tuple(known[id_] for id_ in ids if id_ in known and known[id_].live)
            return Brief(plan.subscriber, day, news=news) if news else None
        by_subscription: dict[int, list[Item]] = {}
        for item in plan.items:
            if item.level != NEWS:
                by_subscription.setdefault(item.subscription, []).append(item)
        sections = (self._section(one, by_subscription.get(one.key, []), plan) for one in plan.due)
        filled = tuple(section for section in sections if section and section.items)
        return Brief(plan.subscriber, day, filled) if filled else None

    def _digest(self, row: Waiting) -> Letter | str:
        read = DigestBook(self.matcher.store.database).read(row.key)
        if read is None:
            return _GONE
        brief = self.brief(*read)
        return self.letter(brief) if brief else _NOTHING_LEFT

    def _confirmation(self, subscriber: Subscriber) -> Letter | str:
        waiting = self.matcher.subscriptions.waiting_confirmation(subscriber)
        if not waiting:
            return _NOTHING_TO_CONFIRM
        accounts = {one.account for one in waiting if one.account}
        askers = {key: self.matcher.accounts.by_key(key).name for key in sorted(accounts)}
        base_url = self.matcher.settings.base_url
        return confirmation_letter(subscriber, waiting, base_url, self.sender_name, askers)

    def _section(self, subscription: Subscription, items: list[Item], plan: Plan) -> BriefSection | None:
        viewer = self._following.viewer(subscription)
        if viewer is None or not items:
            return None
        ids = {item.record_id for item in items} | {item.asking_id for item in items if item.asking_id}
        known = self.matcher.records(sorted(ids), viewer)
        told = tuple(_told(item, known) for item in items if _tellable(item, known))
        subject = self._following.subject(subscription, viewer)
        return BriefSection(subscription, subject, told, plan.omitted.get(subscription.id, 0))


def _tellable(item: Item, known: dict[str, StoredRecord]) -> bool:
    asking = not item.asking_id or (item.asking_id in known and known[item.asking_id].live)
    return asking and item.record_id in known and known[item.record_id].live


def _told(item: Item, known: dict[str, StoredRecord]) -> BriefItem:
    found = known[item.record_id]
    # A passage of a text that has been changed since may be what was taken out of it.
    same = item.why.get("revision") == found.revision
    return BriefItem(
        found=found,
        asking=known.get(item.asking_id),
        level=item.level,
        level_before=item.level_before,
        terms=tuple(item.why.get("terms", ())) if same else (),
        passage=item.why.get("passage", "") if same else "",
    )
