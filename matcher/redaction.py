"""What others read of a record: no names where these are hidden."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from matcher.records import Record
from matcher.store import OWNER_SOURCE, StoredRecord
from matcher.visibility import Viewer


def readable(found: Iterable[StoredRecord], viewer: Viewer) -> dict[str, StoredRecord]:
    """Of records that were looked up those that this viewer may read, by id, as he may read them.

    What is withdrawn is there for its owner only.
    """
    return {
        stored.id: shown(stored, viewer)
        for stored in found
        if viewer.sight.shows(stored.record.kind, stored.record.visibility, stored.owner)
        and (not stored.withdrawn or viewer.owns(stored.owner))
        # Known by name only, perhaps from a need that this viewer may not see.
        and stored.record.source != OWNER_SOURCE
    }


def shown(stored: StoredRecord, viewer: Viewer) -> StoredRecord:
    """A record as this viewer may read it; the decision that he may see it at all has been made."""
    if viewer.may_know_names(stored.record.visibility, stored.owner):
        return stored
    return replace(stored, record=_nameless(stored.record), institution_id=None)


def _nameless(record: Record) -> Record:
    return replace(record, institution=None, co_institutions=(), url=None)
