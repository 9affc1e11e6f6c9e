"""A file into the store: good rows go in, bad ones go to a rejects file that says why."""

from __future__ import annotations

import csv
import datetime
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from matcher.errors import InvalidRecord, UnreadableFile
from matcher.readers import BadRow, Row, guess_kind, map_columns, read_table
from matcher.records import KIND_NAMES, KINDS, Kind, Record, Visibility, parse_record
from matcher.store import Store
from matcher.values import harmless

# Records in one transaction: large enough that its cost is small, small enough that others may write between.
BATCH = 500
REJECT_COLUMNS = ("行号", "字段", "原因", "原始内容")


@dataclass
class IngestReport:
    """What became of one file's rows.

    :param columns: field to column, as the table was understood.
    """

    file: str
    kind: Kind
    columns: Mapping[str, str]
    unused: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter)
    rejects_file: Path | None = None

    @property
    def read(self) -> int:
        """Rows that held anything."""
        return sum(self.counts.values())

    def as_json(self) -> dict[str, object]:
        """The contract of ``matcher ingest --json``."""
        outcomes = {name: self.counts[name] for name in ("added", "updated", "unchanged", "rejected")}
        rejects = str(self.rejects_file) if self.rejects_file else None
        return {"file": self.file, "kind": self.kind, "read": self.read, **outcomes, "rejects_file": rejects}


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
) -> IngestReport:
    """Read one file into the store; when this returns, every row is either stored or in the rejects file.

    :param kind: of all rows; guessed from columns and file name where not given.
    :param overrides: field to column, for columns that are not recognised.
    :param source: names where the records come from; the file's name by default.
    :param owner: the account that brings them, 0 for the operator.
    :param visibility: of rows that do not say who may see them.
    :param allowed: the kinds that may be brought; None for all.
    :raises UnreadableFile: if the file is no table, or its kind cannot be told or is not allowed.
    :raises UnknownColumn: if an override names a column that is not there.
    """
    table = read_table(path)
    guessed = kind or guess_kind(table.columns, path.name)
    if guessed not in KINDS:
        names = "、".join(f"{code}（{KIND_NAMES[code]}）" for code in KINDS)
        raise UnreadableFile(
            f"看不出 {path.name} 里是哪一类记录（列名：{'、'.join(table.columns[:12])}）。请用 --kind 指明：{names}。"
        )
    kind = guessed
    if allowed is not None and kind not in allowed:
        names = "、".join(KIND_NAMES[one] for one in allowed)
        raise UnreadableFile(f"{path.name} 里是{KIND_NAMES[kind]}，您只能提交{names}。请用 kind 指明正确的类型。")
    columns = map_columns(table.columns, kind, overrides or {})
    if "title" not in columns.fields:
        raise UnreadableFile(
            f"{path.name} 中没有找到标题列（列名：{'、'.join(table.columns[:12])}）。请用 --map 标题=列名 指明。"
        )
    report = IngestReport(path.name, kind, columns.fields, columns.unused)
    with _Rejects(rejects_folder, path.stem) as rejects:
        batch: list[tuple[Record, str | None]] = []
        seen: dict[str, tuple[int, str]] = {}
        for row in table.rows:
            if isinstance(row, BadRow):
                rejects.add(row.line, row.field, row.reason, row.raw)
                report.counts["rejected"] += 1
                continue
            try:
                values = columns.apply(row)
                if not values.get("visibility"):
                    values = {**values, "visibility": visibility}
                record, contact = parse_record(kind, values, source or path.stem)
                _refuse_second_version(record, row, seen)
            except InvalidRecord as error:
                rejects.add(row.line, error.field, error.reason, json.dumps(dict(row.values), ensure_ascii=False))
                report.counts["rejected"] += 1
                continue
            batch.append((record, contact))
            if len(batch) == BATCH:
                report.counts.update(store.upsert(batch, owner))
                batch = []
        if batch:
            report.counts.update(store.upsert(batch, owner))
    report.rejects_file = rejects.path
    if not report.read:
        raise UnreadableFile(f"{path.name} 只有表头，没有数据行。请检查是否导出了正确的工作表。")
    return report


def _refuse_second_version(record: Record, row: Row, seen: dict[str, tuple[int, str]]) -> None:
    """One id twice in a file with different content: which one is right is not ours to guess."""
    line, digest = seen.setdefault(record.id, (row.line, record.content_hash))
    if digest != record.content_hash:
        raise InvalidRecord("编号", f"与第 {line} 行重复（{record.source_id[:40]}），但内容不同；请只保留正确的一行")


class _Rejects:
    """The rejects file; it exists only if something was refused."""

    def __init__(self, folder: Path, name: str) -> None:
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-%f")
        self._target = folder / f"{name}-{stamp}.csv"
        self._file: TextIO | None = None
        self.path: Path | None = None

    def __enter__(self) -> _Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, line: int, field: str, reason: str, raw: str) -> None:
        """Write one refused row."""
        if self._file is None:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            # The mark at the start lets Excel see that it is UTF-8.
            self._file = self._target.open("w", encoding="utf-8-sig", newline="", errors="replace")
            self._writer = csv.writer(self._file)
            self._writer.writerow(REJECT_COLUMNS)
            self.path = self._target
        self._writer.writerow([line, field, reason, harmless(raw)])
        self._file.flush()
