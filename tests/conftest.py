"""What most tests of the engine need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from matcher import sample
from matcher.embed import Embedder, VectorCache, prepare_default_model
from matcher.engine import Matcher
from matcher.settings import Settings
from matcher.store import Store
from matcher.text import Tokenizer
from tests import postgresql as own
from tests.fakes import FakeEncoder
from tests.milvus import milvus_server

# What takes long, the longest first: nothing of it shall be left for one process alone at the end.
LONG = ("test_notebooks.py", "e2e", "test_model.py", "store", "index")
HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(HERE).parts[0]
        return LONG.index(room) if room in LONG else len(LONG)

    items.sort(key=place)


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
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of this run, for what takes long to make."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def model_home(common: Path) -> Path:
    """A home in which the embedded model is unpacked; link or copy its folder `model` into others."""
    home = common / "model-home"
    prepare_default_model(home)
    return home


@pytest.fixture(scope="session")
def sample_vectors(common: Path, model_home: Path) -> Path:
    """A cache with the vectors of the sample corpus: who copies it into a home need not embed all that once more."""
    home = common / "sample-home"
    with FileLock(common / "sample-home.lock"):
        if not home.exists():
            part = common / "sample-home.part"
            part.mkdir()
            (part / "model").symlink_to(model_home / "model")
            with closing(Matcher(Settings(home=part, threads=1))) as matcher:
                for kind, name in sample.FILES:
                    matcher.ingest(sample.path(name), kind, source=sample.SOURCE)
                matcher.catch_up()
            part.rename(home)
    return home / "vectors.db"


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Milvus server; whoever uses it takes collections, or a database, of its own."""
    with milvus_server(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri
