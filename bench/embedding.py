"""What embedding one text costs: torch, the bare ONNX Runtime session, and `matcher/embed.py` around it.

    python bench/embedding.py [--rounds N]

Torch runs the same folder in float32 through sentence-transformers. All take turns, so that a busy moment of the
machine hits all; printed are the least and the median of each, in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from matcher import sample
from matcher.e5 import PROMPT
from matcher.embed import OnnxEncoder, prepare_default_model
from matcher.onnx_bert import GRAPH_NAME
from matcher.records import embedded_text
from matcher.settings import load_settings


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    settings = load_settings()
    folder = prepare_default_model(settings.home)
    patents = sample.records("patent")
    titles = sorted((record.title for record in patents), key=len)
    whole = sorted((embedded_text(record.title, record.abstract) for record in patents), key=len)
    texts = {"title": titles[len(titles) // 2], "abstract": whole[len(whole) // 2]}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for threads in sorted({1, settings.threads}):
        torch.set_num_threads(threads)
        model = SentenceTransformer(str(folder), device="cpu")
        encoder = OnnxEncoder(folder, "bench", threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(folder / GRAPH_NAME), options)
        for name, text in texts.items():
            ids = np.array([tokenizer.encode(PROMPT + text).ids], np.int64)
            inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            print(f"{threads} threads, {name} of {ids.shape[1]} tokens:")
            ways: dict[str, Callable[[], object]] = {
                "torch float32": lambda text=text, model=model: model.encode_query([text]),
                "bare session": lambda inputs=inputs, session=session: session.run(None, inputs),
                "matcher/embed.py": lambda text=text, encoder=encoder: encoder.encode([text], "query"),
            }
            for way, taken in in_turns(ways, rounds).items():
                print(f"  {way:<17}{min(taken):8.2f}{statistics.median(taken):8.2f}")


def in_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, after one to warm up; every round starts with another way."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for run in ways.values():
        run()
    order = list(ways)
    for _ in range(rounds):
        for name in order:
            start = time.perf_counter()
            ways[name]()
            taken[name].append((time.perf_counter() - start) * 1000)
        order.append(order.pop(0))
    return taken


if __name__ == "__main__":
    main()
