"""What others read of a record: no names where these are hidden."""

from __future__ import annotations

from dataclasses import replace

from matcher.records import Record
from matcher.store import StoredRecord
from matcher.visibility import Viewer


def shown(stored: StoredRecord, viewer: Viewer) -> StoredRecord:
    """A record as this viewer may read it; the decision that he may see it at all has been made."""
    if viewer.may_know_names(stored.record.visibility, stored.owner):
        return stored
    return replace(stored, record=_nameless(stored.record), institution_id=None)


def _nameless(record: Record) -> Record:
    return replace(record, institution=None, co_institutions=(), url=None)
