"""The synthetic offers of `bench/multiply.py`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench import multiply as module
from bench.multiply import Base, BaseVectors, Batch, embed_base, load_base, multiply, nearest, questions
from matcher.documents import segment_of
from matcher.embed import Embedder, VectorCache
from matcher.store import Store
from matcher.text import Tokenizer
from tests.fakes import DIMENSION, FakeEncoder


@pytest.fixture(scope="module")
def base() -> list[Base]:
    return load_base(None)


@pytest.fixture(scope="module")
def vectors(base: list[Base], tmp_path_factory: pytest.TempPathFactory) -> BaseVectors:
    embedder = Embedder(FakeEncoder(), VectorCache(tmp_path_factory.mktemp("cache") / "vectors.db"))
    made = embed_base(base, embedder)
    embedder.close()
    return made


@pytest.fixture(scope="module")
def batch(base: list[Base], vectors: BaseVectors) -> Batch:
    return next(multiply(base, vectors, 300, 7))


def test_the_sample_corpus_stands_in_for_missing_data(base: list[Base], tmp_path: Path) -> None:
    assert load_base(tmp_path / "nowhere") == base
    assert {one.kind for one in base} == {"achievement", "patent"}
    assert all(one.title and one.abstract for one in base)


def test_patents_and_papers_of_a_data_folder_are_read_and_empty_ones_left_out(tmp_path: Path) -> None:
    for name, lines in {
        "patents/patents.jsonl": [
            '{"title": "一种烘干机", "abstract": "热泵，除湿。"}',
            '{"title": "空", "abstract": ""}',
        ],
        "papers/csl.jsonl": ['{"title": "银耳研究", "abstract": "方法"}'],
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    assert load_base(tmp_path) == [
        Base("patent", "一种烘干机", "热泵,除湿。"),
        Base("achievement", "银耳研究", "方法"),
    ]


def test_the_same_seed_gives_the_same_offers_and_another_seed_others(
    base: list[Base], vectors: BaseVectors, batch: Batch
) -> None:
    again = next(multiply(base, vectors, 300, 7))
    assert again.offers == batch.offers
    assert np.array_equal(again.titles, batch.titles)
    assert np.array_equal(again.bodies, batch.bodies)
    assert next(multiply(base, vectors, 300, 8)).offers != batch.offers


def test_as_many_offers_come_as_were_asked_for_and_the_first_do_not_depend_on_how_many(
    base: list[Base], vectors: BaseVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 40)
    few, many = list(multiply(base, vectors, 50, 1)), list(multiply(base, vectors, 100, 1))
    assert [len(one.offers) for one in few] == [40, 10]
    assert [offer.key for one in many for offer in one.offers] == list(range(1, 101))
    assert [o for one in few for o in one.offers] == [o for one in many for o in one.offers][:50]
    shorter, longer = (np.concatenate([one.bodies for one in made]) for made in (few, many))
    assert np.allclose(shorter, longer[:50], atol=1e-6)


def test_vectors_have_length_one_and_stay_near_the_records_they_are_made_of(vectors: BaseVectors, batch: Batch) -> None:
    for made, real in ((batch.titles, vectors.titles), (batch.bodies, vectors.bodies)):
        assert made.dtype == np.float32
        assert made.shape == (300, DIMENSION)
        assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
        others = np.sort(made @ real.T, axis=1)
        assert (others[:, -1] - others[:, len(real) // 2]).mean() > 0.2


def test_terms_are_those_of_the_texts(batch: Batch) -> None:
    tokenizer = Tokenizer.default()
    for offer in batch.offers:
        assert offer.title_terms == tokenizer.terms(offer.title)
        assert Counter(offer.body_terms) == Counter(tokenizer.terms(offer.abstract))


def test_texts_are_new_and_about_as_long_as_real_ones(base: list[Base], batch: Batch) -> None:
    assert all(offer.title and offer.abstract for offer in batch.offers)
    titles = {offer.title for offer in batch.offers}
    assert len(titles) > 250
    assert len(titles & {one.title for one in base}) < 15
    made = np.mean([len(offer.abstract) for offer in batch.offers])
    assert made == pytest.approx(np.mean([len(one.abstract) for one in base]), rel=0.15)


def test_some_offers_have_programmes_and_owners_stay_where_they_are(batch: Batch) -> None:
    assert 0.35 < np.mean([bool(offer.programmes) for offer in batch.offers]) < 0.65
    homes: dict[str, set[str | None]] = {}
    for offer in batch.offers:
        homes.setdefault(offer.institution, set()).add(offer.province)
    assert all(len(places) == 1 for places in homes.values())
    assert {None} in homes.values()


def test_index_and_store_take_the_offers(batch: Batch, tmp_path: Path) -> None:
    documents = batch.documents()
    assert np.array_equal(segment_of(documents, DIMENSION).keys, [offer.key for offer in batch.offers])
    assert np.array_equal(documents[3].body_vector, batch.bodies[3])
    store = Store(f"sqlite:///{tmp_path / 'matcher.db'}")
    assert store.upsert([(offer.record(), None) for offer in batch.offers]) == ["added"] * 300
    store.close()


def test_fewer_than_three_records_cannot_be_mixed(base: list[Base], vectors: BaseVectors) -> None:
    with pytest.raises(ValueError, match="three"):
        next(multiply(base[:2], BaseVectors(vectors.titles[:2], vectors.bodies[:2]), 1, 1))


def test_the_nearest_are_others_and_in_order(vectors: BaseVectors) -> None:
    near = nearest(vectors.bodies, 5)
    cosines = np.take_along_axis(vectors.bodies @ vectors.bodies.T, near, axis=1)
    assert all(row not in found for row, found in enumerate(near))
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_questions_are_different_needs_in_the_order_of_the_seed(tmp_path: Path) -> None:
    asked = questions(None, 20, 3)
    assert len({one.whole for one in asked}) == 20
    assert questions(None, 20, 3) == asked != questions(None, 20, 4)
    assert all(one.title and one.text in one.whole for one in asked)


def test_needs_without_a_body_of_their_own_are_not_asked(tmp_path: Path) -> None:
    (tmp_path / "needs").mkdir()
    rows = "need_id,title,text\n1,烘干,怎样省电？\n2,提纯,未提供。\n3,,无题\n4,烘干,怎样省电？\n"
    (tmp_path / "needs/needs.csv").write_text(rows, encoding="utf-8")
    assert [one.title for one in questions(tmp_path, 10, 1)] == ["烘干"]
