"""The local index does what every index must where its segments are large enough to be quantised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matcher import nearest
from matcher.documents import VISIBILITY_ORDER, Filters, IndexDocument
from matcher.errors import DamagedIndex
from matcher.index import LocalIndex
from tests.fakes import index_document
from tests.index.support import ALL, PUBLIC, Opener, ask, check_tidy, home, keys_of, mushroom, rankings, write
from tests.index.test_contract import check_against_model
from tests.index.test_damage import DAMAGES

COUNT = 240


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred documents are many: quantised, in lists of which most are skipped, never compared one by one."""
    monkeypatch.setattr(nearest, "QUANTISED_FROM", 100)
    monkeypatch.setattr(nearest, "LIST_SIZE", 20)
    monkeypatch.setattr(nearest, "SCANNED_WHOLE", 0)
    monkeypatch.setattr(nearest, "COMPARED_ONE_BY_ONE", 0)


def mushrooms(*keys: int) -> list[IndexDocument]:
    return [mushroom(key, visibility=VISIBILITY_ORDER[key % 3]) for key in keys]


def check_quantised(index: LocalIndex, sizes: list[int]) -> None:
    """The segments have these sizes, and the large ones are searched by FAISS."""
    assert index.snapshot
    assert [len(segment) for segment in index.snapshot.segments] == sizes
    for segment in index.snapshot.segments:
        for field in (segment.title, segment.body):
            assert (field._index is not None) == (len(segment) >= nearest.QUANTISED_FROM)


def test_all_that_is_written_replaced_and_deleted_is_found_as_in_a_small_index(
    tmp_path: Path, open_local: Opener
) -> None:
    index = open_local()
    model = {document.key: document for document in mushrooms(*range(COUNT))}
    write(index, list(model.values()))
    check_quantised(index, [COUNT])
    check_against_model(index, model)
    # A small segment beside the large one; replaced ones lie in the small one, dead in the large.
    changed = [index_document(key, "银耳 石墨 提纯", f"第{key}批") for key in (3, 5, COUNT)]
    write(index, changed, [0, 1, 9999], revision=2)
    check_quantised(index, [COUNT, 3])
    model.update((document.key, document) for document in changed)
    del model[0], model[1]
    check_against_model(index, model)
    for keys in rankings(index, ask("银耳 石墨 提纯"), ALL, 3):
        assert set(keys) == {3, 5, COUNT}
    # And both written as one.
    more = mushrooms(*range(1000, 1090))
    write(index, more, range(10, 100), revision=3)
    for key in range(10, 100):
        del model[key]
    model.update((document.key, document) for document in more)
    check_quantised(index, [len(model)])
    check_against_model(index, model)
    check_against_model(open_local(), model)
    check_tidy(home(tmp_path))


@pytest.mark.parametrize("deleted", [False, True])
def test_a_filter_acts_inside_a_quantised_search(open_local: Opener, deleted: bool) -> None:
    index = open_local()
    best = [index_document(key, "银耳 烘干", "热泵 除湿", province="四川省") for key in range(COUNT)]
    others = [
        index_document(key, f"石墨 提纯 {key} 烘干", f"氟化氢 浸出 {key}", province="重庆市")
        for key in range(COUNT, COUNT + 3)
    ]
    write(index, [*best, *others])
    if deleted:
        write(index, deleted=range(COUNT), revision=2)
    check_quantised(index, [COUNT + 3])
    query = ask("银耳 烘干", "热泵 除湿")
    filters = PUBLIC if deleted else Filters(visibilities=("public",), provinces=("重庆市",))
    for limit in (1, 3, 100):
        found = index.search(query, filters, limit)
        assert found.keys() == {"title", "body", "words"}
        for keys in found.values():
            assert len(keys) == min(limit, 3)
            assert set(keys.tolist()) <= {COUNT, COUNT + 1, COUNT + 2}


def test_a_document_is_the_nearest_to_its_own_text(open_local: Opener) -> None:
    index = open_local()
    write(index, [index_document(key, f"银耳 {key * 7919}", f"正文 {key * 104729}") for key in range(COUNT)])
    check_quantised(index, [COUNT])
    for key in range(0, COUNT, 24):
        document = index.documents(np.array([key]))
        query = ask(f"银耳 {key * 7919}")
        assert np.allclose(query.title_vector, document.title[0], atol=1e-6)
        assert index.search(query, ALL, 1)["title"].tolist() == [key]


def test_a_body_is_found_whatever_its_title(open_local: Opener) -> None:
    index = open_local()
    write(index, [index_document(key, "银耳", f"正文 {key * 104729}") for key in range(COUNT)])
    check_quantised(index, [COUNT])
    for key in range(0, COUNT, 24):
        assert index.search(ask("", f"银耳\n正文 {key * 104729}"), ALL, 1)["body"].tolist() == [key]


def test_many_questions_at_once_get_what_each_gets_alone(open_local: Opener) -> None:
    index = open_local()
    write(index, mushrooms(*range(COUNT)))
    write(index, mushrooms(*range(COUNT, COUNT + 20)), revision=2)
    check_quantised(index, [COUNT, 20])
    queries = [ask(f"银耳 第{key}种") for key in range(30)]
    for filters in (ALL, PUBLIC):
        for query, found in zip(queries, index.search_many(queries, filters, 10), strict=True):
            alone = index.search(query, filters, 10)
            assert found["words"].tolist() == alone["words"].tolist()
            # Sums of floats may differ in their last bit, and with it the order of documents that are alike.
            for name, vector in (("title", query.title_vector), ("body", query.body_vector)):
                own, other = (getattr(index.documents(keys[name]), name) @ vector for keys in (found, alone))
                assert np.allclose(own, other, atol=1e-6)
                assert len(own) == 10


def test_keys_are_found_in_every_order_of_flushes(open_local: Opener) -> None:
    index = open_local()
    for start, stop in ((0, 5), (5, 150), (150, 160), (160, COUNT)):
        write(index, mushrooms(*range(start, stop)), revision=stop)
        assert keys_of(index) == set(range(stop))
    check_quantised(index, [COUNT])


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["title.faiss", "body.faiss"])
def test_a_damaged_quantised_index_is_told_with_what_to_do_about_it(
    tmp_path: Path, open_local: Opener, name: str, damage: str
) -> None:
    write(open_local(), mushrooms(*range(120)))
    (segment,) = (home(tmp_path) / "segments").iterdir()
    DAMAGES[damage](segment / name)
    with pytest.raises(DamagedIndex, match="matcher reindex"):
        open_local()
