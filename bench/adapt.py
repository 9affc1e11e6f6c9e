"""Tunes the embedded model for matching and writes the shipped adapter.

    python bench/adapt.py --data DIR [--out FILE] [--device cuda]

Learns from `corpus/ratings.csv` (needs written for this project, each with titles rated 0 to 9) and from the
titles and abstracts of public patents and papers. It sees no judgement of `needs/` and none of the sample
corpus, so figures on those are figures on needs not seen. Losses: CoSENT over the ratings within a need and
between needs (Su 2022), InfoNCE with the other needs' offers and abstracts as negatives (van den Oord et al.
2018). All weights but the vocabulary's are tuned from several starts; the mean change is cut to a low rank.
Minutes on a GPU, most of a day on two cores.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from public import public_texts, text_hash
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from transformers import BertModel

from matcher import e5, sample
from matcher.adapter import DOWN, UP

HASH_LENGTH = 12
RANK = 32
STARTS = 3
EPOCHS = 3
NEEDS_A_STEP, PAIRS_A_STEP = 48, 64
LEARNING_RATE, WARM_UP, WEIGHT_DECAY = 1e-4, 0.1, 0.01
# What the cosines are multiplied with in the two losses, and the losses' weights.
COSENT_SCALE, NCE_SCALE = 20.0, 30.0
WITHIN, BETWEEN, CONTRAST, ABSTRACTS = 1.0, 0.3, 0.5, 0.3
# Ratings closer than this are not told apart, within a need and between needs.
CLOSE_WITHIN, CLOSE_BETWEEN = 0.5, 2.5
# A rating up to this is a negative for the contrast; above, its weight grows with this power.
NEGATIVE, GROWTH = 3, 1.5
# How often the technology's own text stands in for the need, half of these with its abstract; and how often
# its abstract is offered beside its title.
OWN_TEXT, WITH_ABSTRACT = 0.3, 0.5
LONGEST = 160
BEST = 9


@dataclass(frozen=True)
class Rated:
    """One need with rated titles; `title` and `body` are of the technology it was written for."""

    need: str
    title: str
    body: str
    titles: list[str]
    ratings: list[int]


class Encoder:
    """The model being tuned."""

    def __init__(self, folder: Path, device: str) -> None:
        self.device = device
        self.model: Any = BertModel.from_pretrained(folder, add_pooling_layer=False).to(device).train()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = "word_embeddings" not in name and "position_embeddings" not in name
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST)
        self.padding = int(self.model.config.pad_token_id)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (len(texts), d); every distinct text passes once."""
        distinct = sorted(set(texts), key=len)
        halves = [distinct[: len(distinct) // 2], distinct[len(distinct) // 2 :]]
        vectors = torch.cat([self._embed(half) for half in halves if half])
        place = {text: i for i, text in enumerate(distinct)}
        return vectors[torch.tensor([place[text] for text in texts], device=self.device)]

    def _embed(self, texts: Sequence[str]) -> Tensor:
        encodings = self.tokenizer.encode_batch_fast([e5.PROMPT + text for text in texts])
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = torch.full((len(texts), longest), self.padding)
        mask = torch.zeros((len(texts), longest), dtype=torch.long)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = torch.tensor(encoding.ids)
            mask[row, : len(encoding.ids)] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask[..., None].float()
        return F.normalize((hidden.float() * weights).sum(1) / weights.sum(1), dim=-1)


def main() -> None:
    """Tune and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("matcher/weights/adapter.safetensors"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    rated, pairs = material(options.data)
    print(f"{len(rated)} rated needs, {len(pairs)} titles with abstracts")
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        e5.write_folder(folder)
        changes = [tune(folder, rated, pairs, seed, options.device) for seed in range(STARTS)]
    mean = {name: np.mean([change[name] for change in changes], axis=0) for name in changes[0]}
    save_file(low_rank(mean), options.out)


def material(data: Path) -> tuple[list[Rated], list[tuple[str, str]]]:
    """The rated needs whose texts are all there, and titles with abstracts."""
    texts = public_texts(data)
    by_hash = {text_hash(text.title, HASH_LENGTH): text for text in reversed(texts)}
    rated = []
    with sample.path("ratings.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            given = [pair.split(":") for pair in row["rated"].split()]
            if all(key in by_hash for key in (row["technology_hash"], *(key for key, _ in given))):
                own = by_hash[row["technology_hash"]]
                titles = [by_hash[key].title for key, _ in given]
                rated.append(Rated(row["need"], own.title, own.whole, titles, [int(value) for _, value in given]))
    pairs = [(text.title, text.body) for text in texts if text.kind in ("patent", "paper") and text.title and text.body]
    return rated, pairs


def tune(
    folder: Path, rated: Sequence[Rated], pairs: Sequence[tuple[str, str]], seed: int, device: str
) -> dict[str, np.ndarray]:
    """One start: what every tuned tensor changed by."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    encoder = Encoder(folder, device)
    tuned = {name: p for name, p in encoder.model.named_parameters() if p.requires_grad}
    before = {name: p.detach().cpu().numpy().copy() for name, p in tuned.items()}
    steps = EPOCHS * (len(rated) // NEEDS_A_STEP)
    optimizer = torch.optim.AdamW(tuned.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (WARM_UP * steps), (steps - step) / ((1 - WARM_UP) * steps))
    )
    order = np.concatenate([generator.permutation(len(rated)) for _ in range(EPOCHS)])
    for step in range(steps):
        chosen = [rated[i] for i in order[step * NEEDS_A_STEP :][:NEEDS_A_STEP]]
        loss = rated_loss(encoder, chosen, generator)
        drawn = [pairs[i] for i in generator.choice(len(pairs), min(PAIRS_A_STEP, len(pairs)), replace=False)]
        loss = loss + ABSTRACTS * abstract_loss(encoder, drawn)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tuned.values(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 0:
            print(f"start {seed} step {step} of {steps}: loss {loss.item():.3f}", flush=True)
    return {name: p.detach().cpu().numpy() - before[name] for name, p in tuned.items()}


def rated_loss(encoder: Encoder, needs: Sequence[Rated], generator: np.random.Generator) -> Tensor:
    """What the ratings say of the needs' cosines."""
    questions, offers, ratings, owner = [], [], [], []
    for place, need in enumerate(needs):
        draw = generator.random()
        questions.append(need.need if draw > OWN_TEXT else need.body if draw < OWN_TEXT / 2 else need.title)
        judged = list(zip(need.titles, need.ratings, strict=True))
        if draw > OWN_TEXT:
            judged.append((need.title, BEST))
            if need.body != need.title and generator.random() < WITH_ABSTRACT:
                judged.append((need.body, BEST))
        for title, rating in judged:
            offers.append(title)
            ratings.append(float(rating))
            owner.append(place)
    vectors = encoder.embed([*questions, *offers])
    asked, offered = vectors[: len(questions)], vectors[len(questions) :]
    own = torch.tensor(owner, device=encoder.device)
    rating = torch.tensor(ratings, device=encoder.device)
    cosines = (asked[own] * offered).sum(1)
    same = own[:, None] == own[None, :]
    loss = WITHIN * cosent(cosines, rating, same, CLOSE_WITHIN) + BETWEEN * cosent(
        cosines, rating, ~same, CLOSE_BETWEEN
    )
    gains = ((rating - NEGATIVE).clamp(min=0) / (BEST - NEGATIVE)) ** GROWTH
    targets = gains[None, :] * (own[None, :] == torch.arange(len(needs), device=encoder.device)[:, None])
    some = targets.sum(1) > 0
    shares = targets[some] / targets[some].sum(1, keepdim=True)
    contrast = -(shares * F.log_softmax(asked[some] @ offered.T * NCE_SCALE, dim=1)).sum(1).mean()
    return loss + CONTRAST * contrast


def abstract_loss(encoder: Encoder, pairs: Sequence[tuple[str, str]]) -> Tensor:
    """Each title is nearest to its own abstract, and the other way round."""
    vectors = encoder.embed([title for title, _ in pairs] + [body for _, body in pairs])
    similarity = vectors[: len(pairs)] @ vectors[len(pairs) :].T * NCE_SCALE
    own = torch.arange(len(pairs), device=encoder.device)
    return (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)) / 2


def cosent(cosines: Tensor, ratings: Tensor, compared: Tensor, close: float) -> Tensor:
    """log(1 + sum of exp(scale * (cosine of the worse - cosine of the better))) over the pairs compared."""
    wrong = (ratings[:, None] > ratings[None, :] + close) & compared
    excess = ((cosines[None, :] - cosines[:, None]) * COSENT_SCALE)[wrong]
    return torch.logsumexp(torch.cat([excess, excess.new_zeros(1)]), 0)


def low_rank(changes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The adapter file's tensors: the best approximation of each matrix by `RANK` (Eckart & Young 1936)."""
    adapter = {}
    for name, change in changes.items():
        if change.ndim == 2 and min(change.shape) > 2 * RANK:
            left, values, right = np.linalg.svd(change, full_matrices=False)
            root = np.array([math.sqrt(value) for value in values[:RANK]])
            adapter[name + UP] = np.ascontiguousarray((left[:, :RANK] * root).astype(np.float16))
            adapter[name + DOWN] = np.ascontiguousarray((right[:RANK] * root[:, None]).astype(np.float16))
        else:
            adapter[name] = np.ascontiguousarray(change.astype(np.float16))
    return adapter


if __name__ == "__main__":
    main()
