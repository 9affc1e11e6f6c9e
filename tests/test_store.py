from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher import tables
from matcher.errors import NotFound, SettingError
from matcher.records import Achievement, Institution, Need, Patent, Record, institution_id
from matcher.store import ID_BATCH, Store, StoredRecord

ROOT = Path(__file__).parents[1]
BATCH = 20

# What a child process runs: it writes whole batches, and says so after each that was acknowledged.
WRITER = f"""
import os, signal, sys
from matcher.records import Achievement
from matcher.store import Store

url, name, batches, fatal = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
save_contacts, calls = Store._save_contacts, 0

def save_or_die(*arguments):
    global calls
    calls += 1
    if calls == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    save_contacts(*arguments)

Store._save_contacts = staticmethod(save_or_die)
store = Store(url)
print("open", flush=True)
for batch in range(batches):
    numbers = range(batch * {BATCH}, (batch + 1) * {BATCH})
    records = [Achievement(source=name, source_id=str(n), title=f"成果{{n}}", institution="四川大学") for n in numbers]
    outcomes = store.upsert([(record, "电话") for record in records])
    assert outcomes == ["added"] * {BATCH}
    print(batch, flush=True)
"""


def achievement(number: int | str, title: str = "银耳低温烘干技术", **values: str) -> Achievement:
    return Achievement(source="平台甲", source_id=str(number), title=title, **values)


def institution(name: str, *aliases: str) -> Institution:
    return Institution(source="名录", source_id=name, title=name, aliases=aliases)


def put(store: Store, *records: Record, contact: str | None = None) -> list[str]:
    return [*store.upsert([(record, contact) for record in records])]


def stored(store: Store, record: Record) -> StoredRecord:
    return store.by_id([record.id])[record.id]


def every_change(store: Store, page: int) -> list[StoredRecord]:
    found: list[StoredRecord] = []
    while part := store.changes(found[-1].revision if found else 0, page):
        assert len(part) <= page
        found += part
    return found


def contacts(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "matcher.db") as database:
        rows = database.execute("SELECT contact FROM contacts ORDER BY key").fetchall()
    database.close()
    return [contact for (contact,) in rows]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "matcher.db"
    Store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    children: list[subprocess.Popen[str]] = []

    def start(name: str, batches: int, fatal: int = 0) -> subprocess.Popen[str]:
        arguments = [f"sqlite:///{tmp_path / 'matcher.db'}", name, str(batches), str(fatal)]
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


# ---------------------------------------------------------------- what becomes of a record


def test_a_record_comes_back_as_it_went_in(store: Store) -> None:
    records = [
        Achievement(
            source="平台甲",
            source_id="1",
            title="银耳烘干",
            abstract="正文\n第二段",
            institution="四川大学",
            co_institutions=("西南大学", "农科所"),
            province="四川省",
            city="巴中市",
            county="通江县",
            date="2023-06",
            keywords=("银耳", "烘干"),
            programmes=("agriculture", "food"),
            url="https://example.org",
            visibility="intermediaries",
            maturity="中试",
            cooperation="许可",
        ),
        Patent(
            source="平台甲",
            source_id="CN1A",
            title="一种装置",
            publication_number="CN1A",
            application_number="2021",
            ipc=("F26B9/06", "A23B7/02"),
            legal_status="有效",
            application_date="2021-04-16",
            publication_date="2023-06-27",
            inventors=("甲", "乙"),
        ),
        Need(source="平台甲", source_id="2", title="求烘干", industry="食品", budget="80万", deadline="2027-01-01"),
        institution("四川大学", "川大"),
    ]
    assert put(store, *records) == ["added"] * 4
    found = store.by_id([record.id for record in records])
    assert [found[record.id].record for record in records] == records
    by_key = store.by_key([found[record.id].key for record in records])
    assert {each.id: each for each in by_key.values()} == found


def test_a_record_is_added_then_unchanged_then_updated(store: Store) -> None:
    assert put(store, achievement(1), achievement(2)) == ["added", "added"]
    before = stored(store, achievement(1))
    assert put(store, achievement(1), achievement(2)) == ["unchanged", "unchanged"]
    assert stored(store, achievement(1)) == before
    assert put(store, achievement(1, abstract="补上的正文"), achievement(2)) == ["updated", "unchanged"]
    after = stored(store, achievement(1))
    assert (after.key, after.record.abstract) == (before.key, "补上的正文")
    assert after.revision > before.revision


def test_the_same_file_twice_changes_nothing(store: Store) -> None:
    records = [achievement(number, institution=f"机构{number % 7}") for number in range(2 * ID_BATCH)]
    assert set(put(store, *records)) == {"added"}
    revision, counts = store.revision(), store.counts()
    assert set(put(store, *records)) == {"unchanged"}
    assert (store.revision(), store.counts()) == (revision, counts)


def test_a_record_given_twice_counts_by_its_last_version(store: Store) -> None:
    assert put(store, achievement(1, "旧题"), achievement(1, "新题")) == ["added", "unchanged"]
    assert stored(store, achievement(1)).record.title == "新题"
    assert store.counts() == {"achievement": 1}


def test_a_withdrawn_record_is_out_of_counts_and_lists_but_not_forgotten(store: Store) -> None:
    put(store, achievement(1), achievement(2))
    store.withdraw(achievement(1).id)
    assert [each.record.source_id for each in store.records()] == ["2"]
    assert store.counts() == {"achievement": 1}
    assert stored(store, achievement(1)).withdrawn
    assert [each.id for each in store.changes(2, 10)] == [achievement(1).id]


def test_a_withdrawn_record_that_is_sent_again_is_back(store: Store) -> None:
    put(store, achievement(1))
    key = stored(store, achievement(1)).key
    store.withdraw(achievement(1).id)
    revision = store.revision()
    assert put(store, achievement(1)) == ["updated"]
    back = stored(store, achievement(1))
    assert (back.key, back.withdrawn) == (key, False)
    assert back.revision > revision
    assert put(store, achievement(1)) == ["unchanged"]


def test_withdrawing_what_is_not_there_says_so_and_changes_nothing(store: Store) -> None:
    put(store, achievement(1))
    store.withdraw(achievement(1).id)
    revision = store.revision()
    for id_ in (achievement(1).id, achievement(2).id, ""):
        with pytest.raises(NotFound, match="没有编号为"):
            store.withdraw(id_)
    assert store.revision() == revision
    put(store, achievement(2))
    assert store.revision() == revision + 1


def test_unknown_records_are_left_out(store: Store) -> None:
    put(store, achievement(1))
    assert store.by_id(["ach-nichts", achievement(1).id]).keys() == {achievement(1).id}
    assert store.by_key([4711]) == {}
    assert store.by_id([]) == store.by_key([]) == {}
    assert put(store) == []


def test_all_records_of_a_kind_are_listed_in_the_order_they_came(store: Store) -> None:
    records = [achievement(number) for number in range(ID_BATCH + 100)]
    put(store, *records, Need(source="平台甲", source_id="1", title="求烘干"))
    for number in range(50, 90):
        store.withdraw(achievement(number).id)
    listed = [int(each.record.source_id) for each in store.records("achievement")]
    assert listed == [number for number in range(ID_BATCH + 100) if not 50 <= number < 90]
    assert len(list(store.records())) == len(listed) + 1
    assert [each.record.kind for each in store.records("need")] == ["need"]
    assert list(store.records("patent")) == []


# ---------------------------------------------------------------- owners and their names


def test_the_owner_of_an_offer_becomes_an_institution(store: Store) -> None:
    put(store, achievement(1, institution="四川大学"))
    put(store, achievement(2, institution="四川 大学"))
    owner = store.by_id([institution_id("四川大学")])[institution_id("四川大学")]
    assert owner.record.kind == "institution"
    assert owner.record.title == "四川大学"
    assert {stored(store, achievement(n)).institution_id for n in (1, 2)} == {owner.id}
    assert store.counts() == {"achievement": 2, "institution": 1}


def test_an_institution_known_as_an_owner_only_is_new_to_the_user_when_its_own_row_comes(store: Store) -> None:
    put(store, achievement(1, institution="四川大学"))
    assert put(store, institution("四川大学", "川大")) == ["added"]
    assert put(store, institution("四川大学", "川大")) == ["unchanged"]
    assert store.counts() == {"achievement": 1, "institution": 1}


def test_an_offer_does_not_overwrite_what_is_known_of_its_owner(store: Store) -> None:
    put(store, institution("四川大学", "川大"))
    put(store, achievement(1, institution="四川大学"))
    assert stored(store, institution("四川大学")).record == institution("四川大学", "川大")


def test_an_offer_under_an_alias_belongs_to_the_institution_that_came_before(store: Store) -> None:
    put(store, institution("米仓山农业研究所", "米仓山农科所"))
    put(store, achievement(1, institution="米仓山农科所"), achievement(2, institution="米仓山农业研究所"))
    known = institution_id("米仓山农业研究所")
    assert {stored(store, achievement(n)).institution_id for n in (1, 2)} == {known}
    assert [each.id for each in store.records("institution")] == [known]
    assert stored(store, achievement(1)).record.institution == "米仓山农科所"


def test_an_offer_under_an_alias_belongs_to_the_institution_that_comes_after(store: Store) -> None:
    put(store, achievement(1, institution="米仓山农科所"), achievement(2, institution="米仓山农业研究所"))
    revision = store.revision()
    put(store, institution("米仓山农业研究所", "米仓山农科所"))
    known = institution_id("米仓山农业研究所")
    assert {stored(store, achievement(n)).institution_id for n in (1, 2)} == {known}
    assert [each.id for each in store.records("institution")] == [known]
    put(store, achievement(3, institution="米仓山农科所"))
    assert stored(store, achievement(3)).institution_id == known
    # Those who follow the changes learn of it: the alias is withdrawn, the offer has another owner.
    changed = {each.id: each for each in store.changes(revision, 100)}
    assert changed[institution_id("米仓山农科所")].withdrawn
    assert changed[achievement(1).id].institution_id == known


def test_an_offer_and_its_owner_s_alias_may_come_together(store: Store) -> None:
    put(store, achievement(1, institution="米仓山农科所"), institution("米仓山农业研究所", "米仓山农科所"))
    known = institution_id("米仓山农业研究所")
    assert stored(store, achievement(1)).institution_id == known
    assert [each.id for each in store.records("institution")] == [known]


def test_an_alias_that_comes_later_in_an_update_counts_from_then_on(store: Store) -> None:
    put(store, institution("米仓山农业研究所"), achievement(1, institution="米仓山农科所"))
    put(store, institution("米仓山农业研究所", "米仓山农科所"))
    assert stored(store, achievement(1)).institution_id == institution_id("米仓山农业研究所")


def test_an_alias_that_another_institution_has_already_stays_with_it(store: Store) -> None:
    put(store, institution("四川农业大学", "川农"), institution("四川农业银行", "川农"))
    put(store, achievement(1, institution="川农"))
    assert stored(store, achievement(1)).institution_id == institution_id("四川农业大学")


# ---------------------------------------------------------------- contacts and tags


def test_a_contact_lives_apart_and_never_comes_with_a_record(store: Store, tmp_path: Path) -> None:
    put(store, achievement(1, institution="四川大学"), contact="张三 13800000000")
    assert contacts(tmp_path) == ["张三 13800000000"]
    for each in [*every_change(store, 10), *store.records()]:
        assert "13800000000" not in repr(each)


def test_a_new_contact_replaces_the_old_one(store: Store, tmp_path: Path) -> None:
    put(store, achievement(1), contact="张三")
    assert put(store, achievement(1), contact="张三") == ["unchanged"]
    assert put(store, achievement(1), contact="李四") == ["updated"]
    assert contacts(tmp_path) == ["李四"]
    assert put(store, achievement(1)) == ["updated"]
    assert contacts(tmp_path) == []


def test_tags_come_with_their_record_and_are_replaced_as_a_whole(store: Store) -> None:
    put(store, achievement(1), achievement(2), Need(source="平台甲", source_id="1", title="求烘干"))
    keys = [each.key for each in store.records()]
    store.save_tags({keys[0]: {"food": 0.9, "agriculture": 0.5}, keys[1]: {"food": 0.7}, keys[2]: {"food": 0.8}})
    assert stored(store, achievement(1)).tags == {"food": 0.9, "agriculture": 0.5}
    assert store.programme_counts() == {"achievement": {"food": 2, "agriculture": 1}, "need": {"food": 1}}
    store.save_tags({keys[0]: {"machinery": 0.6}, keys[1]: {}})
    assert [dict(each.tags) for each in store.records()] == [{"machinery": 0.6}, {}, {"food": 0.8}]
    store.withdraw(achievement(1).id)
    assert store.programme_counts() == {"need": {"food": 1}}
    store.save_tags({})


def test_tags_do_not_count_as_a_change(store: Store) -> None:
    put(store, achievement(1))
    revision = store.revision()
    store.save_tags({stored(store, achievement(1)).key: {"food": 0.9}})
    assert store.revision() == revision


# ---------------------------------------------------------------- revisions

OWNERS = st.sampled_from([None, "四川大学", "川大", "西南大学", "西大"])
OFFERS = st.builds(
    lambda number, title, owner: Achievement(source="平台甲", source_id=number, title=title, institution=owner),
    st.sampled_from("123456"),
    st.sampled_from(["旧题", "新题", "又题"]),
    OWNERS,
)
INSTITUTIONS = st.sampled_from(
    [institution("四川大学", "川大"), institution("四川大学"), institution("西南大学", "西大"), institution("西大")]
)
STEPS = st.lists(
    st.one_of(
        st.lists(st.one_of(OFFERS, INSTITUTIONS), min_size=1, max_size=5),
        st.sampled_from("123456"),
    ),
    max_size=10,
)


@given(STEPS, st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_reading_the_changes_in_pages_gives_every_record_s_last_version(
    empty_database: Path, steps: list[list[Record] | str], page: int
) -> None:
    with TemporaryDirectory() as folder:
        shutil.copy(empty_database, folder)
        store = Store(f"sqlite:///{folder}/matcher.db")
        followed: dict[str, StoredRecord] = {}
        known: set[str] = set()
        last = 0
        for step in steps:
            if isinstance(step, list):
                put(store, *step)
                known.update(record.id for record in step)
            elif achievement(step).id in known and not stored(store, achievement(step)).withdrawn:
                store.withdraw(achievement(step).id)
            # One who follows from where they were ...
            revision = store.revision()
            for each in store.changes(last, 10_000):
                assert last < each.revision <= revision
                followed[each.id], last = each, each.revision
            assert last == revision
        # ... and one who reads everything in pages know the same.
        paged = every_change(store, page)
        revisions = [each.revision for each in paged]
        assert revisions == sorted(set(revisions))
        assert {each.id: each for each in paged} == followed == store.by_id(list(followed))
        assert known <= followed.keys()
        assert {each.id for each in store.records()} == {id_ for id_, each in followed.items() if not each.withdrawn}
        store.close()


# ---------------------------------------------------------------- several at once


def test_threads_that_write_at_once_lose_nothing(store: Store) -> None:
    def write(name: int) -> None:
        for batch in range(10):
            records = [achievement(f"{name}-{batch}-{n}", institution=f"机构{n}") for n in range(5)]
            assert put(store, *records) == ["added"] * 5
            put(store, achievement("shared", f"题{name}-{batch}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = list(store.records())
    assert store.counts() == {"achievement": 4 * 10 * 5 + 1, "institution": 5}
    assert len({each.revision for each in found}) == len(found)
    # Forty versions of the shared record, each a change of its own.
    assert store.revision() == len(found) + 4 * 10 - 1


def test_readers_never_see_half_of_a_batch(store: Store) -> None:
    stop = threading.Event()

    def read() -> set[int]:
        seen = set()
        while not stop.is_set():
            seen.add(store.counts()["achievement"] % BATCH)
        return seen

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for batch in range(20):
            put(store, *[achievement(f"{batch}-{n}") for n in range(BATCH)])
        stop.set()
        assert reading.result() == {0}


def test_processes_that_write_at_once_lose_nothing(
    tmp_path: Path, writer: Callable[..., subprocess.Popen[str]]
) -> None:
    # They also create the database at once.
    children = [writer("甲", 15), writer("乙", 15)]
    assert [(child.wait(60), child.returncode) for child in children] == [(0, 0), (0, 0)]
    store = Store(f"sqlite:///{tmp_path / 'matcher.db'}")
    assert store.counts() == {"achievement": 2 * 15 * BATCH, "institution": 1}
    revisions = [each.revision for each in every_change(store, 100)]
    assert revisions == list(range(1, 2 * 15 * BATCH + 2))
    store.close()


def test_many_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    def use(name: int) -> str:
        store = Store(f"sqlite:///{tmp_path / 'deep' / 'new.db'}")
        (outcome,) = put(store, achievement(name))
        store.close()
        return outcome

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == ["added"] * 8


# ---------------------------------------------------------------- kills


def check_whole_batches(folder: Path, acknowledged: int) -> int:
    """Open what a killed writer left; how many batches are there."""
    store = Store(f"sqlite:///{folder / 'matcher.db'}")
    numbers = sorted(int(each.record.source_id) for each in store.records("achievement"))
    batches, rest = divmod(len(numbers), BATCH)
    assert rest == 0
    assert numbers == list(range(batches * BATCH))
    assert batches >= acknowledged
    assert len(contacts(folder)) == len(numbers)
    assert [each.revision for each in every_change(store, 7)] == list(range(1, store.revision() + 1))
    # The next one writes on without further ado.
    assert put(store, achievement("after")) == ["added"]
    store.close()
    return batches


@pytest.mark.parametrize("fatal", [1, 3])
def test_a_writer_killed_within_a_transaction_leaves_whole_batches_only(
    tmp_path: Path, writer: Callable[..., subprocess.Popen[str]], fatal: int
) -> None:
    child = writer("甲", 10, fatal)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert len(output.split()) - 1 == fatal - 1
    assert check_whole_batches(tmp_path, fatal - 1) == fatal - 1


def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(
    tmp_path: Path, writer: Callable[..., subprocess.Popen[str]]
) -> None:
    child = writer("甲", 100_000)
    assert child.stdout
    for _ in range(5):
        child.stdout.readline()
    time.sleep(random.uniform(0, 0.1))
    os.kill(child.pid, signal.SIGKILL)
    rest, _ = child.communicate(timeout=60)
    acknowledged = 4 + len([line for line in rest.splitlines(keepends=True) if line.endswith("\n")])
    assert check_whole_batches(tmp_path, acknowledged) <= acknowledged + 1


# ---------------------------------------------------------------- the database itself


def test_the_migrations_make_exactly_the_tables_that_the_program_knows(store: Store) -> None:
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_opening_a_database_again_does_not_migrate_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, achievement(1))

    def refuse(*_: object) -> None:
        raise AssertionError("migrated again")

    monkeypatch.setattr(command, "upgrade", refuse)
    again = Store(f"sqlite:///{tmp_path / 'matcher.db'}")
    assert stored(again, achievement(1)) == stored(store, achievement(1))
    again.close()


def test_the_database_is_crash_proof_and_lets_readers_in_while_it_is_written(store: Store) -> None:
    with store._engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60000}


def test_an_address_that_cannot_be_used_is_refused_by_the_setting_s_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("这不是数据库" * 100, encoding="utf-8")
    addresses = [
        *("nonsense", "nosuch://host/name", "sqlite+nosuch:///x.db"),
        f"sqlite:///{tmp_path / 'file' / 'matcher.db'}",
        f"sqlite:///{tmp_path / 'file'}",
        f"sqlite:///{tmp_path}",
    ]
    for address in addresses:
        with pytest.raises(SettingError, match="MATCHER_DATABASE_URL"):
            Store(address)


def test_a_database_of_a_newer_program_is_left_alone(store: Store, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "matcher.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(SettingError, match="9999"):
        Store(f"sqlite:///{tmp_path / 'matcher.db'}")
