"""Cross-validates the ranker by need on judgements: no need is on both sides of a split.

    python bench/quality.py --needs N.csv --judgements J.csv [--offers O.csv ...]

Prints mean NDCG@10 of the ranker, of BM25 and of the model alone on needs that the ranker was not fitted to.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold

from matcher import defaults
from matcher.engine import Matcher
from matcher.evaluate import bootstrap, evaluate
from matcher.judgements import Judgements, ask_tagged, build_pool, read_judgements
from matcher.rank import Ranker
from matcher.settings import load_settings

FOLDS = 5


def main() -> None:
    """Fit and evaluate once a fold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--needs", type=Path, required=True)
    parser.add_argument("--judgements", type=Path, required=True)
    parser.add_argument("--offers", type=Path, action="append", default=[])
    options = parser.parse_args()
    matcher = Matcher(load_settings())
    parts = (matcher.embedder, matcher.tokenizer, matcher.tagger)
    judged = read_judgements(options.needs, options.judgements, options.offers)
    pool = build_pool(judged.offers, *parts)
    found: dict[str, list[np.ndarray]] = {}
    for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(judged.needs):
        weights = defaults.fit(Judgements([judged.needs[i] for i in train], judged.offers), *parts, "fold")
        needs = Judgements([judged.needs[i] for i in test], judged.offers)
        questions = [ask_tagged(*parts, need.title, need.text) for need in needs.needs]
        for name, result in evaluate(needs, questions, pool, Ranker(weights), matcher.tokenizer).items():
            found.setdefault(name, []).append(result.per_need)
    for name, folds in found.items():
        values = np.concatenate(folds)
        low, high = bootstrap(values)
        print(f"{name:8} NDCG@10 {values.mean():.3f} ({low:.3f} to {high:.3f}), {len(values)} needs")
    ours = np.concatenate(found.pop("ranker"))
    for name, folds in found.items():
        low, high = bootstrap(ours - np.concatenate(folds))
        print(f"ranker better than {name} by {(ours - np.concatenate(folds)).mean():.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
