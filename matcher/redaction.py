"""What others read of a record, and what is indexed: no telephone numbers, and no names where these are hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from matcher.disguise import without_names
from matcher.privacy import masked, purged
from matcher.records import FREE_TEXTS, Patent, Record
from matcher.visibility import Viewer

if TYPE_CHECKING:
    from matcher.rows import StoredRecord


def shown(stored: StoredRecord, viewer: Viewer) -> StoredRecord:
    """A record as this viewer may read it; the decision that he may see it at all has been made."""
    if viewer.owns(stored.owner):
        return stored
    record = stored.record
    if viewer.may_know_names(record.visibility, stored.owner):
        return replace(stored, record=_masked(record)) if stored.personal else stored
    return replace(stored, record=_masked(_nameless(record)), institution_id=None)


def holds_personal_data(record: Record) -> bool:
    """Whether a record's texts hold what others must not read."""
    return _masked(record) is not record


def indexed(record: Record) -> Record:
    """A record as it is embedded and searched.

    Nobody finds a person by a telephone number, nor an enterprise that hides by its name: whoever could ask
    for the name and look at the ranks would know.
    """
    return _purged(record if record.visibility == "public" else _nameless(record))


def _nameless(record: Record) -> Record:
    names = [name for name in (record.institution, *record.co_institutions) if name]
    changes: dict[str, Any] = {name: without_names(text, names) for name, text in _free(record).items()}
    keywords = tuple(without_names(keyword, names) for keyword in record.keywords)
    if isinstance(record, Patent):
        # Anybody can look up whose a number is, and for whom these people work.
        changes |= {"publication_number": None, "application_number": None, "inventors": ()}
    return replace(record, institution=None, co_institutions=(), url=None, keywords=keywords, **changes)


def _masked(record: Record) -> Record:
    changes: dict[str, Any] = {name: masked(text) for name, text in _free(record).items()}
    changes["keywords"] = tuple(masked(keyword) for keyword in record.keywords)
    return _changed(record, changes)


def _purged(record: Record) -> Record:
    return _changed(record, {name: purged(text) for name, text in _free(record).items()})


def _free(record: Record) -> dict[str, str]:
    return {name: text for name in FREE_TEXTS if (text := getattr(record, name, None))}


def _changed(record: Record, texts: Mapping[str, Any]) -> Record:
    # As a rule there is nothing to hide, and a copy takes its time.
    changes = {name: text for name, text in texts.items() if getattr(record, name) != text}
    return replace(record, **changes) if changes else record
