"""What most tests of the engine need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from matcher.embed import Embedder, VectorCache, prepare_default_model
from matcher.store import Store
from matcher.text import Tokenizer
from tests import postgresql as own
from tests.fakes import FakeEncoder
from tests.milvus import milvus_server


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.default()


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def embedder(encoder: FakeEncoder, tmp_path: Path) -> Iterator[Embedder]:
    cache = VectorCache(tmp_path / "vectors.db")
    yield Embedder(encoder, cache)
    cache.close()


@pytest.fixture(scope="session")
def shared_embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedder]:
    """For what several tests look at and none changes."""
    cache = VectorCache(tmp_path_factory.mktemp("shared") / "vectors.db")
    yield Embedder(FakeEncoder(), cache)
    cache.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'matcher.db'}")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[own.Server]:
    """A PostgreSQL server, started once."""
    if own.binaries() is None:
        pytest.skip(own.HOW_TO_INSTALL)
    with own.server() as running:
        yield running


@pytest.fixture(scope="session")
def model_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the embedded model is unpacked; link or copy its folder `model` into others."""
    home = tmp_path_factory.mktemp("model-home")
    prepare_default_model(home)
    return home


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Milvus server; whoever uses it takes collections, or a database, of its own."""
    with milvus_server(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri
