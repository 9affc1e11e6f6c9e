"""Lists of leads that people have saved under a name, to draw them again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from matcher import audit, tables
from matcher.database import Database
from matcher.errors import InvalidLead, NotFound
from matcher.lead_wanted import LeadsWanted, check_wanted
from matcher.normal import clean, storable

NAME_LIMIT = 100
# Lists of one account: nobody looks at more.
MOST_LISTS = 100


@dataclass(frozen=True)
class SavedList:
    """A saved list; `drawn_at` is when it was drawn last, None if it never was."""

    key: int
    id: str
    account: int
    name: str
    wanted: LeadsWanted
    created_at: str
    drawn_at: str | None


class LeadLists:
    """The saved lists in one database; each is its account's alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, account: int, name: str, wanted: LeadsWanted) -> SavedList:
        """Save a list under a name that the account has not given yet.

        :raises InvalidLead: naming the field and the reason.
        """
        check_wanted(wanted)
        name = clean(storable(name)).replace("\n", " ").strip()
        if not 1 <= len(name) <= NAME_LIMIT:
            raise InvalidLead("name", f"长 {len(name)} 字；应为 1 到 {NAME_LIMIT} 字")
        c = tables.lead_lists.c
        id_ = f"list-{secrets.token_hex(8)}"
        row = {
            "id": id_,
            "account": account,
            "name": name,
            "wanted": wanted.as_json(),
            "created_at": audit.now(),
            "drawn_at": None,
        }
        with self._database.writing() as connection:
            own = select(func.count()).select_from(tables.lead_lists).where(c.account == account)
            if connection.execute(own.where(c.name == name)).scalar():
                raise InvalidLead("name", f"已有名为“{name[:40]}”的线索清单；请换一个名称，或先删除它")
            if connection.execute(own).scalar_one() >= MOST_LISTS:
                raise InvalidLead("name", f"已有 {MOST_LISTS} 份线索清单；请先删除不再使用的")
            connection.execute(insert(tables.lead_lists).values(row))
            audit.write(connection, [audit.Entry(account, "lead-list-save", id_, {})])
        return self.get(account, id_)

    def all(self, account: int) -> list[SavedList]:
        """An account's lists, in the order they were saved."""
        c = tables.lead_lists.c
        query = select(tables.lead_lists).where(c.account == account).order_by(c.key)
        with self._database.reading.connect() as connection:
            return [_saved(row) for row in connection.execute(query)]

    def get(self, account: int, id_or_name: str) -> SavedList:
        """An account's list by its id or its name.

        :raises NotFound: if it has none such.
        """
        named = clean(storable(id_or_name)).replace("\n", " ").strip()
        for saved in self.all(account):
            if named in (saved.id, saved.name):
                return saved
        raise NotFound(f"您没有编号或名称为“{named[:40]}”的线索清单。")

    def remove(self, account: int, id_: str) -> None:
        """Forget a list; the leads that it told of stay.

        :raises NotFound: if the account has none such.
        """
        saved = self.get(account, id_)
        with self._database.writing() as connection:
            connection.execute(delete(tables.lead_lists).where(tables.lead_lists.c.key == saved.key))
            audit.write(connection, [audit.Entry(account, "lead-list-remove", saved.id, {})])

    def drawn(self, saved: SavedList) -> None:
        """Remember that a list was drawn now."""
        change = update(tables.lead_lists).where(tables.lead_lists.c.key == saved.key)
        with self._database.writing() as connection:
            connection.execute(change.values(drawn_at=audit.now()))


def _saved(row: Row[Any]) -> SavedList:
    wanted = LeadsWanted.from_json(row.wanted)
    return SavedList(row.key, row.id, row.account, row.name, wanted, row.created_at, row.drawn_at)
