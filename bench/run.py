"""Measures speed and memory at several sizes, beside peers, and writes a table, a JSON and a plot.

    python bench/run.py [--sizes 10000,100000,1000000] [--data DIR] [--no-peers] [--out DIR]

The collections are synthetic (see `bench/multiply.py`): real patents and papers of DATA, or the offers of the
sample corpus where there is none, embedded once and multiplied by recombining their words and adding noise to
their vectors. The questions are real needs of DATA, or the sample's. Homes are kept between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from apart import apart, cores
from contest import Contest, contest
from exactness import against_exact
from homes import Home, Origin, default_folder, home_of, origin
from latency import single_matches
from memory import index_memory
from multiply import Question, questions
from plot import draw
from quiet import watched
from rates import batch_rate, embedding_rate, ingest_rates, whole_ingest
from report import tables
from serving import help_seconds, load, start_and_memory

from matcher.embed import Embedder, VectorCache, load_encoder, prepare_default_model
from matcher.features import ask
from matcher.segments import Floats, Hashes
from matcher.settings import load_settings
from matcher.text import Tokenizer

WORKERS = (1, 2)
CLIENTS = (1, 2, 4, 8)
PACKAGES = ("faiss-cpu", "numpy", "onnxruntime", "torch", "sentence-transformers", "SQLAlchemy", "uvicorn")
PEER_PACKAGES = ("pymilvus", "milvus-lite", "txtai", "rank-bm25")


@dataclass(frozen=True)
class Asked:
    """The questions, and what the model makes of them.

    :param sets: by name; those without a title embed one text, the others two.
    :param titles: float32 (q, d), of the real needs; `bodies` of title and text together.
    """

    sets: Mapping[str, Sequence[Question]]
    titles: Floats
    bodies: Floats
    hashes: list[Hashes]


def main() -> None:
    """Measure everything that the options ask for."""
    options = _options()
    # Ended from outside, it must still end the services that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in [name for name in os.environ if name.startswith("MATCHER_")]:
        del os.environ[name]  # what is measured is the default installation
    os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}  # the table shall stay in sight
    options.out.mkdir(parents=True, exist_ok=True)
    made_of = origin(options.home, options.data, options.seed)
    asked = prepare(options.home, options.data, options.questions, options.seed)
    results: dict[str, Any] = {
        "machine": machine(),
        "made_of": {
            "records": len(made_of.base),
            "needs": len(made_of.needs),
            "data": "shared data" if options.data.is_dir() else "sample corpus",
            "seed": options.seed,
            "model": made_of.model,
        },
        "load_average": {"start": os.getloadavg()[0]},
        "sizes": {},
    }
    say("rates, and the start of the command")
    results["help_s"] = help_seconds()
    results["others_cores"] = {}
    with watched(results["others_cores"], "ingest"):
        results["ingest"] = ingest_figures(options.home, made_of, options.records, max(options.threads))
    for size in options.sizes:
        say(f"{size} records: building")
        home = home_of(options.home, made_of, size, options.rebuild)
        results["sizes"][str(size)] = measure_size(home, made_of, asked, options)
        results["load_average"]["end"] = os.getloadavg()[0]
        # After each size: hours of measuring shall not hang on the last.
        (options.out / "bench.json").write_text(json.dumps(results, ensure_ascii=False, indent=1), encoding="utf-8")
    print(tables(results))
    draw(results, options.out / "bench.png")
    say("written: bench.json, bench.png")


def prepare(folder: Path, data: Path, count: int, seed: int) -> Asked:
    """Choose the questions and embed them."""
    needs = questions(data, count, seed)
    short = questions(None, count, seed)
    embedder = Embedder(load_encoder(load_settings(home=folder)), VectorCache(folder / "vectors.db"))
    tokenizer = Tokenizer.default()
    asked = [ask(embedder, tokenizer, need.title, need.text) for need in needs]
    embedder.close()
    sets = {
        "needs": [Question("", need.whole) for need in needs],
        "short needs": [Question("", need.text) for need in short],
        "needs, title apart": needs,
        "short needs, title apart": short,
    }
    titles = np.stack([one.title_vector for one in asked])
    return Asked(sets, titles, np.stack([one.body_vector for one in asked]), [one.hashes for one in asked])


def ingest_figures(folder: Path, made_of: Origin, count: int, threads: int) -> dict[str, Any]:
    """Rates of taking in real texts."""
    model = prepare_default_model(folder)
    return {
        "records_per_second": apart(threads, ingest_rates, folder, made_of.base, count, threads),
        "texts_per_second": apart(threads, embedding_rate, folder, made_of.base, count, threads),
        "against_encode": apart(threads, whole_ingest, folder, model, made_of.base, count, threads),
    }


def measure_size(home: Home, made_of: Origin, asked: Asked, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one size, and how many cores others used meanwhile."""
    others: dict[str, float] = {"building": home.others_cores}
    found: dict[str, Any] = {"build_per_second": home.rates, "others_cores": others, "match": {}}
    for threads in options.threads:
        say(f"{home.size} records: single matches, {threads} threads")
        with watched(others, f"single matches, {threads} threads"):
            figures = apart(threads, single_matches, home.path, threads, asked.sets, options.rounds)
        found["match"][str(threads)] = figures
    say(f"{home.size} records: recall, memory, start")
    needs = asked.sets["needs, title apart"]
    vectors = asked.titles, asked.bodies
    with watched(others, "index and start"):
        found["index"] = apart(1, against_exact, home.path, made_of.model, *vectors)
        found["index_memory_mb"] = apart(1, index_memory, home.path, made_of.model, *vectors, asked.hashes)
        found["service"] = start_and_memory(home.path, needs)
    say(f"{home.size} records: load")
    with watched(others, "load"):
        found["load"] = load(home.path, needs, WORKERS, CLIENTS, options.seconds)
    say(f"{home.size} records: batch")
    with watched(others, "batch"):
        found["batch"] = apart(max(options.threads), batch_rate, home.path, max(options.threads))
    if options.peers and home.size in options.peer_sizes:
        say(f"{home.size} records: peers")
        texts = asked.sets["needs"][: options.peer_questions]
        given = Contest(home, made_of.model, texts, asked.bodies[: len(texts)], options.peer_threads)
        with watched(others, "peers"):
            figures = contest(given)
        found["peers"] = {"threads": options.peer_threads, "questions": len(texts), "figures": figures}
    return found


def machine() -> dict[str, Any]:
    """What was measured on, without names or paths."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = {name: version(name) for name in PACKAGES}
    for name in PEER_PACKAGES:
        try:
            versions[name] = version(name)
        except ModuleNotFoundError:  # such a peer is left out
            continue
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def say(line: str) -> None:
    """Tell what is being done; it takes long."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=_numbers, default=[10_000, 100_000, 1_000_000], help="offers, with commas")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="real texts; the sample without them")
    parser.add_argument("--home", type=Path, default=default_folder(), help="keeps what was built between runs")
    parser.add_argument("--rebuild", action="store_true", help="build the homes anew")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    parser.add_argument("--threads", type=_numbers, default=sorted({1, cores()}), help="of single matches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2, help="how often each question is asked")
    parser.add_argument("--seconds", type=float, default=10.0, help="of load for each number of clients")
    parser.add_argument("--records", type=int, default=300, help="real records embedded for the rates of ingest")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--peer-sizes", type=_numbers, default=[10_000, 100_000])
    # With several, torch waits at barriers for threads that the system has put aside, and loses many times as
    # much to any neighbour as our model does: the ratio would flatter us (measured: 150 or 1,700 ms a question).
    parser.add_argument("--peer-threads", type=int, default=1, help="of the peers, and of ours beside them")
    parser.add_argument("--peer-questions", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    main()
