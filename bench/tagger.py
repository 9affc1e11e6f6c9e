"""Fits the shipped programme tagger to the labelled public texts and the sample corpus.

    python bench/tagger.py --data DIR [--out FILE]

Prints its figures in cross-validation: every text tagged by a net that had not seen it.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from public import public_texts, text_hash

from matcher import sample
from matcher.defaults import sample_labelled
from matcher.engine import Matcher
from matcher.programs import Evidence, TaggedText
from matcher.progress import shown
from matcher.records import PROGRAMME_CODES
from matcher.settings import load_settings
from matcher.tagging import fit_tagger, save_tagger

HASH_LENGTH = 16


def main() -> None:
    """Embed, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("matcher/weights/tagger.npz"))
    options = parser.parse_args()
    with sample.path("labels.csv").open(encoding="utf-8", newline="") as file:
        labels = {row["text_hash"]: set(row["programmes"].split(";")) for row in csv.DictReader(file)}
    found = {key: text for text in public_texts(options.data) if (key := text_hash(text.whole, HASH_LENGTH)) in labels}
    print(f"{len(found)} of {len(labels)} labelled texts found in {options.data}")
    matcher = Matcher(load_settings())
    tokenizer = matcher.tokenizer
    with shown("嵌入") as progress:
        vectors = matcher.embedder.documents([text.whole for text in found.values()], progress)
    public = [
        TaggedText(vector, tokenizer.terms(text.whole), text.ipc)
        for text, vector in zip(found.values(), vectors, strict=True)
    ]
    own, own_labels, _ = sample.tagged_texts(sample_labelled(), matcher.embedder, tokenizer)
    public_labels = np.array([[code in labels[key] for code in PROGRAMME_CODES] for key in found])
    weights = fit_tagger(
        [*public, *own],
        np.concatenate([public_labels, own_labels]),
        Evidence(matcher.embedder, tokenizer, vectors.mean(axis=0)),
        matcher.embedder.fingerprint,
        "corpus/labels.csv and corpus/",
    )
    save_tagger(weights, options.out)
    print(json.dumps(json.loads(str(weights["card"])), indent=1))


if __name__ == "__main__":
    main()
