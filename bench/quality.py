"""Cross-validates the ranker by need on judgements: no need is on both sides of a split.

    python bench/quality.py --needs N.csv --judgements J.csv [--offers O.csv ...]

Prints the figures of the ranker, of BM25 and of the model alone on needs that the ranker was not fitted to.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matcher import defaults
from matcher.engine import Matcher
from matcher.judgements import read_judgements
from matcher.settings import load_settings
from matcher.terminal import print_evaluation
from matcher.validate import cross_validate


def main() -> None:
    """Fit and evaluate once a fold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--needs", type=Path, required=True)
    parser.add_argument("--judgements", type=Path, required=True)
    parser.add_argument("--offers", type=Path, action="append", default=[])
    options = parser.parse_args()
    matcher = Matcher(load_settings())
    judged = read_judgements(options.needs, options.judgements, options.offers)
    material = defaults.material(judged, matcher.embedder, matcher.tokenizer, matcher.tagger)
    validation = cross_validate(material, judged, matcher.tokenizer)
    if validation is None:
        raise SystemExit("fewer needs than folds")
    print_evaluation(validation.results)


if __name__ == "__main__":
    main()
