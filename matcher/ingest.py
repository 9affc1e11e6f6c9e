"""A file into the store: good rows go in, bad ones go to a rejects file that says why."""

from __future__ import annotations

import csv
import datetime
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from matcher.errors import InvalidRecord, UnreadableFile
from matcher.faults import room_for
from matcher.parts import Part, Refusal, understand
from matcher.readers import MAX_FILE_BYTES, Refused, read_tables
from matcher.records import Kind, Record, Visibility
from matcher.store import Store
from matcher.values import harmless

# Records in one transaction: large enough that its cost is small, small enough that others may write between.
BATCH = 500
REJECT_COLUMNS = ("部分", "行号", "字段", "原因", "原始内容")
# As much as a cell of a spreadsheet holds.
RAW_LIMIT = 32_767
# Of a file in which nothing can be read: enough to see what they have in common.
SHOWN_REASONS = 3


@dataclass
class PartReport:
    """What became of the rows of one part of a file: a sheet, a member of an archive, or all of it.

    :param name: empty where the part is the whole file.
    :param kind: None where the part was refused.
    :param columns: field to column, as the table was understood.
    :param note: what the user should know of how it was read.
    :param reason: why the part was refused as a whole; empty where it was not.
    """

    name: str
    kind: Kind | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    note: str = ""
    reason: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, object]:
        """One of the parts in the contract of ``matcher ingest --json``."""
        return {
            **{"name": self.name, "kind": self.kind, **counts_json(self.counts)},
            **{"columns": dict(self.columns), "unused": list(self.unused)},
            **{"note": self.note or None, "reason": self.reason or None},
        }


@dataclass
class IngestReport:
    """What became of one file's rows, part by part; at least one part is a table."""

    file: str
    parts: list[PartReport] = field(default_factory=list)
    rejects_file: Path | None = None

    @property
    def tables(self) -> list[PartReport]:
        """The parts that were not refused as a whole."""
        return [part for part in self.parts if part.kind]

    @property
    def kind(self) -> Kind | None:
        """The kind of all records; None where parts differ."""
        kinds = {part.kind for part in self.tables}
        return kinds.pop() if len(kinds) == 1 else None

    @property
    def counts(self) -> Counter[str]:
        """Rows by what became of them: added, updated, unchanged, rejected."""
        return sum((part.counts for part in self.parts), Counter())

    @property
    def read(self) -> int:
        """Rows that held anything."""
        return self.counts.total()

    def as_json(self) -> dict[str, object]:
        """The contract of ``matcher ingest --json``."""
        rejects = str(self.rejects_file) if self.rejects_file else None
        return {
            **{"file": self.file, "kind": self.kind, **counts_json(self.counts), "rejects_file": rejects},
            "parts": [part.as_json() for part in self.parts],
        }


def counts_json(counts: Counter[str]) -> dict[str, int]:
    """Rows read, and what became of them."""
    outcomes = {name: counts[name] for name in ("added", "updated", "unchanged", "rejected")}
    return {"read": counts.total(), **outcomes}


def ingest_file(
    store: Store,
    path: Path,
    rejects_folder: Path,
    kind: Kind | None = None,
    overrides: Mapping[str, str] | None = None,
    source: str | None = None,
    owner: int = 0,
    visibility: Visibility = "public",
    allowed: Sequence[Kind] | None = None,
    max_bytes: int = MAX_FILE_BYTES,
) -> IngestReport:
    """Read one file into the store; when this returns, every row is either stored or in the rejects file.

    A part that is no table never stops the others; the report says why it was refused.

    :param kind: of all rows; guessed from columns and names where not given.
    :param overrides: field to column, for columns that are not recognised.
    :param source: names where the records come from; the file's name by default, of an archive the member's.
    :param owner: the account that brings them, 0 for the operator.
    :param visibility: of rows that do not say who may see them.
    :param allowed: the kinds that may be brought; None for all. A part of another kind is refused.
    :param max_bytes: of the file, and of an archive's members together, unpacked.
    :raises UnreadableFile: if no part of the file is a table whose kind can be told and is allowed.
    :raises UnknownColumn: if an override names a column that is not there.
    """
    report = IngestReport(path.name)
    seen: dict[str, tuple[str, str]] = {}
    with _Rejects(rejects_folder, path.stem) as rejects:
        for table in read_tables(path, max_bytes):
            if isinstance(table, Refused):
                report.parts.append(PartReport(table.name, reason=table.reason))
                continue
            try:
                part = understand(table, path, kind, overrides or {}, source, visibility, allowed)
            except UnreadableFile as error:
                report.parts.append(PartReport(table.name, reason=str(error)))
                continue
            own = PartReport(table.name, part.kind, part.columns.fields, part.columns.unused, table.note)
            report.parts.append(own)
            _store(store, part, owner, own.counts, rejects, seen)
    report.rejects_file = rejects.path
    if not report.tables:
        raise UnreadableFile(nothing_read(path, [part.reason for part in report.parts]))
    if not report.read:
        raise UnreadableFile(f"{path.name} 只有表头，没有数据行。请检查是否导出了正确的工作表。")
    return report


def nothing_read(path: Path, reasons: Sequence[str]) -> str:
    """The sentence for a file of which no part is a table."""
    if len(reasons) == 1:
        return reasons[0]
    shown = "；".join(reason.rstrip("。") for reason in reasons[:SHOWN_REASONS])
    return f"{path.name} 的 {len(reasons)} 个部分都不能导入：{shown}{'等' if len(reasons) > SHOWN_REASONS else ''}。"


def _store(
    store: Store, part: Part, owner: int, counts: Counter[str], rejects: _Rejects, seen: dict[str, tuple[str, str]]
) -> None:
    batch: list[tuple[Record, str | None]] = []
    within = f"“{part.table.name}”" if part.table.name else ""
    # Institutions are nobody's own, whoever brings them.
    keeper = 0 if part.kind == "institution" else owner
    for item in part.records():
        if not isinstance(item, Refusal):
            row, record, contact = item
            try:
                _refuse_second_version(record, f"{within}第 {row.line} 行", seen)
            except InvalidRecord as error:
                item = Refusal(row.line, error.field, error.reason, row.values)
        if isinstance(item, Refusal):
            raw = item.raw if isinstance(item.raw, str) else json.dumps(dict(item.raw), ensure_ascii=False)
            rejects.add(part.table.name, item.line, item.field, item.reason, raw)
            counts["rejected"] += 1
            continue
        batch.append((record, contact))
        if len(batch) == BATCH:
            counts.update(store.upsert(batch, keeper, owner))
            batch = []
    if batch:
        counts.update(store.upsert(batch, keeper, owner))


def _refuse_second_version(record: Record, place: str, seen: dict[str, tuple[str, str]]) -> None:
    """One id twice in a file with different content: which one is right is not ours to guess."""
    before, digest = seen.setdefault(record.id, (place, record.content_hash))
    if digest != record.content_hash:
        raise InvalidRecord("编号", f"与{before}重复（{record.source_id[:40]}），但内容不同；请只保留正确的一行")


class _Rejects:
    """The rejects file; it exists only if something was refused."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._file: TextIO | None = None
        self.path: Path | None = None

    def __enter__(self) -> _Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            with suppress(OSError):  # every row has been flushed; what could not be was told
                self._file.close()

    def add(self, part: str, line: int, field: str, reason: str, raw: str) -> None:
        """Write one refused row.

        :raises DiskFull: if there is no room for it.
        """
        with room_for("拒收文件", self._folder, "已入库的行不受影响。"):
            if self._file is None:
                self._file, self.path = self._new_file()
                self._writer = csv.writer(self._file)
                self._writer.writerow(REJECT_COLUMNS)
            self._writer.writerow([harmless(part), line, field, reason, harmless(raw[:RAW_LIMIT])])
            self._file.flush()

    def _new_file(self) -> tuple[TextIO, Path]:
        """A file that nobody has written before, wherever the clock was set to."""
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-%f")
        number = 1
        while True:
            path = self._folder / f"{self._name}-{stamp}{f'-{number}' if number > 1 else ''}.csv"
            with suppress(FileExistsError):
                # The mark at the start lets Excel see that it is UTF-8.
                return path.open("x", encoding="utf-8-sig", newline="", errors="replace"), path
            number += 1
