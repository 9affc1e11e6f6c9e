"""Measures whether the partners that Matcher names are the right ones, on the sample corpus' judgements.

    python bench/partners.py [--home DIR]

Right for a need are the institutions behind its offers of level 3 or 4, the asking enterprise apart. Recall@k
is the share of them among the first k named, 0 where nobody is named; no need has more than three. The peers
rank, asker apart as well:

- matches: by how many of the same matches, those that Matcher gathers partners from, an institution has;
- candidates: by how many of the 30 best candidates it has, whatever their level;
- size: the institutions behind the matches by how many offers they have in the whole collection;
- best: the institutions behind the matches by the score of their best match alone.

Peers that tie get the mean over all orders of the tied. Intervals are 95 % bootstrap intervals over needs, and
differences are paired by need. The ranker and the numbers in matcher/partners.py have seen `train`, not `test`.
DIR is a MATCHER_HOME that gets the sample corpus and holds nothing else; without one it is a temporary folder.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from matcher import sample
from matcher.engine import Matcher
from matcher.evaluate import RELEVANT, bootstrap
from matcher.partners import Partner, suggest
from matcher.queries import MatchQuery
from matcher.records import OFFER_KINDS
from matcher.rows import StoredRecord
from matcher.settings import load_settings

SPLITS = ("train", "test")
DEPTHS = (1, 3, 5)
OURS = "partners"
Matches = Sequence[tuple[StoredRecord, int, float]]


def main() -> None:
    """Ask for partners once a judged need."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        matcher = Matcher(load_settings(home=options.home or Path(folder), database_url=None))
        for kind, name in sample.FILES:
            matcher.ingest(sample.path(name), kind, source=sample.SOURCE)
        matcher.catch_up()
        for split in SPLITS:
            report(matcher, split)
        matcher.close()


def report(matcher: Matcher, split: str) -> None:
    """Print the figures of one split."""
    owners = owners_of_offers(matcher)
    size = Counter(owner for owner in owners.values() if owner)
    found: dict[str, list[list[float]]] = {}
    named: list[tuple[int, int]] = []
    for need, offers in judged(matcher, split):
        right = {owner for id_ in offers if (owner := owners[id_]) and owner != need.institution_id}
        if not right:
            continue
        record = need.record
        query = MatchQuery(text=record.abstract, title=record.title, asker=record.institution)
        partners, matches = ask(matcher, query)
        _, candidates = ask(matcher, replace(query, min_level=1))
        rankings: dict[str, Mapping[str, float]] = {
            OURS: {partner.id: -float(place) for place, partner in enumerate(partners)},
            "matches": Counter(owners_of(matches, need)),
            "candidates": Counter(owners_of(candidates, need)),
            "size": {owner: size[owner] for owner in owners_of(matches, need)},
            "best": best_scores(matches, need),
        }
        for name, scores in rankings.items():
            found.setdefault(name, []).append([recall(scores, right, depth) for depth in DEPTHS])
        named.append((len(partners), len(right & {partner.id for partner in partners})))
    values = {name: np.array(rows) for name, rows in found.items()}
    print(f"{f'{split}, {len(named)} needs':24}" + "".join(f"recall@{depth:<18}" for depth in DEPTHS).rstrip())
    for name, own in values.items():
        print(f"{name:24}" + cells(own))
    for name in list(values)[1:]:
        print(f"{OURS} - {name:13}" + cells(values[OURS] - values[name]))
    print(f"{sum(one for one, _ in named)} named, {sum(hits for _, hits in named)} of them right\n")


def ask(matcher: Matcher, query: MatchQuery) -> tuple[list[Partner], Matches]:
    """The partners of one answer, and the matches that they were gathered from."""
    with patch("matcher.engine.suggest", wraps=suggest) as spy:
        partners = matcher.match(query).partners
    return partners, spy.call_args.args[0]


def judged(matcher: Matcher, split: str) -> list[tuple[StoredRecord, list[str]]]:
    """The needs of one split, each with the source ids of its relevant offers."""
    relevant: dict[str, list[str]] = {}
    with sample.path("judgements.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == split and int(row["level"]) >= RELEVANT:
                relevant.setdefault(row["need_id"], []).append(row["achievement_id"])
    ids = {record.id: record.source_id for record in sample.records("need") if record.source_id in relevant}
    return [(need, relevant[ids[id_]]) for id_, need in matcher.records(list(ids)).items()]


def owners_of_offers(matcher: Matcher) -> dict[str, str | None]:
    """Source id of an offer to its owner's id: an institution may have several names."""
    ids = {record.id: record.source_id for kind in OFFER_KINDS for record in sample.records(kind)}
    return {ids[id_]: stored.institution_id for id_, stored in matcher.records(list(ids)).items()}


def owners_of(matches: Matches, need: StoredRecord) -> list[str]:
    """The owner of each match that has one, the asker apart."""
    owners = (stored.institution_id for stored, _, _ in matches)
    return [owner for owner in owners if owner and owner != need.institution_id]


def best_scores(matches: Matches, need: StoredRecord) -> dict[str, float]:
    """Owner to the score of its best match, the asker apart."""
    best: dict[str, float] = {}
    for stored, _, score in matches:
        if (owner := stored.institution_id) and owner != need.institution_id:
            best[owner] = max(score, best.get(owner, 0.0))
    return best


def recall(scores: Mapping[str, float], right: Collection[str], depth: int) -> float:
    """The share of the right ones among the `depth` highest scores, the mean over all orders of those that tie."""
    hits = 0.0
    for own in (scores[one] for one in right if one in scores):
        above = sum(score > own for score in scores.values())
        tied = sum(score == own for score in scores.values())
        hits += min(1.0, max(0, depth - above) / tied)
    return hits / len(right)


def cells(values: np.ndarray) -> str:
    """Mean and interval of each column."""
    parts = []
    for column in values.T:
        low, high = bootstrap(column)
        parts.append(f"{column.mean():.3f} ({low:.3f} to {high:.3f})")
    return "".join(f"{part:25}" for part in parts).rstrip()


if __name__ == "__main__":
    main()
