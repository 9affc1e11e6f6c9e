"""Who follows what, over both databases."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from sqlalchemy import Row, select, update

from matcher import audit, tables
from matcher.accounts import Account, Accounts
from matcher.consent import CONFIRM_DAYS, UNCONFIRMED_LIMIT
from matcher.errors import InvalidSubscription, NotFound
from matcher.life import CHINA
from matcher.records import Achievement, Need, Record
from matcher.store import Store
from matcher.subscriptions import SUBSCRIPTION_LIMIT, SubscriptionBook
from matcher.visibility import OPERATOR, PUBLIC, AccountRole
from matcher.wishes import Wish
from tests.store.examples import institution, put

READER = "Reader@example.test"
DRYING = Wish(follows="text", text="银耳烘干")
# Nine in the evening in China.
EVENING = datetime.datetime(2026, 3, 5, 13, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def book(store: Store) -> SubscriptionBook:
    return SubscriptionBook(store.database)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(EVENING, tick=False) as clock:
        yield clock


def account(store: Store, role: AccountRole = "enterprise") -> Account:
    return Accounts(store.database).add("雾里菌品", role)


def rows(store: Store, table: Any) -> list[Row[Any]]:
    with store.database.reading.connect() as connection:
        return [*connection.execute(select(table).order_by(table.c.key))]


def mails(store: Store) -> list[tuple[str, str, str]]:
    return [(row.kind, row.day, row.state) for row in rows(store, tables.outbox)]


def set_mails(store: Store, state: str) -> None:
    with store.database.writing() as connection:
        connection.execute(update(tables.outbox).values(state=state))


def text(number: int) -> Wish:
    return Wish(follows="text", text=f"银耳烘干 {number}")


# ------------------------------------------------------------ consent


def test_an_address_follows_once_it_says_yes(store: Store, book: SubscriptionBook) -> None:
    made = book.add(READER, DRYING)
    person = book.by_email(READER)
    assert person is not None
    assert (made.active, book.waiting_confirmation(person)) == (False, [made])
    assert [row.kind for row in rows(store, tables.outbox)] == ["confirm"]
    (confirmed,) = book.confirm(person)
    assert confirmed.id == made.id
    assert confirmed.active
    assert (book.of(person), book.waiting_confirmation(person), book.confirm(person)) == ([confirmed], [], [])


def test_one_may_say_yes_to_some_of_it(book: SubscriptionBook) -> None:
    first, second = (book.add(READER, text(number)) for number in range(2))
    person = book.by_key(first.subscriber)
    assert [one.id for one in book.confirm(person, [second.id, "sub-0"])] == [second.id]
    assert [one.active for one in book.of(person)] == [False, True]


def test_the_same_wish_of_the_same_address_is_one_subscription(store: Store, book: SubscriptionBook) -> None:
    one = Wish(follows="text", text=" 银耳烘干 ", regions=("四川省", "511922"), programmes=("food", "agriculture"))
    other = Wish(follows="text", text="银耳烘干", regions=("510000",), programmes=("agriculture", "food", "food"))
    made = book.add("Reader@Example.TEST", one)
    assert book.add(" reader@example.test", other).id == made.id
    assert [row.email for row in rows(store, tables.subscribers)] == ["Reader@example.test"]
    # Of another account it is another: who sees more is told more.
    assert book.add(READER, one, account(store).key).id != made.id


def test_an_address_is_asked_no_more_than_once_a_day(
    store: Store, book: SubscriptionBook, clock: time_machine.Traveller
) -> None:
    book.add(READER, text(1))
    book.add(READER, text(2))
    assert mails(store) == [("confirm", "2026-03-05", "waiting")]
    set_mails(store, "sent")
    # What it does not tell of waits for the next day, as it is in China.
    book.add(READER, text(3))
    book.add(READER, text(3))
    assert mails(store)[1:] == [("confirm", "2026-03-06", "waiting")]
    begins = datetime.datetime.fromisoformat(rows(store, tables.outbox)[1].next_at)
    assert begins == datetime.datetime(2026, 3, 6, tzinfo=CHINA)
    clock.move_to(EVENING + DAY)
    book.add(READER, text(4))
    assert len(mails(store)) == 2
    set_mails(store, "failed")
    book.add(READER, text(4))
    assert mails(store)[2:] == [("confirm", "2026-03-07", "waiting")]


def test_who_wants_no_mail_is_not_asked(store: Store, book: SubscriptionBook) -> None:
    book.suppress(book.known(READER), "unsubscribed")
    told = book.add(READER, DRYING)
    assert mails(store) == []
    # Whoever asked reads nothing of that.
    assert vars(told).keys() == vars(book.add("other@example.test", DRYING)).keys()
    assert (told.confirmed_at, told.ended_at) == (None, None)


def test_what_was_agreed_elsewhere_needs_no_question(store: Store, book: SubscriptionBook) -> None:
    assert book.add(READER, DRYING, confirmed=True).active
    assert mails(store) == []
    waiting = book.add("other@example.test", DRYING)
    assert book.add("other@example.test", DRYING, confirmed=True).id == waiting.id
    assert book.get(waiting.id, OPERATOR).active


def test_an_account_is_believed_once_the_address_has_said_yes_to_it(store: Store, book: SubscriptionBook) -> None:
    mine, theirs = account(store), account(store)
    first = book.add(READER, text(1), mine.key)
    person = book.by_key(first.subscriber)
    assert not book.add(READER, text(2), mine.key).active
    book.confirm(person, [first.id])
    assert book.add(READER, text(3), mine.key).active
    assert not book.add(READER, text(3), theirs.key).active
    assert not book.add(READER, text(3)).active
    # Who has ended all of it is asked again.
    for one in book.of(person):
        book.end(person, one.id)
    assert not book.add(READER, text(4), mine.key).active


def test_a_question_is_open_for_some_days_and_then_all_is_forgotten(
    store: Store, book: SubscriptionBook, clock: time_machine.Traveller
) -> None:
    made = book.add(READER, DRYING)
    person = book.by_key(made.subscriber)
    kept = book.add("kept@example.test", DRYING, confirmed=True)
    book.add("kept@example.test", text(2), account(store).key)
    refusing = book.known("refusing@example.test")
    book.add(refusing.email, DRYING)
    book.suppress(refusing, "unsubscribed")
    clock.shift(CONFIRM_DAYS * DAY)
    assert book.waiting_confirmation(person) == [made]
    assert book.expire() == 0
    clock.shift(datetime.timedelta(seconds=1))
    assert (book.waiting_confirmation(person), book.confirm(person)) == ([], [])
    with pytest.raises(NotFound):
        book.get(made.id, OPERATOR)
    assert book.of_account(OPERATOR, 10) == [kept]
    assert book.expire() == 3
    assert [row.email for row in rows(store, tables.subscribers)] == ["kept@example.test", "refusing@example.test"]
    assert {row.subscriber for row in rows(store, tables.outbox)} == {kept.subscriber, refusing.key}
    with pytest.raises(NotFound, match="链接已失效"):
        book.by_token(person.token)


def test_who_asks_again_gives_time_anew(book: SubscriptionBook, clock: time_machine.Traveller) -> None:
    made = book.add(READER, DRYING)
    clock.shift(CONFIRM_DAYS * DAY)
    assert book.add(READER, DRYING).id == made.id
    clock.shift(CONFIRM_DAYS * DAY)
    assert len(book.confirm(book.by_key(made.subscriber))) == 1


# ------------------------------------------------------------ limits


def test_an_address_gets_no_more_than_so_many_of_one_account(store: Store, book: SubscriptionBook) -> None:
    own = account(store).key
    for number in range(SUBSCRIPTION_LIMIT):
        book.add(READER, text(number), own, confirmed=True)
    with pytest.raises(InvalidSubscription, match="50 个订阅"):
        book.add(READER, text(-1), own)
    assert book.add(READER, text(0), own).active
    # What others have set up is nobody's business.
    book.add(READER, text(-1), account(store).key)


def test_an_account_cannot_write_to_strangers_without_end(store: Store, book: SubscriptionBook) -> None:
    mine = account(store)
    for number in range(UNCONFIRMED_LIMIT):
        made = book.add(f"stranger{number}@example.test", DRYING, mine.key)
        book.end_by_account(made.id, mine.viewer)
    with pytest.raises(InvalidSubscription, match="还没有得到收件人确认"):
        book.add("another@example.test", DRYING, mine.key)
    assert len(mails(store)) == UNCONFIRMED_LIMIT
    assert book.by_email("another@example.test") is None
    assert book.add("another@example.test", DRYING, account(store).key)
    assert book.add("another@example.test", DRYING, mine.key, by_operator=True)


# ------------------------------------------------------------ what may be followed


def follow(record: Record) -> Wish:
    return Wish(follows="institution" if record.kind == "institution" else "record", subject=record.id)


def test_only_what_one_may_see_can_be_followed(store: Store, book: SubscriptionBook) -> None:
    mine, theirs, broker = account(store), account(store), account(store, "intermediary")
    public = Achievement(source="平台", source_id="1", title="热泵烘干")
    hidden = Need(source="企业", source_id="2", title="银耳烘干节能", visibility="private")
    brokers = Need(source="企业", source_id="3", title="木耳烘干节能", visibility="intermediaries")
    put(store, public)
    store.upsert([(hidden, None), (brokers, None)], owner=mine.key)
    assert book.add(READER, follow(public)).subject == public.id
    for record, allowed in ((hidden, [mine.key]), (brokers, [mine.key, broker.key])):
        for own in (mine.key, theirs.key, broker.key, 0):
            if own in allowed:
                assert book.add(READER, follow(record), own).subject == record.id
            else:
                with pytest.raises(NotFound, match="没有编号为"):
                    book.add("none@example.test", follow(record), own)
                # The operator is told why: it would bring nothing.
                with pytest.raises(InvalidSubscription, match="不对这个账号公开"):
                    book.add("none@example.test", follow(record), own, by_operator=True)
    assert book.by_email("none@example.test") is None


def test_the_operator_may_point_an_address_at_a_hidden_record_of_his_own(store: Store, book: SubscriptionBook) -> None:
    hidden = Need(source="企业", source_id="2", title="银耳烘干节能", visibility="private")
    put(store, hidden)
    assert book.add(READER, follow(hidden), by_operator=True).subject == hidden.id
    with pytest.raises(NotFound):
        book.add(READER, follow(hidden))


def test_what_is_not_there_or_gone_or_of_another_sort_cannot_be_followed(store: Store, book: SubscriptionBook) -> None:
    gone = Achievement(source="平台", source_id="1", title="热泵烘干", institution="蜀北大学")
    put(store, gone, institution("蜀北大学"))
    store.withdraw(gone.id)
    for subject in (gone.id, "ach-0", "\0", "\ud800"):
        with pytest.raises(NotFound):
            book.add(READER, Wish(follows="record", subject=subject), by_operator=True)
    university = institution("蜀北大学").id
    assert book.add(READER, Wish(follows="institution", subject=university)).subject == university
    with pytest.raises(InvalidSubscription, match="机构请按机构订阅"):
        book.add(READER, Wish(follows="record", subject=university))


def test_a_duplicate_is_followed_by_the_record_that_stands_for_it(store: Store, book: SubscriptionBook) -> None:
    first, second = (Achievement(source="平台", source_id=str(n), title="热泵烘干") for n in range(2))
    put(store, first, second)
    with store.database.writing() as connection:
        merged = update(tables.records).where(tables.records.c.id == second.id).values(merged_into=first.id)
        connection.execute(merged)
    assert book.add(READER, follow(second)).id == book.add(READER, follow(first)).id


def test_ones_own_records_need_an_account_that_is_open(store: Store, book: SubscriptionBook) -> None:
    own, mine = Wish(follows="own"), account(store)
    with pytest.raises(InvalidSubscription, match="需要账号"):
        book.add(READER, own, by_operator=True)
    assert book.add(READER, own, mine.key).follows == "own"
    Accounts(store.database).close(mine.id)
    for gone in (mine.key, 999):
        with pytest.raises(NotFound, match="没有这个账号"):
            book.add(READER, own, gone)


# ------------------------------------------------------------ whose they are


def test_each_account_has_its_own(store: Store, book: SubscriptionBook) -> None:
    mine, theirs = account(store), account(store, "admin")
    made = [book.add(READER, text(number), mine.key) for number in range(3)]
    book.add(READER, DRYING, theirs.key)
    pages: list[str] = []
    while page := book.of_account(mine.viewer, 2, pages[-1] if pages else None):
        pages += [one.id for one in page]
    assert pages == [one.id for one in reversed(made)]
    assert len(book.of_account(OPERATOR, 10)) == 4
    assert book.of_account(PUBLIC, 10) == []
    for stranger in (theirs.viewer, PUBLIC):
        with pytest.raises(NotFound):
            book.get(made[0].id, stranger)
        with pytest.raises(NotFound):
            book.end_by_account(made[0].id, stranger)
    book.end_by_account(made[0].id, mine.viewer)
    for gone in (made[0].id, "sub-0", "\0"):
        with pytest.raises(NotFound):
            book.get(gone, mine.viewer)
    assert [one.id for one in book.of_account(mine.viewer, 10, made[1].id)] == []
    # What has ended may be begun anew.
    assert book.add(READER, text(0), mine.key).id != made[0].id


def test_an_address_ends_what_it_follows_and_nothing_of_others(book: SubscriptionBook) -> None:
    mine, other = (book.add(email, DRYING, confirmed=True) for email in (READER, "other@example.test"))
    person = book.by_key(mine.subscriber)
    with pytest.raises(NotFound):
        book.end(person, other.id)
    book.end(person, mine.id)
    assert book.of(person) == []
    with pytest.raises(NotFound):
        book.end(person, mine.id)
    assert book.get(other.id, OPERATOR).active


def test_no_mail_at_all_until_the_person_says_otherwise(book: SubscriptionBook) -> None:
    person = book.known(READER)
    assert book.known("reader@example.test") == person
    for why in ("bounced", "unsubscribed", "operator"):
        book.suppress(person, why)  # type: ignore[arg-type]
        told = book.by_token(person.token)
        assert (told.suppressed_for, told.suppressed_at is not None) == (why, True)
    # The operator's word stands, whatever comes after it.
    book.suppress(person, "unsubscribed")
    book.suppress(person, "bounced")
    assert book.by_id(person.id) == told
    book.resume(person)
    assert book.by_id(person.id) == person
    book.personalise(person, False)
    assert not book.by_id(person.id).personalised
    for unknown in ("", "\0", "sbr-0"):
        with pytest.raises(NotFound):
            book.by_id(unknown)
        with pytest.raises(NotFound):
            book.by_token(unknown)


def test_the_trail_tells_what_happened_and_names_no_address(store: Store, book: SubscriptionBook) -> None:
    mine = account(store)
    made = book.add(READER, DRYING, mine.key)
    person = book.by_key(made.subscriber)
    book.confirm(person)
    book.end_by_account(made.id, mine.viewer)
    book.suppress(person, "operator")
    book.suppress(person, "operator")
    book.resume(person, by_operator=True)
    book.personalise(person, False)
    told = [(one.account, one.action) for one in reversed(audit.history(store.database, made.id))]
    assert told == [(mine.key, "subscription-add"), (0, "subscription-confirm"), (mine.key, "subscription-end")]
    actions = [one.action for one in reversed(audit.history(store.database, person.id))]
    assert actions == ["mail-suppress", "mail-resume", "mail-personalise"]
    assert "example" not in str(rows(store, tables.audit))


def test_two_at_once_make_one_subscription_and_one_mail(store: Store, book: SubscriptionBook) -> None:
    forms = ("reader@example.test", "READER@example.test", "Reader@EXAMPLE.test") * 4
    with ThreadPoolExecutor(6) as pool:
        made = {one.id for one in pool.map(lambda email: book.add(email, DRYING), forms)}
    assert len(made) == 1
    counts = [len(rows(store, table)) for table in (tables.subscribers, tables.subscriptions, tables.outbox)]
    assert counts == [1, 1, 1]
