"""The offers and needs that a list of leads is drawn from: those in its scope that the viewer may find."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_, select, true

from matcher import tables
from matcher.lead_wanted import LeadsWanted, place_of
from matcher.listing import seen
from matcher.owners import OWNER_SOURCE
from matcher.records import OFFER_KINDS, Kind
from matcher.store import ERASED_SOURCE, Store, live
from matcher.values import name_key
from matcher.visibility import Viewer


def offers_in_scope(store: Store, viewer: Viewer, wanted: LeadsWanted) -> list[int]:
    """Numbers of the live offers in scope, ascending."""
    r, conditions = tables.records.c, []
    if wanted.offer is not None:
        conditions.append(r.id == wanted.offer)
    if wanted.institution is not None:
        conditions += _owned_by(wanted.institution, viewer)
    if wanted.programme is not None:
        conditions.append(r.key.in_(select(tables.tags.c.key).where(tables.tags.c.code == wanted.programme)))
    if wanted.county is not None:
        conditions.append(_placed_in("county", wanted.county))
    return _keys(store, viewer, OFFER_KINDS, conditions)


def needs_in_scope(store: Store, viewer: Viewer, wanted: LeadsWanted) -> list[int]:
    """Numbers of the live needs in scope, ascending."""
    conditions = []
    if wanted.need is not None:
        conditions.append(tables.records.c.id == wanted.need)
    if wanted.enterprise is not None:
        conditions += _owned_by(wanted.enterprise, viewer)
    if wanted.region is not None:
        conditions.append(_placed_in("region", wanted.region))
    return _keys(store, viewer, ("need",), conditions)


def _keys(store: Store, viewer: Viewer, kinds: tuple[Kind, ...], conditions: list[ColumnElement[bool]]) -> list[int]:
    r = tables.records.c
    query = select(r.key).where(r.kind.in_(kinds), seen(viewer.sight), r.source.not_in((OWNER_SOURCE, ERASED_SOURCE)))
    with store.database.reading.connect() as connection:
        return [*connection.scalars(query.where(*live(), *conditions).order_by(r.key))]


def _owned_by(organisation: str, viewer: Viewer) -> list[ColumnElement[bool]]:
    """Records of an organisation, given by id or by any of its names, of which the viewer may know that they are its.

    Whoever could ask for the needs of an enterprise that hides, and got some, would know whose they are.
    """
    r, n = tables.records.c, tables.institution_names.c
    named = select(n.institution_id).where(n.name_key == name_key(organisation))
    return [or_(r.institution_id == organisation.strip(), r.institution_id.in_(named)), may_know_names(viewer)]


def may_know_names(viewer: Viewer) -> ColumnElement[bool]:
    """The condition that `Viewer.may_know_names` decides."""
    r = tables.records.c
    if viewer.role in ("admin", "operator"):
        return true()
    return or_(r.visibility == "public", r.owner == viewer.account) if viewer.account else r.visibility == "public"


def _placed_in(field: str, text: str) -> ColumnElement[bool]:
    digits, name = place_of(field, text)
    r: Any = tables.records.c
    if digits:
        condition: ColumnElement[bool] = r.region_code.startswith(digits)
        return condition
    return or_(r.county == name, r.city == name)
