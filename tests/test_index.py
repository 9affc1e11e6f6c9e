"""What an index must do (every backend), and what the local one must survive."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matcher import snapshot as snapshot_module
from matcher.documents import VISIBILITY_ORDER, Filters, IndexDocument, IndexQuery, programme_bits, segment_of
from matcher.errors import Busy, DamagedIndex
from matcher.index import KEPT_GENERATIONS, MAX_SEGMENTS, LocalIndex
from matcher.records import KINDS
from matcher.segments import hash_terms
from tests.fakes import DIMENSION, FakeEncoder, index_document, statistics

ROOT = Path(__file__).parents[1]
FINGERPRINT = "fake:64"
ALL = Filters(visibilities=VISIBILITY_ORDER)
PUBLIC = Filters(visibilities=("public",))

# A new backend joins here: a function that opens it on a folder of its own.
BACKENDS: dict[str, Callable[[Path], LocalIndex]] = {
    "local": lambda folder: LocalIndex(folder, FINGERPRINT, DIMENSION),
}
Opener = Callable[[], LocalIndex]


@pytest.fixture(params=BACKENDS)
def open_index(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    def opened() -> LocalIndex:
        index = BACKENDS[request.param](tmp_path / "index")
        index.refresh()
        return index

    return opened


@pytest.fixture
def index(open_index: Opener) -> LocalIndex:
    return open_index()


def write(
    index: LocalIndex, documents: Sequence[IndexDocument] = (), deleted: Sequence[int] = (), revision: int = 1
) -> None:
    with index.writer(10) as writer:
        writer.delete(deleted)
        writer.upsert(documents)
        writer.flush(revision)


def ask(title: str, text: str = "") -> IndexQuery:
    vectors = FakeEncoder().encode([title, text or title], "query")
    return IndexQuery(vectors[0], vectors[1], f"{title} {text}".split())


def rankings(index: LocalIndex, query: IndexQuery, filters: Filters = PUBLIC, limit: int = 100) -> list[list[int]]:
    return [keys.tolist() for keys in index.search(query, filters, limit).values()]


def keys_of(index: LocalIndex) -> set[int]:
    """The keys that a search without limits finds; every engine must find the same."""
    found = rankings(index, ask("银耳"), ALL, 10_000)
    assert all(len(set(keys)) == len(keys) for keys in found)
    sets = {frozenset(keys) for keys in found} or {frozenset()}
    assert len(sets) == 1
    return set(sets.pop())


def mushroom(key: int, **values: Any) -> IndexDocument:
    return index_document(key, f"银耳 第{key}种", "银耳 正文", **values)


# ================================================================ the contract of every backend


def test_an_empty_index_answers_with_nothing(index: LocalIndex) -> None:
    assert (index.generation, index.revision, index.count()) == (0, 0, 0)
    assert index.search(ask("银耳"), ALL, 10) == {}
    assert len(index.documents(np.empty(0, np.int64))) == 0
    assert index.statistics().documents == 0
    assert index.refresh() is False


def test_what_was_put_in_is_found_by_every_engine(index: LocalIndex) -> None:
    write(index, [index_document(1, "银耳 烘干", "热泵"), index_document(2, "石墨 提纯", "氟化氢")], revision=7)
    assert (index.count(), index.revision) == (2, 7)
    assert index.generation > 0
    assert len(index.search(ask("银耳 烘干"), PUBLIC, 10)) >= 2
    for wanted, query in ((1, ask("银耳 烘干")), (2, ask("石墨 提纯"))):
        assert [keys[0] for keys in rankings(index, query)] == [wanted] * len(rankings(index, query))


def test_a_text_is_found_by_its_title_and_by_its_body(index: LocalIndex) -> None:
    others = [index_document(key, f"石墨 提纯 {key}", "氟化氢 浸出") for key in range(10, 20)]
    write(index, [index_document(1, "银耳 烘干", "热泵 除湿 节能"), *others])
    assert all(keys[0] == 1 for keys in rankings(index, ask("银耳 烘干"), limit=1))
    assert [1] in rankings(index, ask("无关", "热泵 除湿 节能"), limit=1)


def test_a_document_replaced_is_found_by_its_new_text_only(index: LocalIndex) -> None:
    write(index, [index_document(1, "银耳 烘干"), index_document(2, "核桃 脱皮")])
    write(index, [index_document(1, "石墨 提纯")], revision=2)
    assert index.count() == 2
    assert all(keys[0] == 1 for keys in rankings(index, ask("石墨 提纯")))
    assert all(keys[0] != 1 for keys in rankings(index, ask("核桃 脱皮")))
    assert index.search(ask("烘干"), PUBLIC, 10)["words"].tolist() == []
    assert index.statistics().term_frequencies(hash_terms(["烘干", "提纯"])).tolist() == [0, 1]


def test_a_document_taken_out_is_not_found(index: LocalIndex) -> None:
    write(index, [mushroom(key) for key in range(5)])
    write(index, deleted=[1, 3, 99], revision=2)
    assert keys_of(index) == {0, 2, 4}
    assert index.count() == 3
    write(index, deleted=[0, 2, 4], revision=3)
    assert keys_of(index) == set()
    assert index.count() == 0
    write(index, [mushroom(3)], revision=4)
    assert keys_of(index) == {3}


def test_the_last_word_on_a_document_before_a_flush_counts(index: LocalIndex) -> None:
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
    for revision in range(2, MAX_SEGMENTS + KEPT_GENERATIONS + 3):
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


def test_a_writer_sees_its_own_change_at_once(index: LocalIndex) -> None:
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
def test_a_filter_acts_inside_the_search(index: LocalIndex, forbidden: dict[str, Any], filters: Filters) -> None:
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


def test_filters_of_several_sorts_must_all_be_met(index: LocalIndex) -> None:
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


def test_a_place_that_nobody_knows_has_no_documents(index: LocalIndex) -> None:
    write(index, [mushroom(1), mushroom(2, province="加利福尼亚")])
    nowhere = Filters(visibilities=("public",), provinces=("加利福尼亚",))
    assert not any(rankings(index, ask("银耳"), nowhere))


def test_at_most_as_many_as_asked_for_come_back(index: LocalIndex) -> None:
    write(index, [mushroom(key) for key in range(30)])
    assert [len(keys) for keys in rankings(index, ask("银耳"), limit=7)] == [7] * len(rankings(index, ask("银耳")))


def test_a_question_whose_words_nobody_knows_is_still_answered_by_meaning(index: LocalIndex) -> None:
    write(index, [mushroom(1)])
    found = index.search(ask("quux"), PUBLIC, 5)
    assert found["words"].tolist() == []
    assert [1] in [keys.tolist() for keys in found.values()]
    assert index.search(IndexQuery(*FakeEncoder().encode(["", ""], "query"), []), PUBLIC, 5)["words"].tolist() == []


def test_documents_come_in_the_order_asked_for(index: LocalIndex) -> None:
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
    taken = index.documents(np.array(order))
    expected = segment_of([documents[key] for key in order], DIMENSION)
    for name in vars(expected):
        assert np.array_equal(getattr(taken, name), getattr(expected, name)), name


def test_an_unknown_term_stands_in_no_document(index: LocalIndex) -> None:
    write(index, [mushroom(1), index_document(2, "石墨")])
    assert index.statistics().term_frequencies(hash_terms(["银耳", "石墨", "quux"])).tolist() == [1, 1, 0]


def test_what_the_public_may_not_see_leaves_no_trace_in_the_statistics(index: LocalIndex) -> None:
    secret = [mushroom(2, visibility="private"), mushroom(3, visibility="intermediaries")]
    write(index, [index_document(1, "石墨"), *secret])
    counted, alone = index.statistics(), statistics(segment_of([index_document(1, "石墨")], DIMENSION))
    assert counted.documents == 1
    assert np.array_equal(counted.term_counts, alone.term_counts)
    assert np.array_equal(counted.title_mean, alone.title_mean)


def check_against_model(index: LocalIndex, model: dict[int, IndexDocument]) -> None:
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


@pytest.mark.parametrize("backend", BACKENDS)
@given(steps=STEPS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_index_is_what_a_dictionary_would_be(
    backend: str, steps: list[tuple[list[IndexDocument | int], bool]]
) -> None:
    with TemporaryDirectory() as folder:
        model: dict[int, IndexDocument] = {}
        index = BACKENDS[backend](Path(folder))
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
        reopened = BACKENDS[backend](Path(folder))
        reopened.refresh()
        assert reopened.revision == max((i for i, (_, publish) in enumerate(steps, 1) if publish), default=0)
        check_against_model(reopened, model)


def test_rebuilding_serves_the_old_until_the_new_is_complete(open_index: Opener) -> None:
    index = open_index()
    write(index, [mushroom(1), mushroom(2)], revision=5)
    other = open_index()
    with other.writer(10, rebuild=True) as writer:
        assert writer.revision == 0
        for key in range(10, 10 + 2 * MAX_SEGMENTS):
            writer.upsert([mushroom(key)])
            writer.flush(key, publish=False)
            assert writer.revision == key
        index.refresh()
        assert (index.revision, keys_of(index), keys_of(open_index())) == (5, {1, 2}, {1, 2})
        writer.flush(writer.revision)
    assert index.refresh()
    assert keys_of(index) == keys_of(other) == set(range(10, 10 + 2 * MAX_SEGMENTS))


# ================================================================ the local index on its disk


@pytest.fixture
def open_local(tmp_path: Path) -> Opener:
    def opened() -> LocalIndex:
        index = BACKENDS["local"](tmp_path / "index")
        index.refresh()
        return index

    return opened


def home(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "index").iterdir()
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def check_tidy(folder: Path) -> None:
    """Only whole generations are left, few of them, and only the segments that they use."""
    generations = names(folder / "generations")
    assert (folder / "CURRENT").read_text() in generations
    assert len(generations) <= KEPT_GENERATIONS
    used = {
        name
        for number in generations
        for name in json.loads((folder / "generations" / number / "manifest.json").read_text("utf-8"))["segments"]
    }
    assert names(folder / "segments") == used


def test_many_small_flushes_are_merged(tmp_path: Path, open_local: Opener) -> None:
    index = open_local()
    for key in range(3 * MAX_SEGMENTS):
        write(index, [mushroom(key)], revision=key + 1)
        assert index.snapshot
        assert len(index.snapshot.segments) <= MAX_SEGMENTS
        check_tidy(home(tmp_path))
    assert keys_of(index) == set(range(3 * MAX_SEGMENTS))


def test_what_is_dead_is_thrown_away_in_the_end(open_local: Opener) -> None:
    index = open_local()
    write(index, [mushroom(key) for key in range(20)])
    write(index, deleted=range(15), revision=2)
    assert index.snapshot
    assert index.snapshot.dead.sum() == 15
    write(index, [mushroom(30)], revision=3)
    assert (len(index.snapshot.segments), index.snapshot.dead.sum()) == (1, 0)
    assert keys_of(index) == {*range(15, 20), 30}


def test_each_model_has_an_index_of_its_own(tmp_path: Path) -> None:
    one = LocalIndex(tmp_path, "BAAI/bge:1", DIMENSION)
    write(one, [mushroom(1)])
    other = LocalIndex(tmp_path, "BAAI/bge:2", DIMENSION)
    assert other.refresh() is False
    assert len(names(tmp_path)) == 2


def test_readers_and_a_writer_work_at_the_same_time(open_local: Opener) -> None:
    # Revision r holds exactly the keys 0 to r - 1: a reader that sees anything else saw half a change.
    last = 12

    def read() -> int:
        reading = open_local()
        while reading.revision < last:
            reading.refresh()
            assert keys_of(reading) == set(range(reading.revision))
        return reading.revision

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        index = open_local()
        for revision in range(1, last + 1):
            write(index, [mushroom(revision - 1)], revision=revision)
        assert [reader.result(60) for reader in readers] == [last, last]


def test_a_reader_overtaken_while_it_loads_a_generation_loads_the_next(
    open_local: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, reading = open_local(), open_local()
    write(index, [mushroom(1)])
    real, overtaken = snapshot_module.LexicalReader, []

    def slow(folder: Path) -> Any:
        if not overtaken:
            overtaken.append(folder)
            for revision in range(2, KEPT_GENERATIONS + 3):
                write(index, [mushroom(revision)], revision=revision)
            assert not folder.exists()
        return real(folder)

    monkeypatch.setattr(snapshot_module, "LexicalReader", slow)
    assert reading.refresh()
    assert reading.revision == index.revision == KEPT_GENERATIONS + 2
    assert keys_of(reading) == keys_of(index)


# ---------------------------------------------------------------- damage

DAMAGES: dict[str, Callable[[Path], None]] = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: rewrite(path, b""),
    "truncated": lambda path: rewrite(path, path.read_bytes()[: path.stat().st_size // 2]),
}


def rewrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def current_files(folder: Path) -> list[Path]:
    """The files of the current generation without which it cannot be read."""
    number = (folder / "CURRENT").read_text()
    generation = folder / "generations" / number
    segments = json.loads((generation / "manifest.json").read_text("utf-8"))["segments"]
    files = [path for path in generation.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return [*files, *(path for name in segments for path in (folder / "segments" / name).iterdir())]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_with_what_to_do_about_it(tmp_path: Path, open_local: Opener, damage: str) -> None:
    write(open_local(), [mushroom(1), mushroom(2)])
    write(open_local(), [mushroom(3)], revision=2)
    files = [path.relative_to(home(tmp_path)) for path in current_files(home(tmp_path))]
    assert {"manifest.json", "dead.npy", "meta.json", "keys.npy", "title.npy"} <= {path.name for path in files}
    whole = tmp_path / "whole"
    shutil.copytree(tmp_path / "index", whole)
    for path in files:
        shutil.rmtree(tmp_path / "index")
        shutil.copytree(whole, tmp_path / "index")
        DAMAGES[damage](home(tmp_path) / path)
        with pytest.raises(DamagedIndex, match=r"索引文件已?(损坏|缺失).*matcher reindex"):
            open_local()


@pytest.mark.parametrize("content", ["", "第三代", "7"])
def test_a_damaged_pointer_is_told_with_what_to_do_about_it(tmp_path: Path, open_local: Opener, content: str) -> None:
    write(open_local(), [mushroom(1)])
    (home(tmp_path) / "CURRENT").write_text(content, encoding="utf-8")
    with pytest.raises(DamagedIndex, match="matcher reindex"):
        open_local()


@pytest.mark.parametrize("name", ["manifest.json", "dead.npy", "lexical/meta.json"])
@pytest.mark.parametrize("damage", ["deleted", "truncated"])
def test_a_damaged_index_cannot_be_written_to_but_can_be_rebuilt(
    tmp_path: Path, open_local: Opener, name: str, damage: str
) -> None:
    write(open_local(), [mushroom(1)])
    folder = home(tmp_path)
    DAMAGES[damage](folder / "generations" / (folder / "CURRENT").read_text() / name)
    index = BACKENDS["local"](tmp_path / "index")
    with pytest.raises(DamagedIndex), index.writer(1):
        pass
    with index.writer(1, rebuild=True) as writer:
        writer.upsert([mushroom(5)])
        writer.flush(9)
    assert (index.revision, keys_of(index), keys_of(open_local())) == (9, {5}, {5})
    write(index, [mushroom(6)], revision=10)
    assert keys_of(open_local()) == {5, 6}


def test_a_reader_serves_on_when_the_next_generation_is_damaged(tmp_path: Path, open_local: Opener) -> None:
    write(open_local(), [mushroom(1)])
    reading = open_local()
    write(open_local(), [mushroom(2)], revision=2)
    folder = home(tmp_path)
    DAMAGES["truncated"](folder / "generations" / (folder / "CURRENT").read_text() / "manifest.json")
    for _ in range(2):
        with pytest.raises(DamagedIndex):
            reading.refresh()
        assert (reading.revision, keys_of(reading)) == (1, {1})


# ---------------------------------------------------------------- kills

# What a child process runs: it dies of SIGKILL at a moment of its second flush.
VICTIM = """
import json, os, signal, sys
from pathlib import Path

import numpy as np
from matcher import index as module
from matcher import segments
from matcher.index import LocalIndex, LocalWriter
from tests.fakes import DIMENSION, index_document

folder, moment = Path(sys.argv[1]), sys.argv[2]


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def save_or_die(file, array):
    if file.name.endswith("term_offsets.npy"):
        file.write(b"half")
        file.flush()
        die()
    save(file, array)


def half_a_manifest(self, text, **options):
    if self.name != "manifest.json":
        return write_text(self, text, **options)
    write_text(self, text[:10], **options)
    die()


def build_and_die(*arguments):
    build(*arguments)
    die()


def publish_and_die(self, number):
    publish(self, number)
    die()


save, write_text, build, publish = np.save, Path.write_text, module.build, LocalWriter._publish
index = LocalIndex(folder, "fake:64", DIMENSION)
with index.writer(10) as writer:
    writer.upsert([index_document(2, "银耳 第2种", "银耳 正文")])
    writer.flush(2)
    writer.upsert([index_document(3, "银耳 第3种", "银耳 正文")])
    writer.delete([1])
    if moment == "within a segment":
        np.save = save_or_die
    elif moment == "before the words":
        module.build = die
    elif moment == "after the words":
        module.build = build_and_die
    elif moment == "within the manifest":
        Path.write_text = half_a_manifest
    elif moment == "before publishing":
        LocalWriter._publish = die
    elif moment == "while publishing":
        Path.replace = die
    elif moment == "after publishing":
        LocalWriter._publish = publish_and_die
    elif moment == "while cleaning":
        module.shutil.rmtree = die
        module.KEPT_GENERATIONS = 1
    writer.flush(3)
"""
BEFORE = ("within a segment", "before the words", "after the words", "within the manifest", "before publishing")
MOMENTS = {**dict.fromkeys((*BEFORE, "while publishing"), 2), "after publishing": 3, "while cleaning": 3}
KEYS_AT = {2: {1, 2}, 3: {2, 3}}


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_writer_killed_at_a_moment_leaves_the_last_good_generation(
    tmp_path: Path, open_local: Opener, moment: str
) -> None:
    write(open_local(), [mushroom(1)])
    victim = child(VICTIM, str(tmp_path / "index"), moment)
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    left = open_local()
    assert left.revision == MOMENTS[moment]
    assert keys_of(left) == KEYS_AT[left.revision]
    # The next one is not kept waiting by the dead one's lock, and tidies up after it.
    started = time.monotonic()
    write(left, [mushroom(9)], revision=4)
    assert time.monotonic() - started < 5
    assert keys_of(open_local()) == KEYS_AT[MOMENTS[moment]] | {9}
    check_tidy(home(tmp_path))


TIRELESS = """
import sys
from pathlib import Path

from matcher.index import LocalIndex
from tests.fakes import DIMENSION, index_document

index = LocalIndex(Path(sys.argv[1]), "fake:64", DIMENSION)
with index.writer(10) as writer:
    while True:
        revision = writer.revision + 1
        writer.upsert([index_document(revision, f"银耳 第{revision}种", "银耳 正文")])
        writer.delete([max(0, revision - 3)])
        writer.flush(revision)
        print(revision, flush=True)
"""


@pytest.fixture
def tireless(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    children: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        children.append(child(TIRELESS, str(tmp_path / "index")))
        return children[-1]

    yield start
    for each in children:
        each.kill()
        each.communicate()


def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(
    tmp_path: Path, open_local: Opener, tireless: Callable[[], subprocess.Popen[str]]
) -> None:
    acknowledged = 0
    for _ in range(3):
        victim = tireless()
        assert victim.stdout
        for _ in range(3):
            acknowledged = int(victim.stdout.readline())
        time.sleep(random.uniform(0, 0.15))
        os.kill(victim.pid, signal.SIGKILL)
        rest, _ = victim.communicate(timeout=60)
        acknowledged = max([acknowledged, *(int(line) for line in rest.split("\n")[:-1])])
        left = open_local()
        assert acknowledged <= left.revision <= acknowledged + 1
        assert keys_of(left) == set(range(max(1, left.revision - 2), left.revision + 1))
    write(open_local(), [mushroom(acknowledged + 5)], revision=acknowledged + 5)
    check_tidy(home(tmp_path))


def test_programmes_are_one_bit_each() -> None:
    assert programme_bits([]) == 0
    assert programme_bits(["agriculture", "biomedicine"]) == 0b101
    assert programme_bits(["traditional"]) == 0b1000000
