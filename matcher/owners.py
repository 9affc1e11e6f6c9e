"""Whose a record is: names lead to institutions, in whatever form they are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from matcher import tables
from matcher.database import batches, next_revision
from matcher.names import company_forms, institution_names
from matcher.records import Institution, Record, institution_id
from matcher.values import name_key

# The source of institutions that are known only as the owner of an offer or the asker of a need.
OWNER_SOURCE = "owner"


@dataclass(frozen=True, slots=True)
class Owners:
    """The institutions that records name.

    :param ids: of the institution by the name that is written; `unknown` holds those that are new, by id.
    """

    ids: dict[str, str]
    unknown: dict[str, Institution]


def find_owners(connection: Connection, records: Sequence[Record]) -> Owners:
    """Whose the records are: institutions that are known under one of their names, or new ones."""
    written = dict.fromkeys(r.institution for r in records if r.institution and r.kind != "institution")
    names = {name: institution_names(name) for name in written}
    # What was registered under this very name is that, be it part of another.
    keys = {name: [name_key(form) for form in (name, own.name, *own.others)] for name, own in names.items()}
    known = {name_key(record.title): record.id for record in records if record.kind == "institution"}
    known |= _resolve(connection, {key for each in keys.values() for key in each})
    owners = Owners({}, {})
    for name, own in names.items():
        found = next((known[key] for key in keys[name] if key in known), None)
        if found is None:
            new = Institution(source=OWNER_SOURCE, source_id=name_key(own.name)[:200], title=own.name)
            found = known[name_key(own.name)] = new.id
            owners.unknown[found] = new
        owners.ids[name] = found
    return owners


def save_names(connection: Connection, institutions: Sequence[Institution]) -> None:
    """Let every alias lead to its institution, for records written before and after."""
    for institution in institutions:
        names = {name_key(name) for name in (institution.title, *institution.aliases)}
        own = name_key(institution.title)
        taken = _resolve(connection, names)
        for key in names:
            if key not in taken:
                values = {"name_key": key, "institution_id": institution.id}
                connection.execute(insert(tables.institution_names).values(values))
            elif taken[key] == institution_id(key) and key != own:
                # Known as an owner under its alias only: from now on the same institution.
                _rename(connection, key, taken[key], institution.id)
        if institution.source != OWNER_SOURCE:
            forms = _resolve(connection, map(name_key, company_forms(institution.title)))
            stubs = _stubs(connection, list(forms.values()))
            for key, id_ in forms.items():
                if id_ != institution.id and id_ in stubs:
                    _rename(connection, key, id_, institution.id)


def _rename(connection: Connection, key: str, old: str, new: str) -> None:
    names, records = tables.institution_names, tables.records
    connection.execute(update(names).where(names.c.name_key == key).values(institution_id=new))
    owned = select(records.c.key).where(records.c.institution_id == old).order_by(records.c.key)
    for (record,) in connection.execute(owned).all():
        change = update(records).where(records.c.key == record)
        connection.execute(change.values(institution_id=new, revision=next_revision(connection)))
    stub = update(records).where(records.c.id == old, records.c.source == OWNER_SOURCE)
    connection.execute(stub.values(withdrawn=1, revision=next_revision(connection)))


def _resolve(connection: Connection, keys: Iterable[str]) -> dict[str, str]:
    names = tables.institution_names.c
    found: dict[str, str] = {}
    for part in batches(list(keys)):
        rows = connection.execute(select(names.name_key, names.institution_id).where(names.name_key.in_(part)))
        found.update((key, id_) for key, id_ in rows)
    return found


def _stubs(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the institutions that are known by name only."""
    found: set[str] = set()
    r = tables.records.c
    for part in batches(ids):
        found.update(connection.execute(select(r.id).where(r.id.in_(part), r.source == OWNER_SOURCE)).scalars())
    return found
