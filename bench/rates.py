"""How fast records are read, cut into words, tagged and embedded; how fast many questions are answered."""

from __future__ import annotations

import csv
import itertools
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from multiply import Base
from serving import COMMAND, environment

from matcher.batch import BatchQuery
from matcher.embed import Embedder, VectorCache, load_encoder
from matcher.engine import Matcher
from matcher.ingest import ingest_file
from matcher.programs import TaggedText
from matcher.queries import DEFAULT_LIMIT, DEFAULT_MIN_LEVEL, MatchQuery
from matcher.records import Record, embedded_text
from matcher.settings import load_settings
from matcher.store import Outcome, Store

# Rows of the file that is read: enough that opening it does not count.
READ_ROWS = 20_000
# Needs of a home that are also matched one by one, to compare.
ASKED_ALONE = 100


class _NoStore:
    """Takes records and forgets them, so that only reading and checking is timed."""

    def upsert(self, items: Sequence[tuple[Record, str | None]]) -> list[Outcome]:
        return ["added"] * len(items)


def ingest_rates(folder: Path, base: Sequence[Base], count: int, threads: int) -> dict[str, float]:
    """Records a second by each step of taking in `count` real ones; a record is two texts to embed.

    :param folder: with the model.
    """
    real = list(itertools.islice(itertools.cycle(base), READ_ROWS))
    some = _spread_out(base, count)
    rates: dict[str, float] = {}
    with _empty_home(folder) as home:
        table = _table(home / "records.csv", real)
        start = time.perf_counter()
        ingest_file(cast(Store, _NoStore()), table, home / "rejects", "patent")
        rates["read"] = len(real) / (time.perf_counter() - start)

        matcher = Matcher(load_settings(home=home, threads=threads))
        start = time.perf_counter()
        terms = [matcher.tokenizer.terms(one.title) + matcher.tokenizer.terms(one.abstract) for one in some]
        rates["words"] = len(some) / (time.perf_counter() - start)

        texts = [text for one in some for text in (one.title, embedded_text(one.title, one.abstract))]
        matcher.embedder.documents(["预热"])
        start = time.perf_counter()
        vectors = matcher.embedder.documents(texts)
        rates["embed"] = len(some) / (time.perf_counter() - start)

        matcher.tagger.tag(TaggedText(vectors[1], terms[0]))
        start = time.perf_counter()
        for own, vector in zip(terms, vectors[1::2], strict=True):
            matcher.tagger.tag(TaggedText(vector, own))
        rates["tag"] = len(some) / (time.perf_counter() - start)
        matcher.close()
    return {step: round(rate, 2) for step, rate in rates.items()}


def whole_ingest(folder: Path, model: Path, base: Sequence[Base], count: int, threads: int) -> dict[str, float]:
    """The whole command `matcher ingest`, model loading and all, beside plain sentence-transformers.

    Those embed title and abstract as one text, batches of 32, the loading of the model apart; the command
    embeds the titles too.

    :returns: records a second, and how many times as fast the command is.
    """
    from sentence_transformers import SentenceTransformer

    some = _spread_out(base, count)
    transformer = SentenceTransformer(str(model), device="cpu")
    transformer.encode(["预热"])
    start = time.perf_counter()
    texts = [embedded_text(one.title, one.abstract) for one in some]
    transformer.encode(texts, batch_size=32, prompt_name="document", show_progress_bar=False)
    plain = time.perf_counter() - start
    with _empty_home(folder) as home:
        table = _table(home / "records.csv", some)
        command = [*COMMAND, "ingest", str(table), "--kind", "patent"]
        start = time.perf_counter()
        subprocess.run(command, env=environment(home, threads), check=True, stderr=subprocess.DEVNULL)
        ours = time.perf_counter() - start
    return {
        "records": len(some),
        "encode": round(len(some) / plain, 2),
        "ingest": round(len(some) / ours, 2),
        "ratio": round(plain / ours, 3),
    }


def embedding_rate(folder: Path, base: Sequence[Base], count: int, threads: int) -> float:
    """Texts a second through `Embedder`, with a cache that knows none of them."""
    texts = [embedded_text(one.title, one.abstract) for one in _spread_out(base, count)]
    with _empty_home(folder) as home:
        embedder = Embedder(load_encoder(load_settings(home=home, threads=threads)), VectorCache(home / "vectors.db"))
        embedder.documents(["预热"])
        start = time.perf_counter()
        embedder.documents(texts)
        seconds = time.perf_counter() - start
        embedder.close()
    return round(len(texts) / seconds, 2)


def _spread_out(base: Sequence[Base], count: int) -> list[Base]:
    """At most so many records from everywhere in the list."""
    return list(base[:: max(1, len(base) // count)][:count])


def _table(path: Path, rows: Sequence[Base]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("公开号", "标题", "摘要"))
        writer.writerows((f"CN{number:09d}A", one.title, one.abstract) for number, one in enumerate(rows))
    return path


@contextmanager
def _empty_home(folder: Path) -> Iterator[Path]:
    """A home with nothing but the model."""
    with tempfile.TemporaryDirectory() as path:
        home = Path(path)
        (home / "model").symlink_to(folder.absolute() / "model", target_is_directory=True)
        yield home


def batch_rate(home: Path, threads: int) -> dict[str, float]:
    """Needs a second when all of a home are matched at once, starting of the processes included, and how many
    times that is the rate of matching them one by one, text by text.
    """
    matcher = Matcher(load_settings(home=home, threads=threads))
    asked = matcher.store.counts()["need"]
    query = BatchQuery(asking="needs", visibilities=("public",), limit=DEFAULT_LIMIT, min_level=DEFAULT_MIN_LEVEL)
    _ = matcher.index, matcher.ranker  # loaded before, as in a service
    start = time.perf_counter()
    pairs = sum(len(part) for part in matcher.match_all(query))
    seconds = time.perf_counter() - start
    some = [stored.record for stored in itertools.islice(matcher.store.records("need"), ASKED_ALONE)]
    alone = []
    for need in some:
        start = time.perf_counter()
        matcher.match(MatchQuery(text=need.abstract, title=need.title))
        alone.append(time.perf_counter() - start)
    matcher.close()
    one_by_one = len(alone) / sum(alone)
    return {
        "needs": asked,
        "pairs": pairs,
        "per_second": round(asked / seconds, 2),
        "one_by_one_per_second": round(one_by_one, 2),
        "ratio": round(asked / seconds / one_by_one, 2),
    }
