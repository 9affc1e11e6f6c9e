"""Is everything as it should be: the database by itself, the index beside it, the model's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, or_, select, text

from matcher import e5, seal, tables
from matcher.documents import VISIBILITY_ORDER, Listing
from matcher.embed import default_model_folder, load_encoder
from matcher.errors import DamagedIndex, StoreUnavailable
from matcher.index import Index, open_index
from matcher.records import KINDS
from matcher.segments import Integers
from matcher.settings import DEFAULT_MODEL, Settings
from matcher.store import Store

# Ids that a finding names.
EXAMPLES = 5
# What SQLite lists of what it finds wrong.
SQLITE_FINDINGS = 20
_RESTORE = "请先停止所有 matcher 进程，再用 matcher restore 从备份恢复。"
# Columns that must be the same in both, as a user knows them.
_COMPARED = {"kind": "类型", "visibility": "公开范围", "owner": "所有者", "ends": "截止日期"}
_REINDEX = "请运行 matcher reindex 从数据库重建索引。"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    :param check: which check found it, for programs.
    :param message: what is wrong and what to do, in Chinese.
    :param examples: ids, or what else tells where.
    """

    check: str
    message: str
    count: int = 1
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a check found.

    :param records: in the store that belong into the index.
    :param indexed: documents in the index.
    :param behind: changes in the store that the index has yet to take up; this is no fault.
    """

    findings: tuple[Finding, ...]
    records: int
    indexed: int
    behind: int

    def as_json(self) -> dict[str, object]:
        """The contract of ``matcher check --json``."""
        findings = [
            {"check": one.check, "message": one.message, "count": one.count, "examples": list(one.examples)}
            for one in self.findings
        ]
        return {
            "ok": not self.findings,
            "findings": findings,
            "records": self.records,
            "indexed": self.indexed,
            "behind": self.behind,
        }


def check(settings: Settings) -> Report:
    """Look at everything; changes nothing, and others may write meanwhile.

    :raises IndexUnavailable: if the index is on a server that does not answer.
    :raises ModelError: if another model than the embedded one cannot be loaded.
    """
    findings: list[Finding] = []
    # The index first: what the store has gained since then is known by its revision.
    index = _open_index(settings)
    try:
        index.refresh()
        listing = index.listing()
    except DamagedIndex as error:
        findings.append(Finding("index.files", str(error)))
        listing = None
    records = behind = 0
    try:
        with closing(Store(settings.store_url)) as store, store.database.reading.connect() as connection:
            findings += _store_findings(connection)
            stored = _Stored.read(connection)
            records, behind = int(stored.indexed.sum()), int((stored.revisions > index.revision).sum())
            if listing:
                findings += _index_findings(connection, stored, listing, index.revision)
    except StoreUnavailable as error:
        findings.append(Finding("store.pages", str(error)))
    findings += _model_findings(settings)
    return Report(tuple(findings), records, len(listing.keys) if listing else 0, behind)


def _open_index(settings: Settings) -> Index:
    if settings.model == DEFAULT_MODEL:  # known without loading it
        return open_index(settings, e5.fingerprint(), e5.DIMENSION)
    encoder = load_encoder(settings)
    return open_index(settings, encoder.fingerprint, encoder.dimension)


def _store_findings(connection: Connection) -> Iterator[Finding]:
    if connection.dialect.name == "sqlite":
        wrong = [str(row[0]) for row in connection.execute(text(f"PRAGMA integrity_check({SQLITE_FINDINGS})"))]
        if wrong != ["ok"]:
            yield _finding("store.pages", "数据库文件内部已损坏。" + _RESTORE, wrong)
        lost = [f"{row[0]} 第 {row[1]} 行" for row in connection.execute(text("PRAGMA foreign_key_check"))]
        if lost:
            yield _finding("store.references", "数据库中有些行所属的记录已不存在。" + _RESTORE, lost)
    r, names, counters = tables.records, tables.institution_names, tables.counters
    owner = r.alias("owner")
    orphans = select(r.c.id).outerjoin(owner, r.c.institution_id == owner.c.id)
    ids = connection.execute(orphans.where(r.c.institution_id.is_not(None), owner.c.id.is_(None))).scalars().all()
    if ids:
        yield _finding("store.owners", "有些记录的机构不在数据库中。请重新导入这些记录的来源文件。", ids)
    orphans = select(r.c.id).outerjoin(owner, r.c.merged_into == owner.c.id)
    ids = connection.execute(orphans.where(r.c.merged_into.is_not(None), owner.c.id.is_(None))).scalars().all()
    if ids:
        yield _finding("store.merged", "有些记录并入的记录不在数据库中，检索不到它们。" + _RESTORE, ids)
    a = tables.accounts
    strangers = select(r.c.id).outerjoin(a, r.c.owner == a.c.key).where(r.c.owner != 0, a.c.key.is_(None))
    ids = connection.execute(strangers).scalars().all()
    if ids:
        yield _finding("store.accounts", "有些记录所属的账号不在数据库中，没有人能修改它们。" + _RESTORE, ids)
    unknown = select(names.c.name_key).outerjoin(owner, names.c.institution_id == owner.c.id)
    keys = connection.execute(unknown.where(owner.c.id.is_(None))).scalars().all()
    if keys:
        yield _finding("store.names", "有些机构名称所指的机构不在数据库中。请重新导入机构名录。", keys)
    last, different, count = connection.execute(
        select(func.max(r.c.revision), func.count(r.c.revision.distinct()), func.count())
    ).one()
    counter = connection.execute(select(counters.c.value).where(counters.c.name == "revision")).scalar()
    if counter is None or (last or 0) > counter or different != count:
        yield Finding("store.revisions", "数据库的版本号不一致，索引可能漏掉改动。" + _RESTORE)


@dataclass(frozen=True)
class _Stored:
    """All records, ascending by key, each array int64 (n,); the last four as in `Listing`.

    :param indexed: bool (n,), whether each belongs in an index.
    """

    keys: Integers
    revisions: Integers
    indexed: NDArray[np.bool_]
    kind: Integers
    visibility: Integers
    owner: Integers
    ends: Integers

    @classmethod
    def read(cls, connection: Connection) -> _Stored:
        r = tables.records.c
        kinds = {name: place for place, name in enumerate(KINDS)}
        seen_by = {name: place for place, name in enumerate(VISIBILITY_ORDER)}
        out = or_(r.withdrawn != 0, r.merged_into.is_not(None))
        query = select(r.key, r.revision, out, r.kind, r.visibility, r.owner, r.ends).order_by(r.key)
        rows = [
            (key, revision, not gone and kind != "institution", kinds[kind], seen_by[seen], owner, ends)
            for key, revision, gone, kind, seen, owner, ends in connection.execute(query)
        ]
        keys, revisions, indexed, *columns = np.array(rows, np.int64).reshape(-1, len(fields(cls))).T
        return cls(keys, revisions, indexed.astype(np.bool_), *columns)


def _index_findings(connection: Connection, stored: _Stored, listing: Listing, revision: int) -> Iterator[Finding]:
    # What changed after the index's revision may be in it as it was before, or not at all.
    settled = stored.revisions <= revision
    wanted = settled & stored.indexed
    missing = np.setdiff1d(stored.keys[wanted], listing.keys)
    surplus = np.setdiff1d(listing.keys, stored.keys[stored.indexed | ~settled])
    if len(missing):
        yield _finding(
            "index.missing", "有些记录不在索引中，检索不到。" + _REINDEX, _ids(connection, missing), len(missing)
        )
    if len(surplus):
        message = "索引中有已撤回、已合并或不存在的记录。" + _REINDEX
        yield _finding("index.surplus", message, _ids(connection, surplus), len(surplus))
    _, ours, theirs = np.intersect1d(stored.keys[wanted], listing.keys, return_indices=True)
    for column, name in _COMPARED.items():
        differs = getattr(stored, column)[wanted][ours] != getattr(listing, column)[theirs]
        if differs.any():
            keys = stored.keys[wanted][ours][differs]
            message = f"索引中有些记录的{name}与数据库不一致。{_REINDEX}"
            yield _finding(f"index.{column}", message, _ids(connection, keys), len(keys))


def _model_findings(settings: Settings) -> Iterator[Finding]:
    if settings.model != DEFAULT_MODEL:
        return
    folder = default_model_folder(settings.home)
    wrong = seal.damaged(folder) if folder.exists() else []  # not unpacked yet is as it should be
    if wrong:
        yield _finding(
            "model.files", f"模型目录 {folder} 不完整或已损坏。请删除该目录，程序下次运行时会重新解开。", wrong
        )


def _ids(connection: Connection, keys: Integers) -> list[str]:
    r = tables.records.c
    shown = keys[:EXAMPLES].tolist()
    known = {row.key: row.id for row in connection.execute(select(r.key, r.id).where(r.key.in_(shown)))}
    return [known.get(key, f"第 {key} 号") for key in shown]


def _finding(check: str, message: str, examples: Sequence[object], count: int | None = None) -> Finding:
    shown = tuple(str(example) for example in examples[:EXAMPLES])
    return Finding(check, message, len(examples) if count is None else count, shown)
