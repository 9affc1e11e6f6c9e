"""What a purge leaves of deleted documents: nothing that can be read, and the living ones as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from matcher.index import Index
from tests.fakes import FakeEncoder, index_document
from tests.index.support import ALL, LocalOpener, Opener, ask, rankings, write

SECRET = "石墨 提纯"
OTHERS = ("银耳 烘干", "核桃 分选", "茶叶 杀青")


def purge(index: Index) -> None:
    with index.writer(10) as writer:
        writer.purge()


def test_the_living_are_found_as_before_by_this_reader_and_by_others(open_index: Opener) -> None:
    index, other = open_index(), open_index()
    write(index, [index_document(i, title) for i, title in enumerate((SECRET, *OTHERS), 1)], revision=1)
    other.refresh()
    write(index, deleted=[1], revision=2)
    before = rankings(index, ask("核桃 分选"))
    purge(index)
    other.refresh()
    for each in (index, other, open_index()):
        assert rankings(each, ask("核桃 分选")) == before
        assert (each.count(), each.revision) == (3, 2)
        assert len(each.documents(np.array([1]))) == 0
    write(index, [index_document(5, SECRET)], revision=3)
    assert index.count() == 4


def test_nothing_happens_to_an_empty_index_or_where_nothing_was_deleted(index: Index) -> None:
    purge(index)
    assert index.count() == 0
    write(index, [index_document(1, OTHERS[0])])
    purge(index)
    assert rankings(index, ask(OTHERS[0]))


def test_all_may_be_deleted(index: Index) -> None:
    write(index, [index_document(1, SECRET)])
    write(index, deleted=[1], revision=2)
    purge(index)
    assert (index.count(), index.revision) == (0, 2)
    assert not any(len(keys) for keys in index.search(ask(SECRET), ALL, 10).values())


def test_no_file_of_the_local_index_holds_a_deleted_documents_vector(open_local: LocalOpener, tmp_path: Path) -> None:
    index = open_local()
    vector = FakeEncoder().encode([SECRET], "document")[0].tobytes()

    def held() -> bool:
        return any(vector in path.read_bytes() for path in (tmp_path / "index").rglob("*") if path.is_file())

    write(index, [index_document(1, SECRET)], revision=1)
    write(index, [index_document(i, title) for i, title in enumerate(OTHERS, 2)], revision=2)
    write(index, deleted=[1], revision=3)
    assert held()
    purge(index)
    assert not held()
    assert index.count() == 3
