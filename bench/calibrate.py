"""Measures what the embedded model's layers are fed, and writes the shipped calibration.

    python bench/calibrate.py [--out FILE]

Reads the sample corpus only: titles, and titles with abstracts. `matcher.quantisation` says what for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoTokenizer, BertModel

from matcher import adapter, e5, sample
from matcher.quantisation import LARGEST, LAYERS_OF_AN_INPUT, MEAN
from matcher.records import embedded_text
from matcher.text import normalize

# The inputs worth smoothing: what layer normalisation puts out. The others' channels are alike.
SMOOTHED = ("attention.self", "intermediate")


class Measured:
    """What one input has been so far; padding never passes, since texts go one by one."""

    def __init__(self) -> None:
        self.rows = 0
        self.total: Any = 0.0
        self.largest: Any = torch.zeros(1)

    def add(self, x: Tensor) -> None:
        """Take in (1, tokens, channels)."""
        self.rows += x.shape[1]
        self.total = self.total + x[0].double().sum(0)
        self.largest = torch.maximum(self.largest, x[0].abs().amax(0))


def main() -> None:
    """Embed, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("matcher/weights/calibration.safetensors"))
    options = parser.parse_args()
    records = [record for kind, _ in sample.FILES if kind != "institution" for record in sample.records(kind)]
    titles = [normalize(record.title) for record in records]
    whole = [embedded_text(title, normalize(record.abstract)) for title, record in zip(titles, records, strict=True)]
    measured: dict[str, Measured] = {}
    with TemporaryDirectory() as scratch, torch.inference_mode():
        folder = Path(scratch) / "model"
        e5.write_folder(folder, correction=adapter.shipped())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model: Any = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
        for name, module in model.named_modules():
            source, _, layer = name.rpartition(".")
            # Query, key and value read the same input.
            if isinstance(module, nn.Linear) and layer in LAYERS_OF_AN_INPUT and source not in measured:
                measured[source] = Measured()
                module.register_forward_pre_hook(lambda _, inputs, own=measured[source]: own.add(inputs[0]))
        for text in [*titles, *whole]:
            model(**tokenizer(e5.PROMPT + text, truncation=True, return_tensors="pt"))
    tensors = {}
    for source, one in measured.items():
        tensors[source + MEAN] = (one.total / one.rows).half()
        if source.endswith(SMOOTHED):
            tensors[source + LARGEST] = one.largest.half()
    save_file(tensors, options.out)
    options.out.chmod(0o644)
    print(f"{len(titles) + len(whole)} texts, {len(measured)} inputs, {options.out}")


if __name__ == "__main__":
    main()
