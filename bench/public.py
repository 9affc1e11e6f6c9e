"""The public texts that `corpus/labels.csv` and `corpus/ratings.csv` speak of by hash.

They are not part of the repository; `corpus/README.md` says where they come from.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from matcher.text import normalize


@dataclass(frozen=True)
class PublicText:
    """One text, normalised.

    :param kind: need, achievement, patent or paper.
    :param title: empty where a text has none of its own; `body` is empty for a bare title.
    :param ipc: IPC subclasses, where known.
    """

    kind: str
    title: str
    body: str
    ipc: tuple[str, ...] = ()

    @property
    def whole(self) -> str:
        """Title and body as one text, as they were labelled."""
        return normalize("。".join(part for part in (self.title, self.body) if part))


def public_texts(data: Path) -> list[PublicText]:
    """All needs, achievement titles, patents and papers under a folder laid out as `corpus/README.md` says."""
    return list(_texts(data))


def _texts(data: Path) -> Iterator[PublicText]:
    for row in _csv(data / "needs/needs.csv"):
        yield PublicText("need", row["title"], row["text"])
    for row in _csv(data / "needs/judgements.csv"):
        yield PublicText("achievement", row["achievement_title"].replace(" ", ""), "")
    for row in _jsonl(data / "patents/patents.jsonl"):
        yield PublicText("patent", row["title"], row["abstract"])
    for row in _csv(data / "patents/titles_ipc.csv"):
        yield PublicText("patent", row["title"], "", tuple(row["ipc_subclasses"].split("|")))
    for row in _jsonl(data / "papers/csl.jsonl"):
        yield PublicText("paper", row["title"], row["abstract"])
    for row in _jsonl(data / "papers/csldcp.jsonl"):
        yield PublicText("paper", "", row["text"])


def text_hash(text: str, length: int) -> str:
    """The first hexadecimal digits of a normalised text's SHA-256."""
    return hashlib.sha256(normalize(text).encode()).hexdigest()[:length]


def _csv(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _jsonl(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)
