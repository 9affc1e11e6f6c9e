"""The peers of `bench/peers.py`: each that is installed finds the obvious document."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bench.peers import PEERS, FaissFlat, MilvusLite, Peer, Trial, best, fuse, installed, missing_packages
from matcher.segments import Floats
from tests.fakes import FakeEncoder

TEXTS = [
    f"{thing}{process}。{thing}经过{process}以后品质更好,能耗降低。"
    for thing in ("银耳", "石墨", "核桃", "茶叶", "白酒", "竹笋")
    for process in ("热泵烘干", "高温提纯", "视觉分选")
]


def encode(text: str) -> Floats:
    return FakeEncoder().encode([text], "query")[0]


# What third parties warn of while they are imported is not ours to mend.
@pytest.fixture(params=PEERS, ids=lambda peer: peer.__name__)
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    if lacking := missing_packages(request.param):
        pytest.skip(f"{', '.join(lacking)} not installed")
    made = request.param(encode)
    made.build(TEXTS, FakeEncoder().encode(TEXTS, "document"))
    yield made
    made.close()


@pytest.mark.filterwarnings("ignore")
def test_each_installed_peer_finds_the_obvious_document(peer: Peer) -> None:
    for at, text in enumerate(TEXTS[:6]):
        found = peer.search(text.partition("。")[0], 5)
        assert found[0] == at
        assert len(found) == len(set(found)) == 5
        assert peer.dense(encode(text), 3)[0] == at


@pytest.mark.filterwarnings("ignore")
def test_milvus_takes_more_rows_than_fit_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    if lacking := missing_packages(MilvusLite):
        pytest.skip(f"{', '.join(lacking)} not installed")
    monkeypatch.setattr("bench.peers.MILVUS_ROWS", 5)
    peer = MilvusLite(encode)
    peer.build(TEXTS, FakeEncoder().encode(TEXTS, "document"))
    assert sorted(peer.dense(encode(TEXTS[0]), len(TEXTS))) == list(range(len(TEXTS)))
    peer.close()


def test_a_peer_that_is_not_installed_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(PEERS[1], "packages", ("no_such_package",))
    assert PEERS[1] not in installed()
    assert "rank_bm25 + numpy: left out, no_such_package not installed" in capsys.readouterr().out


def test_the_best_come_in_order_and_fusion_prefers_what_both_found() -> None:
    assert best(np.array([0.1, 0.9, 0.5], np.float32), 2) == [1, 2]
    assert best(np.array([0.1, 0.9], np.float32), 5) == [1, 0]
    assert fuse([[3, 1], [1, 2]])[0] == 1


def test_an_exact_peer_is_measured_with_full_recall_and_the_model_apart() -> None:
    vectors = FakeEncoder().encode(TEXTS, "document")
    trial = Trial(FaissFlat, encode, TEXTS, vectors)
    whole, model = trial.ask(TEXTS[0], 3)
    assert 0 < model < whole
    assert trial.recall(vectors[:3], 10) == 1
    assert trial.build_s > 0
    trial.close()
