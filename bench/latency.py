"""One match at a time, text in and JSON out, by step, beside the cost of embedding the same text alone."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figures import percentiles
from multiply import Question

from matcher.embed import Encoder, Side, Vectors
from matcher.engine import Matcher
from matcher.queries import MatchQuery
from matcher.records import embedded_text
from matcher.settings import load_settings
from matcher.text import normalize
from matcher.views import answer_json


class TimedEncoder:
    """An encoder that keeps the milliseconds that questions took; what is embedded while loading is none."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.fingerprint = encoder.fingerprint
        self.dimension = encoder.dimension
        self.symmetric = encoder.symmetric
        self.release = encoder.release
        self.spent_ms = 0.0

    def encode(self, texts: Sequence[str], side: Side) -> Vectors:
        """See `matcher.embed.Encoder`."""
        start = time.perf_counter()
        vectors = self._encoder.encode(texts, side)
        if side == "query":
            self.spent_ms += (time.perf_counter() - start) * 1000
        return vectors


class Asker:
    """An open matcher whose model is timed."""

    def __init__(self, home: Path, threads: int) -> None:
        import faiss

        self.matcher = Matcher(load_settings(home=home, threads=threads))
        faiss.omp_set_num_threads(threads)
        self._encoder = TimedEncoder(self.matcher.embedder.encoder)
        self.matcher.embedder.encoder = self._encoder

    def ask(self, question: Question) -> tuple[str, dict[str, float]]:
        """The answer as JSON, and milliseconds by step; `whole` is their sum.

        The step `embed` of an answer is parted into `model` and `words`, the question's own words and n-grams.
        """
        self._encoder.spent_ms, start = 0.0, time.perf_counter()
        answer = self.matcher.match(MatchQuery(text=question.text, title=question.title))
        matched = time.perf_counter()
        text = json.dumps(answer_json(answer), ensure_ascii=False)
        end = time.perf_counter()
        model = self._encoder.spent_ms
        steps = dict(answer.steps)
        parts = {"model": model, "words": steps.pop("embed") - model, **steps, "json": (end - matched) * 1000}
        return text, parts | {"whole": (end - start) * 1000}

    def embed(self, question: Question) -> float:
        """Milliseconds that embedding the same texts alone takes."""
        title, text = normalize(question.title), normalize(question.text)
        texts = [embedded_text(title, text), title] if title and text else [text or title]
        start = time.perf_counter()
        self.matcher.embedder.queries(texts)
        return (time.perf_counter() - start) * 1000

    def close(self) -> None:
        """Close the matcher."""
        self.matcher.close()


def single_matches(
    home: Path, threads: int, sets: Mapping[str, Sequence[Question]], rounds: int
) -> dict[str, dict[str, Any]]:
    """Figures by set of questions.

    Each question is asked `rounds` times; before or after it, in turns, its texts are embedded alone, so that
    both meet the machine in the same state.
    """
    asker = Asker(home, threads)
    try:
        return {name: _one_set(asker, questions, rounds) for name, questions in sets.items()}
    finally:
        asker.close()


def _one_set(asker: Asker, questions: Sequence[Question], rounds: int) -> dict[str, Any]:
    for question in questions:  # until everything is loaded and read from disk once
        asker.ask(question)
    steps: list[dict[str, float]] = []
    alone: list[float] = []
    for number in range(rounds):
        for place, question in enumerate(questions):
            if (number + place) % 2:
                alone.append(asker.embed(question))
                steps.append(asker.ask(question)[1])
            else:
                steps.append(asker.ask(question)[1])
                alone.append(asker.embed(question))
    whole = [step["whole"] for step in steps]
    return {
        "questions": len(questions),
        "characters": percentiles([len(question.whole) for question in questions], (50, 95)),
        "steps_ms": {name: percentiles([step[name] for step in steps]) for name in steps[0]},
        "rest_ms": percentiles([step["whole"] - step["model"] for step in steps]),
        "embedding_ms": percentiles(alone),
        "ratio": percentiles([ours / bare for ours, bare in zip(whole, alone, strict=True)], (50, 95)),
    }
