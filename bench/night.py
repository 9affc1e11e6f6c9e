"""Three nights of ten thousand subscriptions to a hundred thousand offers, mailed to a server of our own.

    python bench/night.py [--size 100000] [--subscriptions 10000] [--data DIR] [--home DIR] [--out FILE]

The home is a synthetic one (see `bench/homes.py`), copied. Nine in ten subscribe to a text recombined from real
needs, the others to a need of the home, two in a thousand to the whole portfolio of an institution. `matcher nightly`
runs as a process of its own: first for everybody, texts not embedded yet; then after a day on which nothing happened;
then after one that brought new offers and changed old ones. Seconds are by the clock, memory is the most that was
resident, files that are mapped included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from homes import default_folder, home_of, origin
from multiply import SyntheticOffer, multiply
from quiet import watched
from sqlalchemy import select

from matcher import tables
from matcher.digests import DigestBook
from matcher.engine import Matcher
from matcher.features import keep_vectors
from matcher.following import Following
from matcher.progress import shown
from matcher.settings import load_settings
from matcher.store import Store
from matcher.wishes import Wish

# Offers that come in a day, and that are changed in one: what a province of 150,000 gains in a year, by the day.
NEW, CHANGED = 500, 100
# Of a thousand subscriptions.
TO_NEEDS, TO_INSTITUTIONS = 98, 2
SEED = 77
DAYS = ("2030-01-01", "2030-01-02", "2030-01-03")
# Between two looks at how much memory a night takes.
LOOK_SECONDS = 0.2
GOAL_SECONDS, GOAL_MB = 900.0, 1000.0


def main() -> None:
    """Run the nights, print what they took, and write it down."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--subscriptions", type=int, default=10_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path, default=default_folder())
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    made_of = origin(given.home, given.data, 1)
    built = home_of(given.home, made_of, given.size)
    with tempfile.TemporaryDirectory(dir=given.home) as folder:
        home = Path(folder) / "home"
        shutil.copytree(built.path, home, symlinks=True)
        (home / "model").unlink()
        (home / "model").symlink_to((given.home / "model").resolve(), target_is_directory=True)
        texts = next(multiply(made_of.needs, made_of.needs_vectors, given.subscriptions, SEED)).offers
        subscribe(home, texts[: given.subscriptions])
        fresh = next(multiply(made_of.base, made_of.vectors, NEW + CHANGED, SEED)).offers
        nights = []
        for number, day in enumerate(DAYS):
            if number == 2:
                with opened(home) as matcher:
                    change(matcher, fresh)
            nights.append(night(home, day, Path(folder) / f"{day}.json"))
            print(line(nights[-1]), flush=True)
    result = {"size": given.size, "subscriptions": given.subscriptions, "nights": nights}
    if given.out:
        given.out.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    worst = max(nights, key=lambda one: float(one["seconds"]))
    print(
        f"longest night {worst['seconds']:.0f} s (goal {GOAL_SECONDS:.0f}), most memory "
        f"{max(one['resident_mb'] for one in nights):.0f} MB (goal {GOAL_MB:.0f}), "
        f"mails sent twice {sum(one['twice'] for one in nights)}"
    )


@contextmanager
def opened(home: Path) -> Iterator[Matcher]:
    """The engine over a home."""
    matcher = Matcher(load_settings(home=home))
    try:
        yield matcher
    finally:
        matcher.close()


def subscribe(home: Path, texts: list[SyntheticOffer]) -> None:
    """Let somebody else follow each: of a thousand `TO_NEEDS` a need and `TO_INSTITUTIONS` a portfolio instead."""
    with opened(home) as matcher:
        needs, institutions = (ids(matcher.store, kind) for kind in ("need", "institution"))
        chance = random.Random(SEED)
        for number, text in enumerate(texts):
            kind = number % 1000
            if kind < TO_INSTITUTIONS:
                wish = Wish(follows="institution", subject=chance.choice(institutions))
            elif kind < TO_INSTITUTIONS + TO_NEEDS:
                wish = Wish(follows="record", subject=chance.choice(needs))
            else:
                wish = Wish(follows="text", title=text.title, text=text.abstract)
            matcher.subscriptions.add(f"reader-{number}@corp.example", wish, confirmed=True, by_operator=True)
        # Of records a real home has the vectors since they were ingested; this one has them in its index alone.
        following = Following(matcher.store, matcher.accounts)
        book = DigestBook(matcher.store.database)
        subscriptions = [one for _, due in book.due(DAYS[0], 0, len(texts)) for one in due]
        records = [one.query for one in following.asked(subscriptions, "") if one.record]
        with shown("计算所订阅记录的向量") as progress:
            keep_vectors(matcher.embedder, [(query.title, query.text) for query in records], progress)


def ids(store: Store, kind: str) -> list[str]:
    """Of all records of a kind."""
    r = tables.records.c
    with store.database.reading.connect() as connection:
        return list(connection.execute(select(r.id).where(r.kind == kind).order_by(r.key)).scalars())


def change(matcher: Matcher, fresh: list[SyntheticOffer]) -> None:
    """A day's work: new offers, and old ones that say something else."""
    ids_ = ids(matcher.store, "achievement")[:CHANGED]
    old = [matcher.store.by_id([id_])[id_].record for id_ in ids_]
    edited = [replace(one, title=text.title, abstract=text.abstract) for one, text in zip(old, fresh, strict=False)]
    added = [replace(text.record(), source_id=f"fresh-{text.key}") for text in fresh[CHANGED : CHANGED + NEW]]
    matcher.store.upsert([(record, None) for record in (*edited, *added)])
    matcher.catch_up()


def night(home: Path, day: str, counts: Path) -> dict[str, Any]:
    """One run of the command, and what its mail server counted."""
    sink = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("sink.py")), str(counts)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sink.stdin
    assert sink.stdout
    port = sink.stdout.readline().strip()
    environment = {
        **os.environ,
        "MATCHER_HOME": str(home),
        "MATCHER_SMTP_HOST": "127.0.0.1",
        "MATCHER_SMTP_PORT": port,
        "MATCHER_SMTP_SECURITY": "none",
        "MATCHER_MAIL_FROM": "match@platform.example",
        "MATCHER_MAIL_PER_MINUTE": "100000",
    }
    others: dict[str, float] = {}
    command = [str(Path(sys.executable).with_name("matcher")), "nightly", "--date", day, "--json"]
    start = time.monotonic()
    with watched(others, "night"):
        with tempfile.TemporaryFile() as told:
            running = subprocess.Popen(command, env=environment, stdout=told)
            most = resident(running)
            seconds = time.monotonic() - start
            if running.returncode:
                raise SystemExit(running.returncode)
            told.seek(0)
            report = json.load(told)
        sink.stdin.close()
        sink.wait()
    mailed = Counter(json.loads(counts.read_text("utf-8")))
    return {
        "day": day,
        "seconds": round(seconds, 1),
        "resident_mb": round(most / 1e6),
        "others_cores": others["night"],
        "mails": mailed.total(),
        "twice": sum(count > 1 for count in mailed.values()),
        "report": report,
    }


def resident(running: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end, and say how many bytes of it were resident at most.

    Not by its `ru_maxrss`, into which the memory of whoever started it counts.
    """
    most = 0
    status = Path(f"/proc/{running.pid}/status")
    while running.poll() is None:
        peak = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        most = max(most, int(peak[1]) * 1024 if peak else 0)
        time.sleep(LOOK_SECONDS)
    return most


def line(one: dict[str, Any]) -> str:
    """A night in one line."""
    report = one["report"]
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in report["seconds"].items())
    return (
        f"{one['day']}: {one['seconds']:.0f} s ({steps}), {one['resident_mb']:.0f} MB, "
        f"{report['questions']} questions, {report['matched']} of them in full, {report['pairs']} pairs, "
        f"{one['mails']} mails, {one['twice']} twice; "
        f"others used {one['others_cores']:.2f} cores"
    )


if __name__ == "__main__":
    main()
