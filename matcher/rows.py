"""Records as the store's rows, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row

from matcher.life import last_day, today
from matcher.records import RECORD_TYPES, Record, Visibility
from matcher.redaction import holds_personal_data

RECORD_COLUMNS = (
    *("kind", "source", "source_id", "title", "abstract", "institution", "province", "city", "county"),
    *("region_code", "date", "keywords", "url", "visibility"),
)
# Of a changed record the audit trail names these, and not what the database makes of them.
AUDITED_COLUMNS = (*RECORD_COLUMNS, "co_institutions", "declared_programmes", "details", "owner")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record with what the store adds to it.

    :param key: the number under which the index knows it.
    :param institution_id: of the owner, aliases resolved at the time of writing.
    :param owner: the account that handed it in; 0 for the operator.
    :param ends: the last day on which it takes part in matches, see `matcher.life`.
    :param personal: whether its texts hold what others must not read, see `matcher.redaction`.
    :param revision: rises with every change of any record.
    :param merged_into: the id of the record that stands for it, see `matcher.merges`; None if it stands for itself.
    """

    key: int
    id: str
    record: Record
    institution_id: str | None
    owner: int
    ends: int
    personal: bool
    revision: int
    withdrawn: bool
    tags: Mapping[str, float]
    merged_into: str | None = None

    @property
    def indexed(self) -> bool:
        """Whether it takes part in matches until its last day."""
        return not self.withdrawn and self.merged_into is None

    @property
    def live(self) -> bool:
        """Whether it takes part in matches today."""
        return self.indexed and self.ends >= today()


def stored_hash(record: Record, contact: str | None) -> str:
    """Changes when anything of a record or its contact does."""
    return hashlib.sha256(f"{record.content_hash}{contact or ''}".encode()).hexdigest()


def to_row(record: Record, contact: str | None, owners: Mapping[str, str]) -> dict[str, Any]:
    """The columns that a record decides.

    :param owners: ids of institutions by the names that records write.
    """
    owner = owners[record.institution] if record.institution and record.kind != "institution" else None
    values = asdict(record)
    return {name: values[name] for name in RECORD_COLUMNS} | {
        "id": record.id,
        "institution_id": owner,
        "co_institutions": list(record.co_institutions),
        "declared_programmes": list(record.programmes),
        "keywords": list(record.keywords),
        "ends": last_day(record),
        "personal": int(holds_personal_data(record)),
        "details": record.details(),
        "content_hash": stored_hash(record, contact),
    }


def from_row(row: Row[Any], tags: Mapping[str, float]) -> StoredRecord:
    """A record out of a row of `matcher.tables.records`."""
    details = {name: tuple(value) if isinstance(value, list) else value for name, value in row.details.items()}
    visibility: Visibility = row.visibility
    record = RECORD_TYPES[row.kind](
        kind=row.kind,
        source=row.source,
        source_id=row.source_id,
        title=row.title,
        abstract=row.abstract,
        institution=row.institution,
        co_institutions=tuple(row.co_institutions),
        province=row.province,
        city=row.city,
        county=row.county,
        region_code=row.region_code,
        date=row.date,
        keywords=tuple(row.keywords),
        programmes=tuple(row.declared_programmes),
        url=row.url,
        visibility=visibility,
        **details,
    )
    return StoredRecord(
        row.key,
        row.id,
        record,
        row.institution_id,
        row.owner,
        row.ends,
        bool(row.personal),
        row.revision,
        bool(row.withdrawn),
        tags,
        row.merged_into,
    )
