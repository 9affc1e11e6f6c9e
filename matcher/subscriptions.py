"""Who follows what: subscriptions from the wish to the consent, the end, and the forgetting.

Nobody gets mail that he did not ask for. An address that somebody typed is asked first (double opt-in); nothing
else goes to it before it says yes, and without an answer it is forgotten. Whoever typed it learns nothing about it:
not whether it is known, what else it follows, or whether it wants no mail at all.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from matcher import tables
from matcher.addresses import check_address, same_address
from matcher.audit import OPERATOR_ACCOUNT, Entry, now, write
from matcher.consent import CONFIRM_DAYS, UNCONFIRMED_LIMIT, ask, confirm, earliest, is_open
from matcher.database import Database, batches
from matcher.errors import InvalidSubscription, NotFound
from matcher.forgotten import recall
from matcher.recipients import forget_idle
from matcher.store import ERASED_SOURCE, no_record
from matcher.subscribers import Subscriber, Subscription, Suppressed
from matcher.visibility import OPERATOR, PUBLIC, Viewer
from matcher.wishes import Wish

# Of one account to one address.
SUBSCRIPTION_LIMIT = 50
# Too much to guess: whoever knows a token has had the mail.
_TOKEN_BYTES = 32
_PRINTABLE = 40
# The person may take back what he said, not what the operator did.
_BY_WEIGHT: tuple[Suppressed, ...] = ("bounced", "unsubscribed", "operator")
_SUBSCRIPTION_FIELD = "订阅"
_ID_FIELD = "编号"
_OTHER_KIND = "所指的记录不是这一类；机构请按机构订阅，成果、专利和需求请按记录订阅"
_HIDDEN = "该记录不对这个账号公开，订阅不会有内容；请以能看到它的账号订阅（--account）"
_NO_TOKEN = "这个链接已失效，或不完整。请使用最近一封邮件中的链接。"


class SubscriptionBook:
    """The subscriptions in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, email: str, wanted: Wish, account: int = 0, confirmed: bool = False, by_operator: bool = False
    ) -> Subscription:
        """Let an address follow something; the same wish again gives the same subscription.

        Unless it is confirmed, the address is asked in a mail, which waits in the outbox: at most one a day,
        none to who wants no mail. What the account has had confirmed by this address before needs no question.

        :param account: whose eyes decide what the subscription may bring; 0 for what is public.
        :param confirmed: consent was given elsewhere.
        :param by_operator: the command line, which may also point an address at a hidden record of its own, and may
            ask as many addresses as it wants.
        :raises InvalidSubscription: naming the field and the reason.
        :raises NotFound: if there is no such account, or no such record that the account may see.
        """
        address = check_address(email)
        if wanted.follows == "own" and not account:
            raise InvalidSubscription(_SUBSCRIPTION_FIELD, "关注自己的记录需要账号；请写明是哪个账号")
        moment = now()
        with self._database.writing() as connection:
            viewer = _viewer(connection, account)
            subject = _subject(connection, wanted, viewer, by_operator)
            subscriber = _find_or_make(connection, address, moment)
            own = [s for s in _standing(connection, subscriber) if s.account == account]
            consent = confirmed or any(s.active for s in own)
            id_ = next((s.id for s in own if _same(s, wanted, subject)), None)
            if id_ is None:
                _require_room(connection, own, 0 if by_operator else account, consent)
                id_ = f"sub-{secrets.token_hex(8)}"
                row = _row(wanted, subject) | {"id": id_, "subscriber": subscriber.key, "account": account}
                connection.execute(insert(tables.subscriptions).values(row | {"created_at": moment}))
                actor = OPERATOR_ACCOUNT if by_operator else account
                details = {"subscriber": subscriber.id, "follows": wanted.follows}
                write(connection, [Entry(actor, "subscription-add", id_, details)])
            if consent:
                confirm(connection, subscriber, [id_], moment, "elsewhere" if confirmed else "before")
            else:
                ask(connection, subscriber, id_, moment)
            return _one(connection, tables.subscriptions.c.id == id_, id_)

    # ------------------------------------------------------------ people

    def by_token(self, token: str) -> Subscriber:
        """Whose pages a token opens.

        :raises NotFound: if nobody's.
        """
        return self._subscriber(tables.subscribers.c.token == token, token, _NO_TOKEN)

    def by_id(self, id_: str) -> Subscriber:
        """A subscriber by the public id.

        :raises NotFound: if there is none.
        """
        return self._subscriber(tables.subscribers.c.id == id_, id_, f"没有编号为“{id_[:_PRINTABLE]}”的订阅人。")

    def by_key(self, key: int) -> Subscriber:
        """A subscriber by the store's number.

        :raises NotFound: if there is none.
        """
        return self._subscriber(tables.subscribers.c.key == key, "", "该订阅人已被删除。")

    def by_email(self, email: str) -> Subscriber | None:
        """Whose address this is; None if nobody's here.

        :raises InvalidSubscription: if it is no address.
        """
        address = check_address(email)
        with self._database.reading.connect() as connection:
            return _by_address(connection, address)

    def addresses(self, subscribers: Collection[int]) -> dict[int, str]:
        """The addresses of subscribers, by the store's numbers."""
        s = tables.subscribers.c
        found: dict[int, str] = {}
        with self._database.reading.connect() as connection:
            for part in batches(sorted(set(subscribers))):
                query = select(s.key, s.email).where(s.key.in_(part))
                found.update((key, email) for key, email in connection.execute(query))
        return found

    def known(self, email: str) -> Subscriber:
        """Whose address this is; made known where it is not, as for one that is to get no mail.

        :raises InvalidSubscription: if it is no address.
        """
        address = check_address(email)
        with self._database.writing() as connection:
            return _find_or_make(connection, address, now())

    def suppress(self, subscriber: Subscriber, why: Suppressed) -> None:
        """Send an address nothing any more, whoever asks; a weightier reason takes the place of a lighter one."""
        s = tables.subscribers.c
        fresh = or_(s.suppressed_at.is_(None), s.suppressed_for.in_(_BY_WEIGHT[: _BY_WEIGHT.index(why)]))
        self._change(subscriber, fresh, "mail-suppress", {"why": why}, suppressed_at=now(), suppressed_for=why)

    def resume(self, subscriber: Subscriber, by_operator: bool = False) -> None:
        """Send an address mail again: what it had confirmed, and what it will."""
        suppressed = tables.subscribers.c.suppressed_at.is_not(None)
        told = {"by": "operator" if by_operator else "mail"}
        self._change(subscriber, suppressed, "mail-resume", told, suppressed_at=None, suppressed_for=None, bounces=0)

    def personalise(self, subscriber: Subscriber, personalised: bool) -> None:
        """Send matches, or news that are the same for everybody."""
        value = int(personalised)
        other = tables.subscribers.c.personalised != value
        self._change(subscriber, other, "mail-personalise", {"personalised": personalised}, personalised=value)

    # ------------------------------------------------------------ subscriptions

    def of(self, subscriber: Subscriber) -> list[Subscription]:
        """What an address follows or was asked about, oldest first."""
        with self._database.reading.connect() as connection:
            return _standing(connection, subscriber)

    def waiting_confirmation(self, subscriber: Subscriber) -> list[Subscription]:
        """What an address was asked about and may still say yes to, oldest first."""
        return [s for s in self.of(subscriber) if not s.active]

    def of_account(self, viewer: Viewer, limit: int, before: str | None = None) -> list[Subscription]:
        """What somebody set up and has not ended, latest first; everybody's for the operator.

        :param before: the id of the last one of the page before this one.
        """
        s = tables.subscriptions.c
        mine = [s.ended_at.is_(None), or_(s.confirmed_at.is_not(None), s.created_at >= earliest())]
        if viewer != OPERATOR:
            mine.append(s.account == viewer.account)
        query = select(tables.subscriptions).where(*mine)
        if before is not None:
            # An ended one still tells where the page before ended.
            query = query.where(s.key < select(s.key).where(s.id == before).scalar_subquery())
        with self._database.reading.connect() as connection:
            return [to_subscription(row) for row in connection.execute(query.order_by(s.key.desc()).limit(limit))]

    def get(self, id_: str, viewer: Viewer) -> Subscription:
        """What `of_account` lists, by its id.

        :raises NotFound: if there is none of the viewer's.
        """
        with self._database.reading.connect() as connection:
            return _own(connection, id_, viewer)

    def confirm(self, subscriber: Subscriber, ids: Collection[str] | None = None) -> list[Subscription]:
        """Say yes in the name of an address: to all that it was asked about, or to some of it.

        :returns: what was confirmed: nothing that is confirmed already, has ended, or was asked too long ago.
        """
        moment = now()
        with self._database.writing() as connection:
            waiting = [s for s in _standing(connection, subscriber) if not s.active and (ids is None or s.id in ids)]
            confirmed = [s.id for s in waiting]
            confirm(connection, subscriber, confirmed, moment, "mail")
            s = tables.subscriptions.c
            query = select(tables.subscriptions).where(s.id.in_(confirmed)).order_by(s.key)
            return [to_subscription(row) for row in connection.execute(query)]

    def end(self, subscriber: Subscriber, id_: str) -> None:
        """Let an address not follow something any more.

        :raises NotFound: if it does not.
        """
        with self._database.writing() as connection:
            found = next((s for s in _standing(connection, subscriber) if s.id == id_), None)
            if found is None:
                raise NotFound(_no_subscription(id_))
            _end(connection, found, OPERATOR_ACCOUNT, "mail")

    def end_by_account(self, id_: str, viewer: Viewer) -> None:
        """The same, by whoever set it up.

        :raises NotFound: if there is none of the viewer's.
        """
        with self._database.writing() as connection:
            _end(connection, _own(connection, id_, viewer), viewer.account, "account")

    def expire(self) -> int:
        """Forget what nobody said yes to in time, and those of whom nothing else is known.

        :returns: how many subscriptions were forgotten.
        """
        s = tables.subscriptions.c
        stale = and_(s.confirmed_at.is_(None), s.created_at < earliest())
        with self._database.writing() as connection:
            asked = [*connection.scalars(select(s.subscriber).where(stale).distinct())]
            gone = connection.execute(delete(tables.subscriptions).where(stale)).rowcount
            forget_idle(connection, asked)
        return gone

    def _subscriber(self, condition: Any, given: str, otherwise: str) -> Subscriber:
        with self._database.reading.connect() as connection:
            query = select(tables.subscribers).where(condition)
            row = connection.execute(query).one_or_none() if _can_be_stored(given) else None
        if row is None:
            raise NotFound(otherwise)
        return to_subscriber(row)

    def _change(
        self, subscriber: Subscriber, condition: Any, action: str, told: Mapping[str, Any], **values: Any
    ) -> None:
        s = tables.subscribers.c
        change = update(tables.subscribers).where(s.key == subscriber.key, condition).values(values)
        with self._database.writing() as connection:
            if connection.execute(change).rowcount:
                write(connection, [Entry(OPERATOR_ACCOUNT, action, subscriber.id, told)])


def to_subscriber(row: Row[Any]) -> Subscriber:
    """A subscriber out of a row of `matcher.tables.subscribers`."""
    return Subscriber(**{**row._mapping, "personalised": bool(row.personalised)})


def to_subscription(row: Row[Any]) -> Subscription:
    """A subscription out of a row of `matcher.tables.subscriptions`."""
    lists = {name: tuple(row._mapping[name]) for name in ("kinds", "programmes", "regions")}
    return Subscription(**{**row._mapping, **lists})


def _viewer(connection: Connection, account: int) -> Viewer:
    """Whose eyes decide."""
    if not account:
        return PUBLIC
    a = tables.accounts.c
    role = connection.execute(select(a.role).where(a.key == account, a.closed_at.is_(None))).scalar()
    if role is None:
        raise NotFound("没有这个账号，或它已关闭。")
    return Viewer(role, account)


def _subject(connection: Connection, wanted: Wish, viewer: Viewer, by_operator: bool) -> str | None:
    """The id of what is followed: of a record that another stands for, the other's."""
    if wanted.subject is None:
        return None
    r = tables.records.c
    query = select(r.id, r.kind, r.visibility, r.owner, r.merged_into)
    query = query.where(r.withdrawn == 0, r.source != ERASED_SOURCE)
    given = wanted.subject if _can_be_stored(wanted.subject) else ""
    row = connection.execute(query.where(r.id == given)).one_or_none()
    if row is not None and row.merged_into:
        row = connection.execute(query.where(r.id == row.merged_into)).one_or_none()
    shows = row is not None and viewer.sight.shows(row.kind, row.visibility, row.owner)
    if row is not None and by_operator and not shows and (viewer.account or row.owner):
        raise InvalidSubscription(_ID_FIELD, _HIDDEN)
    if row is None or not (shows or by_operator):
        raise NotFound(no_record(wanted.subject))
    if (row.kind == "institution") != (wanted.follows == "institution"):
        raise InvalidSubscription(_ID_FIELD, _OTHER_KIND)
    subject: str = row.id
    return subject


def _find_or_make(connection: Connection, address: str, moment: str) -> Subscriber:
    if (known := _by_address(connection, address)) is not None:
        return known
    erased = recall(connection, address)
    row = {
        "id": f"sbr-{secrets.token_hex(8)}",
        "email": address,
        "token": secrets.token_urlsafe(_TOKEN_BYTES),
        "created_at": moment,
        "suppressed_at": moment if erased else None,
        "suppressed_for": "unsubscribed" if erased else None,
    }
    connection.execute(insert(tables.subscribers).values(row))
    made = select(tables.subscribers).where(tables.subscribers.c.id == row["id"])
    return to_subscriber(connection.execute(made).one())


def _by_address(connection: Connection, address: str) -> Subscriber | None:
    query = select(tables.subscribers).where(func.lower(tables.subscribers.c.email) == same_address(address))
    row = connection.execute(query).one_or_none()
    return to_subscriber(row) if row else None


def _standing(connection: Connection, subscriber: Subscriber) -> list[Subscription]:
    """Those of a subscriber that have neither ended nor waited too long for an answer, oldest first."""
    s = tables.subscriptions.c
    query = select(tables.subscriptions).where(s.subscriber == subscriber.key, s.ended_at.is_(None)).order_by(s.key)
    return [found for row in connection.execute(query) if (found := to_subscription(row)).active or is_open(found)]


def _row(wanted: Wish, subject: str | None) -> dict[str, Any]:
    lists = {name: list(getattr(wanted, name)) for name in ("kinds", "programmes", "regions")}
    return {**vars(wanted), **lists, "subject": subject}


def _same(known: Subscription, wanted: Wish, subject: str | None) -> bool:
    return all(
        getattr(known, name) == (subject if name == "subject" else value) for name, value in vars(wanted).items()
    )


def _require_room(connection: Connection, own: Sequence[Subscription], account: int, consent: bool) -> None:
    """:raises InvalidSubscription: if the account has set up too many already."""
    if len(own) >= SUBSCRIPTION_LIMIT:
        raise InvalidSubscription(
            _SUBSCRIPTION_FIELD, f"您已为这个邮箱建立 {SUBSCRIPTION_LIMIT} 个订阅；请先取消不再需要的"
        )
    if consent or not account:
        return
    s = tables.subscriptions.c
    # Ended ones count too: else one could write to strangers without end by taking each question back.
    asked = select(func.count()).where(s.account == account, s.confirmed_at.is_(None), s.created_at >= earliest())
    if connection.execute(asked).scalar_one() >= UNCONFIRMED_LIMIT:
        raise InvalidSubscription(
            _SUBSCRIPTION_FIELD,
            f"您有 {UNCONFIRMED_LIMIT} 个订阅还没有得到收件人确认；请等他们确认，或等 {CONFIRM_DAYS} 天后自动失效",
        )


def _end(connection: Connection, found: Subscription, actor: int, by: str) -> None:
    s = tables.subscriptions.c
    connection.execute(update(tables.subscriptions).where(s.key == found.key).values(ended_at=now()))
    write(connection, [Entry(actor, "subscription-end", found.id, {"by": by})])


def _own(connection: Connection, id_: str, viewer: Viewer) -> Subscription:
    s = tables.subscriptions.c
    found = _one(connection, and_(s.id == id_, s.ended_at.is_(None)), id_)
    if not (viewer.owns(found.account) and (found.active or is_open(found))):
        raise NotFound(_no_subscription(id_))
    return found


def _one(connection: Connection, condition: Any, id_: str) -> Subscription:
    query = select(tables.subscriptions).where(condition)
    row = connection.execute(query).one_or_none() if _can_be_stored(id_) else None
    if row is None:
        raise NotFound(_no_subscription(id_))
    return to_subscription(row)


def _no_subscription(id_: str) -> str:
    return f"没有编号为“{id_[:_PRINTABLE]}”的订阅，或它已结束。"


def _can_be_stored(text: str) -> bool:
    """Databases fail, instead of finding nothing, when asked for NUL or half a surrogate pair."""
    return text.isprintable()
