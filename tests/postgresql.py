"""A PostgreSQL server of the tests' own: Debian's binaries, a temporary folder, no port."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from matcher.store import Store

START_SECONDS = 60
MIGRATED = "migrated"
# What is killed in the tests are clients. Only a crash of the machine could lose what was not synced.
FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB")
HOW_TO_INSTALL = "no PostgreSQL server here; install it (Debian: apt-get install postgresql) to run these tests"


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`: of Debian's latest version, which are not on the PATH, or of the PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    found = [folder for folder in versions if folder.parent.name.isdigit() and (folder / "initdb").exists()]
    if found:
        return max(found, key=lambda folder: int(folder.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class Server:
    """A running server; its databases are reached through a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._migrated = False

    def url(self, database: str) -> str:
        """The address of a database as a user would write it."""
        return f"postgresql://matcher@/{database}?host={self._folder}"

    def create(self, migrated: bool = False) -> str:
        """The address of a new database.

        :param migrated: whether it shall have the store's tables already, which is quicker than making them.
        """
        if migrated and not self._migrated:
            self.execute(f"CREATE DATABASE {MIGRATED}")
            Store(self.url(MIGRATED)).close()
            self._migrated = True
        name = f"test{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {MIGRATED if migrated else 'template0'}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        name = sql.Identifier(make_url(url).database or "")
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def execute(self, statement: Any, url: str = "") -> list[Any]:
        """Run one statement beside the program, in a database or in none of theirs, and give its rows."""
        database = make_url(url).database if url else "postgres"
        with psycopg.connect(f"user=matcher host={self._folder} dbname={database}", autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def server() -> Iterator[Server]:
    """Start a server, and end it at the end."""
    folder = binaries()
    assert folder, HOW_TO_INSTALL
    # Not below pytest's folder: the path of a socket is 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="matcher-pg-") as name:
        home = Path(name)
        user: dict[str, Any] = {}
        if os.geteuid() == 0:  # whom the server refuses
            account = _unprivileged()
            os.chown(home, account.pw_uid, account.pw_gid)
            user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data, log = home / "data", home / "log"
        options = ["-U", "matcher", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run(
            [folder / "initdb", "-D", data, *options], cwd=home, check=True, capture_output=True, timeout=120, **user
        )
        settings = [f"-c{setting}" for setting in ("listen_addresses=", f"unix_socket_directories={home}", *FAST)]
        with log.open("w") as output:
            process = subprocess.Popen(
                [folder / "postgres", "-D", data, *settings], cwd=home, stdout=output, stderr=output, **user
            )
        running = Server(home)
        try:
            _wait(running, process, log)
            yield running
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing in there is needed again
            process.wait(30)


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _wait(running: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            running.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
