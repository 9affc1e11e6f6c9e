"""What the index on a Milvus server does beyond the contract: its rows, its generations, its failures."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.documents import IndexQuery, segment_of
from matcher.errors import DamagedIndex, IndexUnavailable, SettingError
from matcher.index import LocalIndex, open_index
from matcher.milvus import MilvusIndex, log, writer
from matcher.milvus import index as reader
from matcher.milvus.log import Log
from matcher.milvus.rows import ALIVE, VARCHAR_BYTES, pack_hashes, text_of, unpack_hashes, words
from matcher.milvus.server import BOUNDED, STRONG, Server
from matcher.segments import hash_terms
from matcher.settings import load_settings
from tests.fakes import DIMENSION, index_document, statistics
from tests.index.support import (
    PUBLIC,
    MilvusOpener,
    ask,
    check_milvus_tidy,
    drop,
    keys_of,
    milvus,
    mushroom,
    rankings,
    write,
)
from tests.milvus import milvus_server

# ---------------------------------------------------------------- rows


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50).map(sorted))
def test_hashes_come_back_as_they_were_packed(hashes: list[int]) -> None:
    given_ = np.array(hashes, np.uint32)
    assert np.array_equal(unpack_hashes(pack_hashes(given_)), given_)


def test_a_word_is_letters_and_digits_of_one_length_and_no_other_word() -> None:
    written = words(np.array([0, 1, 36, 36**6, 2**32 - 1], np.uint32))
    assert len(set(written)) == 5
    assert all(len(word) == 7 and word.isascii() and word.isalnum() and word == word.lower() for word in written)


def test_a_text_with_too_many_words_keeps_each_word_once() -> None:
    many = [f"词{number}" for number in range(8000)]
    text = text_of(["银耳"], many * 3)
    assert len(text) <= VARCHAR_BYTES
    assert set(text.split()) == set(words(hash_terms([*many, "银耳"])))
    assert len(text_of([], [f"词{number}" for number in range(9000)])) <= VARCHAR_BYTES


def test_a_title_word_counts_twice() -> None:
    assert sorted(text_of(["银耳"], ["银耳", "烘干"]).split()) == sorted(
        [*words(hash_terms(["银耳"])) * 3, *words(hash_terms(["烘干"]))]
    )


def test_a_document_of_the_greatest_length_comes_back_whole(open_milvus: MilvusOpener) -> None:
    draw = random.Random(1)
    text = "".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(20_000))
    long = index_document(1, text[:500], " ".join(text[at : at + 2] for at in range(0, 20_000, 2)))
    index = open_milvus()
    write(index, [long, mushroom(2)])
    taken, expected = index.documents(np.array([1])), segment_of([long], DIMENSION)
    for name in vars(expected):
        assert np.array_equal(getattr(taken, name), getattr(expected, name)), name
    assert all(1 in keys for keys in rankings(index, ask(text[10_000:10_002])))


# ---------------------------------------------------------------- generations


def test_each_model_has_collections_of_its_own(milvus_uri: str, tmp_path: Path) -> None:
    one, other, third = (
        MilvusIndex(tmp_path, Server(milvus_uri), f"{tmp_path}{name}", DIMENSION) for name in ("a:b", "a-b", "c")
    )
    write(one, [mushroom(1)])
    write(other, [mushroom(2)])
    assert (keys_of(one), keys_of(other), third.refresh()) == ({1}, {2}, False)
    for index in (one, other):
        drop(index)


def test_the_counts_of_many_small_changes_are_written_as_one_now_and_then(
    open_milvus: MilvusOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_CHAIN", 3)
    index, following = open_milvus(), open_milvus()
    chains = []
    for key in range(8):
        write(index, [index_document(key, f"银耳 第{key}种", "正文")], deleted=[key - 2], revision=key + 1)
        chains.append(len(index.log.states()[-1].chain))
        if key % 3:
            following.refresh()
    assert chains == [1, 2, 3, 1, 2, 3, 1, 2]
    following.refresh()
    expected = statistics(segment_of([index_document(key, f"银耳 第{key}种", "正文") for key in (6, 7)], DIMENSION))
    for counted in (index.statistics(), following.statistics(), open_milvus().statistics()):
        assert (counted.documents, counted.length) == (2, expected.length)
        assert np.array_equal(counted.term_counts, expected.term_counts)
        assert np.array_equal(counted.gram_weights, expected.gram_weights)


def test_what_was_replaced_long_enough_ago_is_deleted(
    open_milvus: MilvusOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000_000.0]
    for module in (log, writer):
        monkeypatch.setattr(module, "now", lambda: clock[0])
    index = open_milvus()
    for revision in range(1, 6):
        write(index, [mushroom(1), mushroom(revision + 10)], revision=revision)
        clock[0] += writer.RETENTION_SECONDS / 2
    collection = index.log.states()[-1].collection
    dead = index.server.query(collection, f"died < {ALIVE}", ["died"])
    # Readers may still hold the third generation, which was replaced less than that time ago.
    assert [state.revision for state in index.log.states()] == [3, 4, 5]
    assert sorted(row["died"] for row in dead) == [state.generation for state in index.log.states()][1:]
    check_milvus_tidy(index)
    with open_milvus().writer(10, rebuild=True) as rebuilding:
        rebuilding.upsert([mushroom(7)])
        rebuilding.flush(6)
    assert len(index.server.names(f"{index.prefix}_")) == 3
    assert keys_of(index) == {1, 11, 12, 13, 14, 15}
    clock[0] += writer.RETENTION_SECONDS
    write(open_milvus(), [mushroom(8)], revision=7)
    clock[0] += writer.RETENTION_SECONDS
    write(open_milvus(), [mushroom(9)], revision=8)
    assert collection not in index.server.names(f"{index.prefix}_")
    assert keys_of(open_milvus()) == {7, 8, 9}
    assert open_milvus().statistics().documents == 3
    check_milvus_tidy(open_milvus())


def test_later_searches_do_not_wait_for_the_server_to_settle(
    open_milvus: MilvusOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(open_milvus(), [mushroom(1)])
    index, asked = open_milvus(), []
    real = index.server.search
    monkeypatch.setattr(index.server, "search", lambda *values: asked.append(values[5]) or real(*values))
    assert keys_of(index) == {1}
    monkeypatch.setattr(reader, "SETTLE_SECONDS", 0.0)
    assert keys_of(index) == {1}
    assert asked == [STRONG] * 3 + [BOUNDED] * 3


def test_a_session_that_wrote_much_has_it_sealed_once(
    open_milvus: MilvusOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SEAL_ROWS", 3)
    index, sealed = open_milvus(), []
    monkeypatch.setattr(index.server, "seal", sealed.append)
    write(index, [mushroom(1)])
    assert len(sealed) == 1  # readers see this collection for the first time
    write(index, [mushroom(2)], revision=2)
    assert len(sealed) == 1
    with index.writer(10) as writing:
        for key in range(3, 7):
            writing.upsert([mushroom(key)])
            writing.flush(key)
        assert len(sealed) == 1
    assert len(sealed) == 2
    assert keys_of(index) == set(range(1, 7))


def test_a_question_without_words_is_not_sent_as_an_empty_text(
    open_milvus: MilvusOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    # milvus-lite takes it for a text that nothing matches; nothing says that others do.
    write(open_milvus(), [mushroom(1)])
    index, asked = open_milvus(), []
    real = index.server.search
    monkeypatch.setattr(index.server, "search", lambda *values: asked.append(values[1:3]) or real(*values))
    wordless = IndexQuery(ask("银耳").title_vector, ask("银耳").body_vector, hash_terms([]))
    index.search_many([wordless, ask("银耳")], PUBLIC, 5)
    assert [questions for name, questions in asked if name == "words"] == [words(hash_terms(["银耳"]))]


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize("broken", ["_bury", "_insert", "_publish"])
def test_a_writer_that_failed_writes_no_more_and_the_next_one_tidies_up(
    open_milvus: MilvusOpener, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    write(open_milvus(), [mushroom(1), mushroom(2)])
    real = getattr(writer.MilvusWriter, broken)

    def fail(*values: Any) -> None:
        if broken != "_publish":
            real(*values)
        raise IndexUnavailable("断开")

    with open_milvus().writer(10) as writing:
        writing.upsert([mushroom(1), mushroom(3)])
        with monkeypatch.context() as patch, pytest.raises(IndexUnavailable, match="断开"):
            patch.setattr(writer.MilvusWriter, broken, fail)
            writing.flush(2)
        with pytest.raises(IndexUnavailable, match="重新运行"):
            writing.flush(2)
    assert (open_milvus().revision, keys_of(open_milvus())) == (1, {1, 2})
    write(open_milvus(), [mushroom(4)], revision=2)
    assert keys_of(open_milvus()) == {1, 2, 4}
    check_milvus_tidy(open_milvus())


@pytest.mark.parametrize("damage", ["no counts", "cut counts", "cut state", "no documents"])
def test_a_damaged_index_is_told_and_can_be_rebuilt(open_milvus: MilvusOpener, damage: str) -> None:
    index = open_milvus()
    write(index, [mushroom(1)])
    write(index, [mushroom(2)], revision=2)
    before = index.generation
    if damage == "no documents":
        index.server.drop(index.log.states()[-1].collection)
    elif damage == "no counts":
        index.server.delete(index.log.name, "id", 'what == "counts" and generation == 1')
    else:
        what = damage.removeprefix("cut ").rstrip()
        fields = ["id", "generation", "what", "part", "parts", "payload", "blank"]
        rows = index.server.query(index.log.name, f'what == "{what}"', fields)
        index.server.put(index.log.name, [row | {"payload": row["payload"][:20]} for row in rows])
    with pytest.raises(DamagedIndex, match="matcher reindex"):
        open_milvus()
    fresh = MilvusIndex(Path(index._locks), index.server, f"fake:64:{index._locks}", DIMENSION)
    with pytest.raises(DamagedIndex), fresh.writer(1):
        pass
    with fresh.writer(1, rebuild=True) as rebuilding:
        rebuilding.upsert([mushroom(5)])
        rebuilding.flush(9)
    assert (fresh.revision, keys_of(fresh), keys_of(open_milvus())) == (9, {5}, {5})
    assert fresh.generation > before


def test_a_server_that_was_killed_comes_back_with_everything(tmp_path: Path) -> None:
    for revision in (1, 2):
        with milvus_server(tmp_path) as uri:
            index = milvus(tmp_path / "index", uri)
            assert index.refresh() is (revision > 1)
            assert keys_of(index) == set(range(1, revision))
            write(index, [mushroom(revision)], revision=revision)


def test_a_server_that_cannot_be_reached_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matcher.milvus.server.CONNECT_SECONDS", 1.0)
    index = MilvusIndex(tmp_path, Server("http://root:geheim@127.0.0.1:1", "root:heimlich"), "m", DIMENSION)
    with pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1:1 没有完成请求.*MATCHER_MILVUS_URI") as caught:
        index.refresh()
    assert "geheim" not in str(caught.value)
    assert "heimlich" not in str(caught.value)


def test_a_server_that_goes_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matcher.milvus.server.CALL_SECONDS", 1.0)
    with milvus_server(tmp_path) as uri:
        index = milvus(tmp_path / "index", uri)
        write(index, [mushroom(1)])
    with pytest.raises(IndexUnavailable, match="确认它在运行"):
        index.search(ask("银耳"), PUBLIC, 5)


def test_a_server_that_is_too_old_is_told(milvus_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymilvus.MilvusClient.get_server_version", lambda _: "v2.4.15")
    with pytest.raises(IndexUnavailable, match=r"版本是 v2\.4\.15，需要 2\.5 或更新的版本"):
        milvus(tmp_path, milvus_uri).refresh()


def test_without_pymilvus_the_user_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(SettingError, match=r"MATCHER_INDEX.*\.\[milvus\]"):
        milvus(tmp_path, "http://127.0.0.1:1").refresh()


def test_a_log_that_nobody_wrote_is_no_log(milvus_uri: str) -> None:
    assert Log(Server(milvus_uri), "matcher_nobody_log").exists() is False


def test_the_settings_choose_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=tmp_path, index="milvus", milvus_token="root:geheim")
    assert isinstance(open_index(settings, "m", DIMENSION), MilvusIndex)
    assert "geheim" not in open_index(settings, "m", DIMENSION).place
    assert isinstance(open_index(load_settings(home=tmp_path, index="local"), "m", DIMENSION), LocalIndex)
