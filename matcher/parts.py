"""One part of a file understood: what kind of records it holds, and which column is which field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from matcher.errors import InvalidRecord, UnknownColumn, UnreadableFile
from matcher.readers import BadRow, ColumnMap, Row, Table, guess_kind, map_columns
from matcher.records import KIND_NAMES, KINDS, Kind, Record, Visibility, parse_record

# A running number tells records apart only inside its own table.
_RUNNING_NUMBER = "序号"
SHOWN_COLUMNS = 12


@dataclass(frozen=True)
class Refusal:
    """A row that did not become a record: its line, and the field and the reason in Chinese."""

    line: int
    field: str
    reason: str
    raw: Mapping[str, str] | str


@dataclass(frozen=True)
class Part:
    """A table whose rows can become records.

    :param visibility: of records that do not say who may see them.
    """

    table: Table
    kind: Kind
    columns: ColumnMap
    source: str
    visibility: Visibility = "public"

    def records(self) -> Iterator[tuple[Row, Record, str | None] | Refusal]:
        """Give each row's record and contact, or why there is none."""
        for row in self.table.rows:
            if isinstance(row, BadRow):
                yield Refusal(row.line, row.field, row.reason, row.raw)
                continue
            values = self.columns.apply(row)
            if self.table.name and self.columns.fields.get("source_id") == _RUNNING_NUMBER and "source_id" in values:
                values["source_id"] = f"{self.table.name} {values['source_id']}"
            if not values.get("visibility"):
                values["visibility"] = self.visibility
            try:
                record, contact = parse_record(self.kind, values, self.source)
            except InvalidRecord as error:
                yield Refusal(row.line, error.field, error.reason, row.values)
            else:
                yield row, record, contact


def understand(
    table: Table,
    path: Path,
    kind: Kind | None,
    overrides: Mapping[str, str],
    source: str | None,
    visibility: Visibility = "public",
    allowed: Sequence[Kind] | None = None,
) -> Part:
    """Say what the records of a table are and where their fields stand.

    :param kind: of the records; guessed from columns and names where not given.
    :param overrides: field to column; in one part of several, those whose column it has.
    :param source: where the records come from; the file by default, of an archive the member.
    :param visibility: of records that do not say who may see them.
    :param allowed: the kinds that may be brought; None for all.
    :raises UnreadableFile: the kind cannot be told or is not allowed, or no column is the title.
    :raises UnknownColumn: an override names a field that the kind has not, or a column that is not there.
    """
    guessed = kind or table.kind or guess_kind(table.columns, table.name) or guess_kind(table.columns, path.name)
    shown = "、".join(table.columns[:SHOWN_COLUMNS])
    place = f"{path.name} 的“{table.name}”" if table.name else path.name
    if guessed not in KINDS:
        names = "、".join(f"{code}（{KIND_NAMES[code]}）" for code in KINDS)
        raise UnreadableFile(f"看不出 {place} 里是哪一类记录（列名：{shown}）。请用 --kind 指明：{names}。")
    if allowed is not None and guessed not in allowed:
        names = "、".join(KIND_NAMES[one] for one in allowed)
        raise UnreadableFile(f"{place} 里是{KIND_NAMES[guessed]}，您只能提交{names}。请用 kind 指明正确的类型。")
    try:
        columns = map_columns(table.columns, guessed, overrides)
    except UnknownColumn:
        if not table.name:
            raise
        fitting = {field: column for field, column in overrides.items() if column in table.columns}
        columns = map_columns(table.columns, guessed, fitting)
    if "title" not in columns.fields:
        raise UnreadableFile(f"{place} 中没有找到标题列（列名：{shown}）。请用 --map 标题=列名 指明。")
    own = str(PurePosixPath(table.member).with_suffix("")) if table.member else path.stem
    return Part(table, guessed, columns, source or own, visibility)
