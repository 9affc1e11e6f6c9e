"""Opens SQLite or PostgreSQL by an address, and holds what the two do differently: locks and snapshots."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import orjson
from filelock import FileLock
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, select, text, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from matcher import tables
from matcher.errors import Busy, MatcherError, SettingError, StoreUnavailable
from matcher.faults import postgresql_error, sqlite_error

# Seconds a writer waits for the others. One transaction takes well under a second, so who waits this
# long waits for a process that hangs.
WRITE_WAIT = 60.0
# With these the server notices within a minute that a client's machine is gone, and drops its locks;
# by default it would take two hours.
_KEEPALIVE = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
# The columns of lists are read with every match, and the standard library is several times slower.
_OPTIONS: Mapping[str, Any] = {
    # An error that quotes its statement must not quote a contact with it.
    "hide_parameters": True,
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}
INDEX_TAKEN = "另一个进程正在写入索引。请等它结束后再试。"
T = TypeVar("T")
# Identifiers in one IN (...) clause; SQLite before 3.32 stops at 999.
ID_BATCH = 500
_UNKNOWN = "数据库地址 MATCHER_DATABASE_URL 须以 sqlite:/// 或 postgresql:// 开头，不能是 {backend}://。请改正后重试。"
_GONE = (
    "数据库文件 {file} 不见了。程序不会另建一个空的。请把文件放回原处；"
    "如果找不回来，请停止所有 matcher 进程后用 matcher restore 从备份恢复。"
)
_DRIVER_MISSING = (
    "数据库地址 MATCHER_DATABASE_URL 指向 PostgreSQL，但缺少可用的驱动（{error}）。"
    "请在程序目录运行 .venv/bin/pip install -c constraints.txt -e '.[postgresql]' 后重试。"
)


class Database:
    """One database; safe for several threads and processes.

    What fails for reasons outside the program comes as an error of `matcher.errors`: StoreUnavailable,
    DiskFull or Busy, whatever the driver calls it.

    :ivar reading: for reading: each transaction sees the database as it was at one moment.
    :ivar file: the path of an SQLite database; None for one in memory or on a server.
    """

    def __init__(self, url: str) -> None:
        """Connects when first used.

        :raises SettingError: if the database is neither of the two, or PostgreSQL's driver is not installed.
        :raises SQLAlchemyError: if the address is no address.
        """
        parsed = _with_driver(make_url(url))
        self._sqlite = parsed.get_backend_name() == "sqlite"
        self.file = parsed.database if self._sqlite else None
        if self.file:
            Path(self.file).parent.mkdir(parents=True, exist_ok=True)
        if self._sqlite:
            self._engine = self.reading = create_engine(parsed, **_OPTIONS)
            _configure_sqlite(self._engine)
            if self.file:
                _follow_file(self._engine, Path(self.file))
        else:
            self._engine = _postgresql(parsed)
            # A page and its tags come from two queries; SQLite's transactions see one moment anyway.
            self.reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
        event.listen(self._engine, "handle_error", self._told)

    def _told(self, context: ExceptionContext) -> MatcherError | None:
        """An error of the driver as one of `matcher.errors`; SQLAlchemy raises it instead."""
        error = context.original_exception
        if context.is_pre_ping:  # a connection of the pool is gone; another is opened
            return None
        if not self._sqlite:
            return postgresql_error(error, context.is_disconnect)
        told = sqlite_error(error, self.file)
        if isinstance(told, StoreUnavailable):
            context.is_disconnect = True  # opened anew next time: somebody may have mended the file by then
        return told

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer has at the same time; readers go on.

        Writers follow each other in the order in which they become visible, so that what one of them
        looks up first is still true when it writes.

        :raises Busy: if another writer does not finish within `WRITE_WAIT`.
        """
        # IMMEDIATE takes SQLite's write lock at once: two writers wait for each other instead of failing late.
        engine = self._engine.execution_options(sqlite_begin="IMMEDIATE") if self._sqlite else self._engine
        with engine.connect() as connection:
            with _busy(f"另一个进程占用数据库已超过 {WRITE_WAIT:.0f} 秒，这次没有写入。请等它结束后重试。"):
                connection.begin()
                if not self._sqlite:
                    revision = tables.counters.c.name == "revision"
                    connection.execute(select(tables.counters.c.value).where(revision).with_for_update())
            yield connection
            connection.commit()

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A transaction in which no other process changes the tables."""
        if self.file:
            with FileLock(f"{self.file}.migrate.lock"), self._engine.connect() as connection:
                yield connection
                connection.commit()
            return
        with self._engine.connect() as connection:
            if not self._sqlite:
                # There are no tables yet that could be locked, and another's migration may take its time.
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(_advisory("pg_advisory_xact_lock", "migrate"))
            yield connection
            connection.commit()

    @contextmanager
    def exclusive(self, name: str, wait: float, taken: str = INDEX_TAKEN) -> Iterator[None]:
        """Hold a lock that all processes of a PostgreSQL database share, on whatever machine they run.

        The server drops it with the connection: when the process dies, and unnoticed when the server
        itself is restarted meanwhile. On SQLite nothing happens, as all its processes share one machine,
        where a file does as well.

        :param wait: seconds to wait for another process.
        :param taken: the sentence that says that another process holds it.
        :raises Busy: if the other process does not finish in time.
        """
        if self._sqlite:
            yield
            return
        autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with autocommit.connect() as connection:
            # Of its own: closed at the end, and not handed to somebody else with the lock still on it.
            connection.detach()
            connection.execute(text(f"SET lock_timeout = {max(1, round(wait * 1000))}"))
            with _busy(taken):
                connection.execute(_advisory("pg_advisory_lock", name))
            try:
                yield
            finally:
                # Closing the connection would do, but a moment later; without a connection it is free already.
                with suppress(SQLAlchemyError):
                    connection.execute(_advisory("pg_advisory_unlock", name))

    def scrub(self, whole: bool = False) -> bool:
        """Let nothing stay in the database's files of what was deleted or replaced.

        SQLite overwrites it at once (`secure_delete`); its log, which holds the pages of before, is emptied here.
        PostgreSQL gives the space of old rows back to be overwritten; its log and its backups keep them.

        :param whole: write SQLite's file anew, for what was deleted by a version that did not overwrite.
        :returns: whether the log could be emptied: not while somebody reads for minutes.
        """
        if not self._sqlite:
            autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            with autocommit.connect() as connection:
                for table in tables.metadata.sorted_tables:
                    connection.execute(text(f"VACUUM {table.name}"))
            return True
        with closing(self._engine.raw_connection()) as raw:
            cursor = raw.cursor()
            if whole:
                cursor.execute("VACUUM")
            busy = bool(cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
            cursor.close()
        return not busy


def next_revision(connection: Connection, count: int = 1) -> int:
    """The first of so many numbers that no change has had yet, taken in the writing transaction."""
    counter = tables.counters
    own = counter.c.name == "revision"
    connection.execute(update(counter).where(own).values(value=counter.c.value + count))
    return int(connection.execute(select(counter.c.value).where(own)).scalar_one()) - count + 1


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts of so many that one statement takes them."""
    for start in range(0, len(items), ID_BATCH):
        yield items[start : start + ID_BATCH]


def _advisory(function: str, name: str) -> Any:
    """A call of a function on PostgreSQL's advisory lock of this name; each database has its own."""
    number = int.from_bytes(hashlib.blake2b(f"matcher {name}".encode(), digest_size=8).digest(), signed=True)
    return text(f"SELECT {function}(:number)").bindparams(number=number)


def _with_driver(url: URL) -> URL:
    """The address with the one PostgreSQL driver that is used; ``postgres://`` is how many hosts write it."""
    backend = "postgresql" if url.drivername == "postgres" else url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise SettingError(_UNKNOWN.format(backend=url.drivername))
    return url.set(drivername="postgresql+psycopg") if backend == "postgresql" else url


def _postgresql(url: URL) -> Engine:
    try:
        # A restarted server or a firewall ends connections: each is tried before it is used.
        engine = create_engine(url, pool_pre_ping=True, **_OPTIONS)
    except ImportError as error:
        raise SettingError(_DRIVER_MISSING.format(error=error)) from error
    session = {"lock_timeout": round(WRITE_WAIT * 1000)} | _KEEPALIVE
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in session.items())

    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: Any, _: Any) -> None:
        with dbapi_connection.cursor() as cursor:
            cursor.execute(f"SELECT {settings}")
        dbapi_connection.commit()

    return engine


def _configure_sqlite(engine: Engine) -> None:
    wait = f"busy_timeout={round(WRITE_WAIT * 1000)}"

    @event.listens_for(engine, "connect")
    def connect(dbapi_connection: Any, _: Any) -> None:
        # The driver must not open transactions by itself, or BEGIN IMMEDIATE comes too late.
        dbapi_connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", wait):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")


def _follow_file(engine: Engine, file: Path) -> None:
    """Notice that the file was moved away or replaced: what is written to the old one would be lost."""
    there = False

    @event.listens_for(engine, "do_connect")
    def refuse_to_begin_anew(*_: Any) -> None:
        if there and not file.exists():
            raise StoreUnavailable(_GONE.format(file=file))

    @event.listens_for(engine, "connect")
    def remember(_: Any, record: Any) -> None:
        nonlocal there
        there = True
        record.info["inode"] = file.stat().st_ino

    @event.listens_for(engine, "checkout")
    def compare(_: Any, record: Any, __: Any) -> None:
        try:
            same = file.stat().st_ino == record.info["inode"]
        except FileNotFoundError:
            same = False
        if not same:
            raise DisconnectionError  # the pool opens another connection


@contextmanager
def _busy(message: str) -> Iterator[None]:
    """Say in this sentence that a lock did not come in time."""
    try:
        yield
    except Busy as error:
        raise Busy(message) from error
