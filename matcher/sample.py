"""The sample corpus that comes with the program: what a newcomer sees, and what the defaults learn from."""

from __future__ import annotations

import csv
import functools
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matcher.embed import Embedder, Progress
from matcher.programs import TaggedText
from matcher.readers import Row, map_columns, read_table
from matcher.records import PROGRAMME_CODES, Kind, Need, Patent, Record, embedded_text, parse_record
from matcher.segments import Floats
from matcher.text import Tokenizer, normalize

# In the order of loading: institutions first, so that the offers' owners are known.
FILES: tuple[tuple[Kind, str], ...] = (
    ("institution", "institutions.csv"),
    ("achievement", "achievements.csv"),
    ("patent", "patents.csv"),
    ("need", "needs.csv"),
)
SOURCE = "sample"
# The need that `matcher demo` shows: its best answer shares few words with it.
SHOWN_NEED = "N-AGR-02"


def path(name: str) -> Path:
    """Where a file of the corpus lies."""
    return Path(str(resources.files("corpus") / name))


def records(kind: Kind) -> list[Record]:
    """All sample records of a kind."""
    table = read_table(path(dict(FILES)[kind]))
    columns = map_columns(table.columns, kind)
    return [parse_record(kind, columns.apply(row), SOURCE)[0] for row in table.rows if isinstance(row, Row)]


@functools.cache
def off_topic(split: str) -> list[str]:
    """Texts that have nothing to do with the market, of one split."""
    with path("off_topic.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file) if row["split"] == split]


def tagged_texts(
    labelled: list[Record], embedder: Embedder, tokenizer: Tokenizer, progress: Progress | None = None
) -> tuple[list[TaggedText], NDArray[np.bool_], Floats]:
    """Records with known programmes, made ready for the tagger.

    :returns: the texts, their labels (n, 7), and the mean of their vectors.
    """
    texts = [(normalize(record.title), normalize(record.abstract)) for record in labelled]
    vectors = embedder.documents([embedded_text(*text) for text in texts], progress)
    tagged = [
        TaggedText(
            vector,
            tokenizer.terms(title) + tokenizer.terms(abstract),
            record.ipc if isinstance(record, Patent) else (),
            record.industry if isinstance(record, Need) else None,
        )
        for record, (title, abstract), vector in zip(labelled, texts, vectors, strict=True)
    ]
    labels = np.array([[code in record.programmes for code in PROGRAMME_CODES] for record in labelled])
    return tagged, labels, vectors.mean(axis=0)
