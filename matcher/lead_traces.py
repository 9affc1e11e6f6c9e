"""What erasing means for leads: notes lose persons, and what nobody worked on goes. Contracts stay as figures.

Each runs in the transaction of the erasure and tells how many notes it changed.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from matcher import audit, tables
from matcher.audit import Entry
from matcher.needle import Needle
from matcher.privacy import masked


def person_out_of_leads(connection: Connection, needle: Needle, actor: int) -> int:
    """Take a person out of the notes, with what else of his stands beside; saved lists that name him go."""
    s, named = tables.lead_steps.c, needle.anywhere
    found = connection.execute(
        select(s.key, s.note, tables.leads.c.id).join_from(tables.lead_steps, tables.leads).where(s.note != "")
    )
    changed = [(row.key, row.id, masked(named.without(row.note))) for row in found.all() if named.names(row.note)]
    for key, lead, note in changed:
        connection.execute(update(tables.lead_steps).where(s.key == key).values(note=note))
        audit.write(connection, [Entry(actor, "erase-person", lead, {})])
    lists = tables.lead_lists
    for row in connection.execute(select(lists.c.key, lists.c.name, lists.c.wanted)).all():
        if any(named.names(text) for text in (row.name, *map(str, row.wanted.values()))):
            connection.execute(delete(lists).where(lists.c.key == row.key))
    return len(changed)


def account_out_of_leads(connection: Connection, account: int) -> int:
    """Empty what an account wrote down, forget its lists, and let go of leads on which it never began to work."""
    c = tables.leads.c
    connection.execute(delete(tables.lead_lists).where(tables.lead_lists.c.account == account))
    untouched = (c.status == "new", c.listed_to == account, or_(c.assignee.is_(None), c.assignee == account))
    connection.execute(delete(tables.leads).where(*untouched))
    return _emptied(connection, tables.lead_steps.c.account == account)


def record_out_of_leads(connection: Connection, id_: str) -> int:
    """Forget the leads of a record that goes; of a signed one the contract stays, without its notes."""
    c, s = tables.leads.c, tables.lead_steps.c
    own = or_(c.need_id == id_, c.offer_id == id_)
    emptied = _emptied(connection, s.lead.in_(select(c.key).where(own)))
    connection.execute(delete(tables.leads).where(own, c.status != "signed"))
    return emptied


def old_out_of_leads(connection: Connection, before: str) -> int:
    """Empty notes that were written before a moment, and forget what was listed then and left alone since.

    :param before: ISO time in UTC.
    """
    c = tables.leads.c
    connection.execute(delete(tables.leads).where(c.status == "new", c.updated_at < before))
    return _emptied(connection, tables.lead_steps.c.at < before)


def _emptied(connection: Connection, condition: Any) -> int:
    change = update(tables.lead_steps).where(condition, tables.lead_steps.c.note != "").values(note="")
    return connection.execute(change).rowcount
