"""Labelled texts to weights: fits the programme tagger."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from matcher.programs import FILINGS, Evidence, TaggedText
from matcher.records import PROGRAMME_CODES

# A net of one hidden layer, with dropout, averaged over several starts. On 9,628 labelled public texts (five
# folds) micro-F1 was .826 with it, .801 with logistic regressions over the same features.
UNITS = 256
DROPOUT = 0.4
EPOCHS = 25
STARTS = 3
BATCH = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
FOLDS = 5
# Thresholds looked at, for each programme the one of best F1; of equals the one nearest the middle.
THRESHOLDS = np.arange(0.25, 0.61, 0.025)
# A programme with fewer texts than this takes the common threshold: its own would be chance.
LEAST_TEXTS = 40
COMMON_THRESHOLD = 0.4

Weights = dict[str, NDArray[Any]]


def fit_tagger(
    texts: Sequence[TaggedText], labels: NDArray[np.bool_], evidence: Evidence, model: str, data: str
) -> Weights:
    """Fit the tagger's weights; thresholds and what filings count come from texts that a net had not seen.

    :param labels: (n, 7), which programmes each text belongs to.
    """
    from sklearn.model_selection import KFold

    features = np.stack([evidence.features(text) for text in texts])
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    # The vector's coordinates keep their common scale: their lengths mean something.
    middle[: len(evidence.mean)], spread[: len(evidence.mean)] = 0, 1 / np.sqrt(len(evidence.mean))
    scaled = ((features - middle) / spread).astype(np.float32)
    unseen = np.empty(labels.shape)
    for train, test in KFold(min(FOLDS, len(texts)), shuffle=True, random_state=0).split(scaled):
        unseen[test] = _logits(_fit_nets(scaled[train], labels[train]), scaled[test])
    filed = np.stack([evidence.filings(text) for text in texts])
    weights = _filing_weights(unseen, filed, labels)
    chances = 1 / (1 + np.exp(-(unseen + filed @ weights)))
    thresholds = np.array([_threshold(chances[:, i], labels[:, i]) for i in range(len(PROGRAMME_CODES))])
    card = {
        "data": data,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "records": len(texts),
        "records_by_programme": dict(zip(PROGRAMME_CODES, labels.sum(axis=0).tolist(), strict=True)),
        "cross_validation": _figures(chances >= thresholds, labels),
    }
    return {
        "model": np.array(model),
        "card": np.array(json.dumps(card, ensure_ascii=False)),
        "mean": evidence.mean.astype(np.float32),
        "middle": middle.astype(np.float32),
        "spread": spread.astype(np.float32),
        "filings": weights.astype(np.float32),
        "thresholds": thresholds.astype(np.float32),
        **_fit_nets(scaled, labels),
    }


def save_tagger(weights: Weights, path: Path) -> None:
    """Write weights, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **weights)  # type: ignore[arg-type]
    part.replace(path)


def _fit_nets(features: NDArray[np.float32], labels: NDArray[np.bool_]) -> Weights:
    """Several nets side by side in one layer; the output is the mean of theirs."""
    # Nets this small gain nothing from a second thread, and lose tenfold where others want its core (measured).
    with threadpool_limits(1):
        nets = [_fit_net(features, labels, seed) for seed in range(STARTS)]
    return {
        "hidden": np.concatenate([net[0] for net in nets]).astype(np.float16),
        "hidden_bias": np.concatenate([net[1] for net in nets]),
        "output": np.concatenate([net[2] for net in nets], axis=1) / STARTS,
        "output_bias": np.mean([net[3] for net in nets], axis=0),
    }


def _fit_net(features: NDArray[np.float32], labels: NDArray[np.bool_], seed: int) -> list[NDArray[np.float32]]:
    import torch
    from torch import nn

    torch.manual_seed(seed)
    inputs, targets = torch.tensor(features), torch.tensor(labels.astype(np.float32))
    net = nn.Sequential(
        nn.Dropout(0.1),
        nn.Linear(features.shape[1], UNITS),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(UNITS, labels.shape[1]),
    )
    steps = EPOCHS * -(-len(features) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(features)), BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(net(inputs[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return [parameter.detach().numpy() for parameter in net.parameters()]


def _logits(net: Weights, features: NDArray[np.float32]) -> NDArray[np.float64]:
    hidden = np.maximum(features @ net["hidden"].astype(np.float32).T + net["hidden_bias"], 0)
    result: NDArray[np.float64] = (hidden @ net["output"].T + net["output_bias"]).astype(np.float64)
    return result


def _filing_weights(
    logits: NDArray[np.float64], filed: NDArray[np.float32], labels: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What IPC and industry add to the log odds, the same for all programmes: (len(FILINGS),)."""
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros(len(FILINGS))
    for place in range(len(FILINGS)):
        known = filed[:, :, place] != 0
        if known.any() and len(np.unique(labels[known])) == 2:
            pairs = np.stack([logits[known], filed[:, :, place][known]], axis=1)
            coefficients = LogisticRegression().fit(pairs, labels[known]).coef_[0]
            # In units of the net's own log odds; a filing never speaks against its own programme.
            weights[place] = max(0.0, coefficients[1] / max(coefficients[0], 1e-3))
    return weights


def _threshold(chances: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    if labels.sum() < LEAST_TEXTS:
        return COMMON_THRESHOLD
    return float(max(THRESHOLDS, key=lambda at: (_f1(chances >= at, labels), -abs(at - COMMON_THRESHOLD))))


def _figures(tagged: NDArray[np.bool_], labels: NDArray[np.bool_]) -> dict[str, object]:
    by_programme = [round(_f1(tagged[:, i], labels[:, i]), 4) for i in range(len(PROGRAMME_CODES))]
    return {
        "folds": FOLDS,
        "micro_f1": round(_f1(tagged, labels), 4),
        "f1": dict(zip(PROGRAMME_CODES, by_programme, strict=True)),
    }


def _f1(tagged: NDArray[np.bool_], labels: NDArray[np.bool_]) -> float:
    return float(2 * (tagged & labels).sum() / max(1, tagged.sum() + labels.sum()))
