"""Matched pairs as a table: CSV for people, JSON lines for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path

from matcher.batch import Matches
from matcher.rank import LEVEL_NAMES
from matcher.rows import StoredRecord
from matcher.store import Store
from matcher.values import harmless

COLUMNS = {
    "question_id": "发问记录编号",
    "question_title": "发问记录标题",
    "question_institution": "发问单位",
    "rank": "名次",
    "level": "关联度",
    "level_name": "关联度名称",
    "score": "得分",
    "id": "匹配记录编号",
    "title": "匹配记录标题",
    "institution": "匹配单位",
    "province": "省份",
}


def write_pairs(parts: Iterable[Matches], store: Store, output: Path | None, as_json: bool) -> int:
    """Write pairs to a file, or to standard output, and count them."""
    count = 0
    # The mark at the start lets Excel see that a file is UTF-8.
    encoding = "utf-8" if as_json else "utf-8-sig"
    with output.open("w", encoding=encoding, newline="") if output else nullcontext(sys.stdout) as stream:
        table = csv.writer(stream)
        if not as_json:
            table.writerow(COLUMNS.values())
        for matches in parts:
            for row in _rows(matches, store):
                if as_json:
                    stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                else:
                    table.writerow([harmless(value) if isinstance(value, str) else value for value in row.values()])
                count += 1
    return count


def _rows(matches: Matches, store: Store) -> Iterator[dict[str, object]]:
    known = store.by_key(sorted({*matches.questions.tolist(), *matches.found.tolist()}))
    columns = (matches.questions, matches.found, matches.levels, matches.scores)
    pairs = zip(*(column.tolist() for column in columns), strict=True)
    for key, own in groupby(pairs, lambda pair: pair[0]):
        question = known[key]
        for rank, (_, found, level, score) in enumerate(own, 1):
            yield _row(question, known[found], rank, level, score)


def _row(question: StoredRecord, found: StoredRecord, rank: int, level: int, score: float) -> dict[str, object]:
    return {
        "question_id": question.id,
        "question_title": question.record.title,
        "question_institution": question.record.institution,
        "rank": rank,
        "level": level,
        "level_name": LEVEL_NAMES[level],
        "score": round(score, 4),
        "id": found.id,
        "title": found.record.title,
        "institution": found.record.institution,
        "province": found.record.province,
    }
