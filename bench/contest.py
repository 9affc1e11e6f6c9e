"""Ours beside the peers of `bench/peers.py`: the same texts, vectors and questions, from text to results.

A peer's result is a list of ids, ours the whole answer as JSON: ranked, explained, with partners.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from apart import Apart, process
from exactness import OFFERS, exact, opened, recall
from homes import Home
from latency import Asker
from multiply import Question
from peers import PEERS, Trial, installed, sentence_transformer

from matcher.documents import IndexQuery
from matcher.embed import prepare_default_model
from matcher.records import OFFER_KINDS, embedded_text
from matcher.segments import Floats
from matcher.store import Store
from matcher.text import normalize

K = 10
# Questions asked before the clock counts.
WARMING = 5


@dataclass(frozen=True)
class Contest:
    """What all take part in.

    :param vectors: float32 (q, d), of the questions, which ask by their texts.
    """

    home: Home
    model: str
    questions: Sequence[Question]
    vectors: Floats
    threads: int


def contest(given: Contest) -> dict[str, dict[str, Any]]:
    """Figures of ours and of each installed peer; theirs also as multiples of ours.

    Ours answers in turn with each peer, question by question, and is measured anew beside each: a ratio
    compares what the machine did within the same second.
    """
    found: dict[str, dict[str, Any]] = {}
    with process(given.threads) as ours:
        ours.call(open_ours, given)
        found["matcher"] = {"recall": ours.call(our_recall, given)}
        asked = []
        for peer in installed():
            start = time.perf_counter()
            try:
                own, figures = _against(ours, peer.__name__, given)
            except Exception as error:  # what a library fails of must not cost the other figures
                print(f"  {peer.name}: left out, {type(error).__name__}: {error}", flush=True)
                continue
            asked += own
            found[peer.name] = figures
            print(f"  {peer.name}: {time.perf_counter() - start:.0f} s, {figures['ratio']} x ours", flush=True)
        if asked:
            found["matcher"] |= _times(asked)
        ours.call(close_ours)
    return found


# Milliseconds of one question: all, and those that the model took.
Times = tuple[float, float]


def _against(ours: Apart, peer: str, given: Contest) -> tuple[list[Times], dict[str, float]]:
    """Our times beside a peer, and the peer's figures."""
    with process(given.threads) as theirs:
        figures = theirs.call(open_peer, peer, given)
        pairs = _in_turn(ours, theirs, given.questions)
        figures["recall"] = theirs.call(peer_recall, given)
    return [own for own, _ in pairs], figures | _times([their for _, their in pairs]) | _ratios(pairs)


def _in_turn(ours: Apart, theirs: Apart, questions: Sequence[Question]) -> list[tuple[Times, Times]]:
    for question in questions[:WARMING]:
        ours.call(ask_ours, question)
        theirs.call(ask_peer, question)
    return [(ours.call(ask_ours, question), theirs.call(ask_peer, question)) for question in questions]


def _times(asked: Sequence[Times]) -> dict[str, float]:
    whole, model = np.array(asked).T
    figures = {"median_ms": np.median(whole), "p95_ms": np.percentile(whole, 95), "search_ms": np.median(whole - model)}
    return {name: round(float(value), 3) for name, value in figures.items()}


def _ratios(pairs: Sequence[tuple[Times, Times]]) -> dict[str, float]:
    """Medians over the questions of what a peer took by what ours took."""
    whole = [their[0] / own[0] for own, their in pairs]
    search = [(their[0] - their[1]) / (own[0] - own[1]) for own, their in pairs]
    return {"ratio": round(float(np.median(whole)), 3), "search_ratio": round(float(np.median(search)), 3)}


# What the process of a contestant keeps open from call to call.
_open: dict[str, Any] = {}


def open_ours(given: Contest) -> None:
    """Open our matcher in this process."""
    _open["ours"] = Asker(given.home.path, given.threads)


def ask_ours(question: Question) -> Times:
    """Answer one question."""
    steps = _open["ours"].ask(question)[1]
    return steps["whole"], steps["model"]


def close_ours() -> None:
    """Close our matcher."""
    _open.pop("ours").close()


def our_recall(given: Contest) -> float:
    """Recall of our search of the vectors that the peers have, too."""
    index = opened(given.home.path, given.model, given.vectors.shape[1])
    assert index.snapshot
    queries = [IndexQuery(vector, vector, np.empty(0, np.uint32)) for vector in given.vectors]
    found = [index.search(query, OFFERS, K)["body"] for query in queries]
    return recall(found, exact(index.snapshot, "body", given.vectors, K), K)


def open_peer(name: str, given: Contest) -> dict[str, float]:
    """Build a peer in this process."""
    kind = next(peer for peer in PEERS if peer.__name__ == name)
    texts, vectors = offers(given.home, given.model, given.vectors.shape[1])
    trial = Trial(kind, sentence_transformer(prepare_default_model(given.home.path)), texts, vectors)
    _open["peer"] = trial
    return {"build_s": round(trial.build_s, 3)}


def ask_peer(question: Question) -> Times:
    """Ask the peer one question."""
    times: Times = _open["peer"].ask(question.whole, K)
    return times


def peer_recall(given: Contest) -> float:
    """Recall of the peer's vector half; it is closed afterwards."""
    trial = _open.pop("peer")
    try:
        return round(float(trial.recall(given.vectors, K)), 5)
    finally:
        trial.close()


def offers(home: Home, model: str, dimension: int) -> tuple[list[str], Floats]:
    """The texts of a home's offers and their vectors, as they are in its store and index: float32 (n, d)."""
    store = Store(f"sqlite:///{home.path / 'matcher.db'}")
    stored = [one for one in store.records() if one.record.kind in OFFER_KINDS]
    store.close()
    texts = [embedded_text(normalize(one.record.title), normalize(one.record.abstract)) for one in stored]
    index = opened(home.path, model, dimension)
    return texts, np.asarray(index.documents(np.array([one.key for one in stored], np.int64)).body)
