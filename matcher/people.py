"""The rights that people have in what is held about them: a copy, erasure, and an end to keeping (PIPL 44 to 50)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from matcher import audit, tables
from matcher.accounts import Account, Accounts
from matcher.erasure import Erased, Eraser
from matcher.errors import Busy
from matcher.holdings import Holdings
from matcher.needle import Needle
from matcher.store import Store
from matcher.subscriptions import SubscriptionBook
from matcher.traces import Traces


class People:
    """What one installation does for a person, or for an account that asks for itself.

    An erasure is done in the store first. What is made of the store, the index and the cache of vectors, follows;
    if another process holds it, `expire` finishes the work.
    """

    def __init__(self, store: Store, home: Path, forget: Callable[[set[str]], None]) -> None:
        """:param forget: takes texts out of the cache of vectors, and what was deleted out of the index.

        It may raise Busy.
        """
        self._store = store
        self._holdings = Holdings(store)
        self._eraser = Eraser(store)
        self._traces = Traces(home)
        self._forget = forget

    def export_account(self, account: Account) -> dict[str, Any]:
        """All that is held about an account, as JSON; secrets are not."""
        return self._holdings.of_account(account)

    def export_person(self, text: str) -> dict[str, Any]:
        """All that is held about whoever is named by a telephone number, a mail address or a name, as JSON.

        :raises InvalidQuery: if the text is too little to tell one person from others.
        """
        return self._holdings.of_person(Needle.of(text))

    def erase_account(self, account: Account, actor: int = audit.OPERATOR_ACCOUNT, whole: bool = False) -> Erased:
        """Close an account, take its name off it, and erase its keys, files and private records.

        :param actor: for the audit trail.
        :param whole: write SQLite's file anew; see `Database.scrub`.
        :raises Busy: if a file that it handed in is being read for long; the account is closed by then.
        """
        with self._traces.held(self._eraser.close(account)):
            erased = self._eraser.account(account, actor)
            erased.files += self._traces.forget_uploads(erased.uploads)
        return self._finish(erased, whole)

    def erase_person(self, text: str, actor: int = audit.OPERATOR_ACCOUNT, whole: bool = False) -> Erased:
        """Erase whoever is named by a telephone number, a mail address or a name from contacts, texts, mail and files.

        :raises InvalidQuery: if the text is too little to tell one person from others.
        """
        needle = Needle.of(text)
        erased = self._eraser.person(needle, actor)
        erased.files += self._traces.forget_person(needle, self._finished_uploads())
        return self._finish(erased, whole)

    def expire(self, days: int, moment: datetime.datetime) -> Erased:
        """Erase what has been kept long enough; finish what an earlier erasure had to leave.

        :param moment: now.
        """
        limit = moment - datetime.timedelta(days=days)
        SubscriptionBook(self._store.database).expire()
        erased = self._eraser.old(limit, Accounts(self._store.database).by_key)
        erased.files += self._traces.forget_before(limit.timestamp())
        erased.files += self._traces.forget_uploads(erased.uploads)
        return self._finish(erased, whole=True)

    def set_aside(self) -> list[Path]:
        """Older data in the data directory that an erasure does not reach: its owner decides what becomes of it."""
        return self._traces.set_aside()

    def _finish(self, erased: Erased, whole: bool) -> Erased:
        self._traces.forget_batches()
        try:
            self._forget(erased.texts)
        except Busy:
            erased.complete = False
        erased.complete &= self._store.database.scrub(whole)
        return erased

    def _finished_uploads(self) -> Mapping[str, str]:
        u = tables.uploads.c
        query = select(u.id, u.file_name).where(u.finished_at.is_not(None))
        with self._store.database.reading.connect() as connection:
            return {row.id: row.file_name for row in connection.execute(query)}
