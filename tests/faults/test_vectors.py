"""The cache of vectors, damaged in any way: set aside, told, and made again."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from matcher.embed import Embedder
from matcher.errors import StoreUnavailable
from matcher.vectors import VectorCache
from tests.fakes import FakeEncoder

TEXTS = [f"第{number}种装置" for number in range(400)]


def fill(path: Path) -> None:
    with closing(VectorCache(path)) as cache:
        Embedder(FakeEncoder(), cache).documents(TEXTS)


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xa5" * 2048)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "scribbled": scribble,
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "something else": lambda path: path.write_bytes(b"not a database" * 1000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_its_vectors_are_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = tmp_path / "vectors.db"
    fill(path)
    DAMAGES[damage](path)
    with caplog.at_level(logging.WARNING), closing(VectorCache(path)) as cache:
        encoder = FakeEncoder()
        embedder = Embedder(encoder, cache)
        assert np.array_equal(embedder.documents(TEXTS), FakeEncoder().encode(TEXTS, "document"))
        again = len(encoder.encoded)
        assert again
        assert np.array_equal(embedder.documents(TEXTS), FakeEncoder().encode(TEXTS, "document"))
        assert len(encoder.encoded) == again
    assert "已另存为 vectors.db.damaged-1" in caplog.text
    assert (tmp_path / "vectors.db.damaged-1").exists()


def test_two_processes_that_meet_the_damage_set_it_aside_once(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    fill(path)
    with closing(VectorCache(path)) as one, closing(VectorCache(path)) as two:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        scribble(path)
        for cache in (one, two):
            assert len(Embedder(FakeEncoder(), cache).documents(TEXTS)) == len(TEXTS)
        encoder = FakeEncoder()
        Embedder(encoder, two).documents(TEXTS)
        assert encoder.encoded == []
    assert [path.name for path in tmp_path.glob("*.damaged-*")] == ["vectors.db.damaged-1"]


def test_a_vector_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    fill(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE vectors SET vector = substr(vector, 1, 30)")
    with closing(VectorCache(path)) as cache:
        for made in (len(TEXTS), 0):
            encoder = FakeEncoder()
            vectors = Embedder(encoder, cache).documents(TEXTS)
            assert np.array_equal(vectors, FakeEncoder().encode(TEXTS, "document"))
            assert len(encoder.encoded) == made


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "vectors.db").mkdir()
    with pytest.raises(StoreUnavailable, match="打不开"):
        VectorCache(tmp_path / "vectors.db")
