"""Measures what the README claims of speed and memory, and prints it.

    python bench/speed.py [--records N] [--texts FILE.jsonl]

The peer is plain ``SentenceTransformer.encode(batch_size=32)`` over the same model folder, texts and
threads; ours is the whole `matcher ingest` command in a fresh home, from reading the file to the published
index. Texts are those of FILE (id, title, assignee, abstract), or of the sample corpus without one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from matcher import sample
from matcher.embed import prepare_default_model
from matcher.engine import Matcher
from matcher.queries import MatchQuery
from matcher.settings import load_settings

COMMAND = [sys.executable, "-c", "from matcher.cli import main; main()"]
PORT = "8199"


def main() -> None:
    """Run all measurements one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=600)
    parser.add_argument("--texts", type=Path)
    options = parser.parse_args()
    rows = read(options.texts)[: options.records]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model = prepare_default_model(home)
        table = home / "texts.jsonl"
        table.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
        environment = os.environ | {"MATCHER_HOME": str(home), "MATCHER_PORT": PORT}
        peer = encode(model, rows)
        start = time.perf_counter()
        subprocess.run([*COMMAND, "ingest", str(table), "--kind", "patent"], env=environment, check=True)
        ours = time.perf_counter() - start
        rates = f"encode {len(rows) / peer:.1f}/s, ingest {len(rows) / ours:.1f}/s ({peer / ours:.2f}x)"
        print(f"{len(rows)} records: {rates}")
        match_steps(home)
        print(f"resident memory of the serving process: {serving_memory(environment) / 1e6:.0f} MB")


def read(file: Path | None) -> list[dict[str, str]]:
    """Rows of id, title, assignee, abstract."""
    if file:
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    records = [*sample.records("achievement"), *sample.records("patent")]
    return [
        {"id": r.source_id, "title": r.title, "assignee": r.institution or "", "abstract": r.abstract} for r in records
    ]


def encode(model: Path, rows: list[dict[str, str]]) -> float:
    """Seconds that the peer takes, loading apart."""
    from sentence_transformers import SentenceTransformer

    transformer = SentenceTransformer(str(model), device="cpu")
    transformer.encode(["预热"])
    start = time.perf_counter()
    transformer.encode([f"{row['title']}。{row['abstract']}" for row in rows], batch_size=32, prompt_name="document")
    return time.perf_counter() - start


def match_steps(home: Path) -> None:
    """Milliseconds by step, one thread, the sample corpus' needs as questions."""
    import faiss

    matcher = Matcher(load_settings(home=home, threads=1))
    faiss.omp_set_num_threads(1)
    needs = sample.records("need")
    for need in needs:  # warm
        matcher.match(MatchQuery(text=need.abstract, title=need.title))
    steps = [matcher.match(MatchQuery(text=need.abstract, title=need.title)).steps for need in needs]
    names = list(steps[0])
    table = np.array([[step[name] for name in names] for step in steps])
    for name, column in zip(names, table.T, strict=True):
        print(f"  {name:8} median {np.median(column):6.2f} ms, 95 % {np.percentile(column, 95):6.2f} ms")
    rest = table[:, 1:].sum(axis=1)
    print(f"all but embedding, {matcher.index.count()} records: median {np.median(rest):.1f} ms, ", end="")
    print(f"95 % {np.percentile(rest, 95):.1f} ms, longest {rest.max():.1f} ms")
    matcher.close()


def serving_memory(environment: dict[str, str]) -> int:
    """Resident bytes of `matcher serve` after the sample's needs were asked."""
    import httpx

    process = subprocess.Popen([*COMMAND, "serve"], env=environment, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
            for _ in range(600):
                try:
                    if client.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            for need in sample.records("need"):
                client.post("/v1/match", json={"text": need.abstract, "title": need.title}).raise_for_status()
        return int(psutil.Process(process.pid).memory_info().rss)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
