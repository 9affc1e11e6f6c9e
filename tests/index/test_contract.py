"""What every index must do, whichever engine stands behind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matcher.documents import VISIBILITY_ORDER, Filters, IndexDocument, IndexQuery, programme_bits, segment_of
from matcher.errors import Busy
from matcher.index import KEPT_GENERATIONS, Index
from matcher.life import NEVER
from matcher.records import KINDS
from matcher.segments import hash_terms
from tests.fakes import DIMENSION, FakeEncoder, index_document, statistics
from tests.index.support import ALL, MANY, PUBLIC, Opener, ask, drop, keys_of, mushroom, rankings, write


def test_an_empty_index_answers_with_nothing(index: Index) -> None:
    assert (index.generation, index.revision, index.count()) == (0, 0, 0)
    assert index.search(ask("银耳"), ALL, 10) == {}
    assert len(index.documents(np.empty(0, np.int64))) == 0
    assert index.statistics().documents == 0
    assert index.refresh() is False


def test_what_was_put_in_is_found_by_every_engine(index: Index) -> None:
    write(index, [index_document(1, "银耳 烘干", "热泵"), index_document(2, "石墨 提纯", "氟化氢")], revision=7)
    assert (index.count(), index.revision) == (2, 7)
    assert index.generation > 0
    assert len(index.search(ask("银耳 烘干"), PUBLIC, 10)) >= 2
    for wanted, query in ((1, ask("银耳 烘干")), (2, ask("石墨 提纯"))):
        assert [keys[0] for keys in rankings(index, query)] == [wanted] * len(rankings(index, query))


def test_a_text_is_found_by_its_title_and_by_its_body(index: Index) -> None:
    others = [index_document(key, f"石墨 提纯 {key}", "氟化氢 浸出") for key in range(10, 20)]
    write(index, [index_document(1, "银耳 烘干", "热泵 除湿 节能"), *others])
    assert all(keys[0] == 1 for keys in rankings(index, ask("银耳 烘干"), limit=1))
    assert [1] in rankings(index, ask("无关", "热泵 除湿 节能"), limit=1)


def test_a_document_replaced_is_found_by_its_new_text_only(index: Index) -> None:
    write(index, [index_document(1, "银耳 烘干"), index_document(2, "核桃 脱皮")])
    write(index, [index_document(1, "石墨 提纯")], revision=2)
    assert index.count() == 2
    assert all(keys[0] == 1 for keys in rankings(index, ask("石墨 提纯")))
    assert all(keys[0] != 1 for keys in rankings(index, ask("核桃 脱皮")))
    assert index.search(ask("烘干"), PUBLIC, 10)["words"].tolist() == []
    assert index.statistics().term_frequencies(hash_terms(["烘干", "提纯"])).tolist() == [0, 1]


def test_a_document_taken_out_is_not_found(index: Index) -> None:
    write(index, [mushroom(key) for key in range(5)])
    write(index, deleted=[1, 3, 99], revision=2)
    assert keys_of(index) == {0, 2, 4}
    assert index.count() == 3
    write(index, deleted=[0, 2, 4], revision=3)
    assert keys_of(index) == set()
    assert index.count() == 0
    write(index, [mushroom(3)], revision=4)
    assert keys_of(index) == {3}


def test_the_last_word_on_a_document_before_a_flush_counts(index: Index) -> None:
    with index.writer(10) as writer:
        writer.upsert([mushroom(1), mushroom(2), mushroom(3)])
        writer.delete([1])
        writer.delete([2])
        writer.upsert([mushroom(2)])
        writer.upsert([index_document(3, "银耳 新题")])
        writer.flush(1)
    assert keys_of(index) == {2, 3}
    assert all(keys[0] == 3 for keys in rankings(index, ask("银耳 新题"), limit=1))


def test_nothing_of_a_change_is_seen_before_it_is_flushed(open_index: Opener) -> None:
    index = open_index()
    write(index, [mushroom(1)])
    with index.writer(10) as writer:
        writer.upsert([mushroom(2)])
        writer.delete([1])
        assert keys_of(index) == keys_of(open_index()) == {1}
    assert keys_of(open_index()) == {1}


def test_a_flush_without_documents_still_remembers_the_revision(open_index: Opener) -> None:
    # Institutions are not indexed: their revisions pass all the same.
    write(open_index(), revision=41)
    assert (open_index().revision, open_index().count()) == (41, 0)
    write(open_index(), [mushroom(1)], revision=42)
    assert (open_index().revision, keys_of(open_index())) == (42, {1})


def test_a_reader_keeps_its_generation_until_it_refreshes(open_index: Opener) -> None:
    writing = open_index()
    write(writing, [mushroom(1)])
    reading = open_index()
    # More generations than are kept, merges included: what the reader holds stays usable.
    for revision in range(2, MANY + KEPT_GENERATIONS + 3):
        write(writing, [mushroom(revision)], deleted=[1], revision=revision)
        assert reading.revision == 1
        assert keys_of(reading) == {1}
        assert reading.documents(np.array([1])).keys.tolist() == [1]
    before = reading.generation
    assert reading.refresh() is True
    assert reading.refresh() is False
    assert (reading.generation, reading.revision) == (writing.generation, writing.revision)
    assert reading.generation > before
    assert keys_of(reading) == keys_of(writing)


def test_a_writer_sees_its_own_change_at_once(index: Index) -> None:
    with index.writer(10) as writer:
        assert writer.revision == 0
        writer.upsert([mushroom(1)])
        writer.flush(5)
        assert (writer.revision, index.revision, keys_of(index)) == (5, 5, {1})
        writer.upsert([mushroom(2)])
        writer.flush(6)
    assert (index.revision, keys_of(index)) == (6, {1, 2})


def test_a_second_writer_is_told_that_the_first_is_busy(open_index: Opener) -> None:
    first, second = open_index(), open_index()

    def try_to_write() -> str:
        with pytest.raises(Busy) as caught, second.writer(0.05):
            pass
        return str(caught.value)

    with first.writer(1) as writer, ThreadPoolExecutor(1) as pool:
        assert "正在写入" in try_to_write()
        assert "正在写入" in pool.submit(try_to_write).result()
        writer.upsert([mushroom(1)])
        writer.flush(1)
    write(second, [mushroom(2)], revision=2)
    assert keys_of(second) == {1, 2}


def test_a_writer_builds_on_what_another_wrote_in_between(open_index: Opener) -> None:
    first, second = open_index(), open_index()
    write(first, [mushroom(1)])
    write(second, [mushroom(2)], revision=2)
    write(first, [mushroom(3)], revision=3)
    second.refresh()
    assert keys_of(first) == keys_of(second) == {1, 2, 3}


@pytest.mark.parametrize(
    ("forbidden", "filters"),
    [
        ({"visibility": "private"}, PUBLIC),
        ({"visibility": "intermediaries"}, PUBLIC),
        ({"visibility": "private"}, Filters(visibilities=("public", "intermediaries"))),
        ({"kind": "need"}, Filters(visibilities=("public",), kinds=("achievement", "patent"))),
        ({"programmes": ("food",)}, Filters(visibilities=("public",), programmes=("agriculture", "traditional"))),
        ({"programmes": ()}, Filters(visibilities=("public",), programmes=("agriculture",))),
        ({"province": "云南省"}, Filters(visibilities=("public",), provinces=("四川省", "重庆市"))),
        ({"province": None}, Filters(visibilities=("public",), provinces=("四川省",))),
    ],
)
def test_a_filter_acts_inside_the_search(index: Index, forbidden: dict[str, Any], filters: Filters) -> None:
    allowed: dict[str, Any] = {"programmes": ("agriculture", "food"), "province": "四川省"}
    # The best answers are not allowed: whoever filters after the search is left with nothing.
    best = [index_document(key, "银耳 烘干", "热泵 除湿", **(allowed | forbidden)) for key in range(20)]
    other = [index_document(100, "银耳 烘干 设备 与 工艺", "热泵 除湿 以及 其他", **allowed)]
    write(index, best + other)
    query = ask("银耳 烘干", "热泵 除湿")
    assert [keys[0] < 20 for keys in rankings(index, query, ALL, 1)] == [True] * len(rankings(index, query, ALL, 1))
    found = index.search(query, filters, 1)
    assert len(found) >= 2
    assert {name: keys.tolist() for name, keys in found.items()} == {name: [100] for name in found}


def test_filters_of_several_sorts_must_all_be_met(index: Index) -> None:
    write(
        index,
        [
            mushroom(1, kind="patent", province="四川省", programmes=("food",)),
            mushroom(2, kind="patent", province="四川省"),
            mushroom(3, kind="patent", province="重庆市", programmes=("food",)),
            mushroom(4, kind="need", province="四川省", programmes=("food",)),
            mushroom(5, kind="patent", province="四川省", programmes=("food",), visibility="private"),
        ],
    )
    filters = Filters(visibilities=("public",), kinds=("patent",), programmes=("food",), provinces=("四川省",))
    assert rankings(index, ask("银耳"), filters) == [[1]] * len(rankings(index, ask("银耳"), filters))
    nobody = Filters(visibilities=())
    assert rankings(index, ask("银耳"), nobody) in ([], [[], [], []])


def test_only_what_is_among_the_wanted_is_found(index: Index) -> None:
    write(index, [index_document(key, "银耳 烘干", "热泵") for key in range(1, 6)])
    for among, found in (((2, 4, 99), {2, 4}), ((), set())):
        answer = index.search(ask("银耳 烘干"), Filters(visibilities=("public",), among=among), 10)
        assert {key for keys in answer.values() for key in keys.tolist()} == found


def test_a_place_that_nobody_knows_has_no_documents(index: Index) -> None:
    write(index, [mushroom(1), mushroom(2, province="加利福尼亚")])
    nowhere = Filters(visibilities=("public",), provinces=("加利福尼亚",))
    assert not any(rankings(index, ask("银耳"), nowhere))


def test_at_most_as_many_as_asked_for_come_back(index: Index) -> None:
    write(index, [mushroom(key) for key in range(30)])
    assert [len(keys) for keys in rankings(index, ask("银耳"), limit=7)] == [7] * len(rankings(index, ask("银耳")))


def test_a_question_whose_words_nobody_knows_is_still_answered_by_meaning(index: Index) -> None:
    write(index, [mushroom(1)])
    found = index.search(ask("quux"), PUBLIC, 5)
    assert found["words"].tolist() == []
    assert [1] in [keys.tolist() for keys in found.values()]
    assert (
        index.search(IndexQuery(*FakeEncoder().encode(["", ""], "query"), hash_terms([])), PUBLIC, 5)["words"].tolist()
        == []
    )


def test_questions_asked_together_are_answered_as_if_asked_one_by_one(index: Index) -> None:
    write(index, [mushroom(1), mushroom(2, visibility="private"), index_document(3, "石墨 提纯", "氟化氢")])
    questions = [
        ask("银耳"),
        ask("quux"),
        ask("石墨 提纯"),
        IndexQuery(*FakeEncoder().encode(["", ""], "query"), hash_terms([])),
    ]
    together = index.search_many(questions, PUBLIC, 5)
    one_by_one = [index.search(question, PUBLIC, 5) for question in questions]
    assert [{name: keys.tolist() for name, keys in found.items()} for found in together] == [
        {name: keys.tolist() for name, keys in found.items()} for found in one_by_one
    ]
    assert [found["words"].tolist() for found in together] == [[1], [], [3], []]
    assert index.search_many([], PUBLIC, 5) == []


def test_documents_come_in_the_order_asked_for(index: Index) -> None:
    documents = [
        index_document(
            key,
            f"银耳 第{key}种",
            "正文 " * (key % 3),
            kind=KINDS[key % 3],
            programmes=("food",) if key % 2 else (),
            province="四川省" if key % 2 else None,
        )
        for key in range(12)
    ]
    for start in range(0, 12, 3):
        write(index, documents[start : start + 3], revision=start + 1)
    order = [7, 2, 11, 0, 7, 5]
    # Number 99 is not there: what a search found may be gone a moment later.
    taken = index.documents(np.array([*order[:3], 99, *order[3:]]))
    expected = segment_of([documents[key] for key in order], DIMENSION)
    for name in vars(expected):
        assert np.array_equal(getattr(taken, name), getattr(expected, name)), name


def test_an_unknown_term_stands_in_no_document(index: Index) -> None:
    write(index, [mushroom(1), index_document(2, "石墨")])
    assert index.statistics().term_frequencies(hash_terms(["银耳", "石墨", "quux"])).tolist() == [1, 1, 0]


def test_what_the_public_may_not_see_leaves_no_trace_in_the_statistics(index: Index) -> None:
    secret = [mushroom(2, visibility="private"), mushroom(3, visibility="intermediaries")]
    write(index, [index_document(1, "石墨"), *secret])
    counted, alone = index.statistics(), statistics(segment_of([index_document(1, "石墨")], DIMENSION))
    assert counted.documents == 1
    assert np.array_equal(counted.term_counts, alone.term_counts)
    assert np.array_equal(counted.title_mean, alone.title_mean)


def check_against_model(index: Index, model: dict[int, IndexDocument]) -> None:
    assert index.count() == len(model)
    assert keys_of(index) == set(model)
    public = [document for document in model.values() if document.visibility == "public"]
    counted, recount = index.statistics(), statistics(segment_of(public, DIMENSION))
    assert (counted.documents, counted.length) == (recount.documents, pytest.approx(recount.length))
    assert np.array_equal(counted.term_counts, recount.term_counts)
    assert np.array_equal(counted.gram_weights, recount.gram_weights)
    assert np.allclose(counted.title_mean, recount.title_mean, atol=1e-6)
    assert np.allclose(counted.body_mean, recount.body_mean, atol=1e-6)
    order = sorted(model, key=lambda key: (key * 7919) % 13)
    assert index.documents(np.array(order, np.int64)).keys.tolist() == order
    for visibility in VISIBILITY_ORDER:
        expected = {key for key, document in model.items() if document.visibility == visibility}
        for keys in rankings(index, ask("银耳"), Filters(visibilities=(visibility,))):
            assert set(keys) == expected


DOCUMENTS = st.builds(
    lambda key, word, visibility: index_document(key, f"银耳 {word}", word * 2, visibility=visibility),
    st.integers(0, 9),
    st.sampled_from("甲乙丙丁"),
    st.sampled_from(VISIBILITY_ORDER),
)
STEPS = st.lists(
    st.tuples(
        st.lists(st.one_of(DOCUMENTS, st.integers(0, 9)), max_size=6),
        # Whether the writer flushes, and whether the next step starts with another process.
        st.booleans(),
    ),
    max_size=6,
)


# The fixture only says how to open an index; each example opens one on a folder of its own.
@given(steps=STEPS)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_an_index_is_what_a_dictionary_would_be(
    backend: Callable[[Path], Index], steps: list[tuple[list[IndexDocument | int], bool]]
) -> None:
    with TemporaryDirectory() as folder:
        model: dict[int, IndexDocument] = {}
        index = backend(Path(folder))
        for revision, (changes, publish) in enumerate(steps, 1):
            with index.writer(10) as writer:
                changed = dict(model)
                for change in changes:
                    if isinstance(change, int):
                        writer.delete([change])
                        changed.pop(change, None)
                    else:
                        writer.upsert([change])
                        changed[change.key] = change
                if publish:
                    writer.flush(revision)
                    model = changed
            check_against_model(index, model)
        reopened = backend(Path(folder))
        reopened.refresh()
        assert reopened.revision == max((i for i, (_, publish) in enumerate(steps, 1) if publish), default=0)
        check_against_model(reopened, model)
        drop(index)


def test_rebuilding_serves_the_old_until_the_new_is_complete(open_index: Opener) -> None:
    index = open_index()
    write(index, [mushroom(1), mushroom(2)], revision=5)
    other = open_index()
    with other.writer(10, rebuild=True) as writer:
        assert writer.revision == 0
        for key in range(10, 10 + 2 * MANY):
            writer.upsert([mushroom(key)])
            writer.flush(key, publish=False)
            assert writer.revision == key
        index.refresh()
        assert (index.revision, keys_of(index), keys_of(open_index())) == (5, {1, 2}, {1, 2})
        writer.flush(writer.revision)
    assert index.refresh()
    assert keys_of(index) == keys_of(other) == set(range(10, 10 + 2 * MANY))


def test_programmes_are_one_bit_each() -> None:
    assert programme_bits([]) == 0
    assert programme_bits(["agriculture", "biomedicine"]) == 0b101
    assert programme_bits(["traditional"]) == 0b1000000


def test_all_documents_can_be_listed_with_who_may_find_them(open_index: Opener) -> None:
    index = open_index()
    assert len(index.listing().keys) == 0
    owned = replace(mushroom(1, visibility="private"), owner=7, ends=2026_12_31)
    write(index, [mushroom(3), owned, mushroom(2, kind="patent")])
    write(index, [mushroom(3, visibility="intermediaries")], deleted=[2], revision=2)
    write(index, [mushroom(9)], revision=3)
    for listing in (index.listing(), open_index().listing()):
        assert listing.keys.tolist() == [1, 3, 9]
        assert listing.visibility.tolist() == [2, 1, 0]
        assert listing.kind.tolist() == [0, 0, 0]
        assert listing.owner.tolist() == [7, 0, 0]
        assert listing.ends.tolist() == [2026_12_31, NEVER, NEVER]
