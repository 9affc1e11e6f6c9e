"""An installation whose texts are embedded and tagged without a model, and whose index is the real one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from matcher.embed import Embedder, VectorCache
from matcher.engine import Matcher
from matcher.programs import Tag, TaggedText
from matcher.settings import Settings
from tests.fakes import FakeEncoder


class NoProgrammes:
    """Tags nothing."""

    def tag(self, text: TaggedText) -> Sequence[Tag]:
        return []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def matcher(home: Path) -> Iterator[Matcher]:
    opened = Matcher(Settings(home=home, threads=1))
    opened.__dict__["embedder"] = Embedder(FakeEncoder(), VectorCache(home / "vectors.db"))
    opened.__dict__["tagger"] = NoProgrammes()
    yield opened
    opened.close()
