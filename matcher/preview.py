"""What a file would become, without writing anything: kind, columns and the first records of each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matcher.errors import UnreadableFile
from matcher.ingest import nothing_read
from matcher.parts import Part, Refusal, understand
from matcher.readers import MAX_FILE_BYTES, Refused, label, read_tables
from matcher.records import KIND_NAMES, Kind, Record, Visibility

# Records shown of each part, and refused rows shown until that many are found.
SHOWN_RECORDS = 3


@dataclass(frozen=True)
class PartPreview:
    """How one part of a file is understood.

    :param records: the first ones, as they would be stored. Contacts, which live apart, are not shown.
    :param refusals: of the rows before them.
    :param reason: why the part as a whole would be refused; empty where it would not.
    """

    name: str
    part: Part | None = None
    records: tuple[Record, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """The part for ``matcher ingest --preview --json`` and the API."""
        part = self.part
        return {
            "name": self.name,
            "kind": part.kind if part else None,
            "kind_name": KIND_NAMES[part.kind] if part else None,
            "columns": [
                {"field": field, "field_name": label(part.kind, field), "column": column}
                for field, column in part.columns.fields.items()
            ]
            if part
            else [],
            "unused": list(part.columns.unused) if part else [],
            "records": [{"id": record.id, **asdict(record)} for record in self.records],
            "rejected": [{"line": each.line, "field": each.field, "reason": each.reason} for each in self.refusals],
            "note": (part.table.note or None) if part else None,
            "reason": self.reason or None,
        }


@dataclass(frozen=True)
class Preview:
    """How a file is understood, part by part; at least one part is a table."""

    file: str
    parts: tuple[PartPreview, ...]

    def as_json(self) -> dict[str, Any]:
        """The file for ``matcher ingest --preview --json`` and the API."""
        return {"file": self.file, "parts": [part.as_json() for part in self.parts]}


def preview_file(
    path: Path,
    kind: Kind | None = None,
    overrides: Mapping[str, str] | None = None,
    source: str | None = None,
    visibility: Visibility = "public",
    allowed: Sequence[Kind] | None = None,
    max_bytes: int = MAX_FILE_BYTES,
) -> Preview:
    """Show how `ingest_file` would understand a file; takes the same choices, writes nothing.

    :raises UnreadableFile: if no part of the file is a table, or the kind of none can be told.
    :raises UnknownColumn: if an override names a column that is not there.
    """
    parts: list[PartPreview] = []
    for table in read_tables(path, max_bytes):
        if isinstance(table, Refused):
            parts.append(PartPreview(table.name, reason=table.reason))
            continue
        try:
            part = understand(table, path, kind, overrides or {}, source, visibility, allowed)
        except UnreadableFile as error:
            parts.append(PartPreview(table.name, reason=str(error)))
            continue
        parts.append(_first_of(part))
    if not any(part.part for part in parts):
        raise UnreadableFile(nothing_read(path, [part.reason for part in parts]))
    return Preview(path.name, tuple(parts))


def _first_of(part: Part) -> PartPreview:
    records: list[Record] = []
    refusals: list[Refusal] = []
    for item in part.records():
        if isinstance(item, Refusal):
            refusals.append(item)
        else:
            records.append(item[1])
        if len(records) == SHOWN_RECORDS or len(refusals) == SHOWN_RECORDS:
            break
    return PartPreview(part.table.name, part, tuple(records), tuple(refusals))
