"""Cross-validation by need: how good a ranker learned from some judgements is on needs it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold

from matcher.errors import UntrainableJudgements
from matcher.evaluate import Evaluation, Ranking, figures, rankings
from matcher.judgements import Judgements
from matcher.rank import Ranker
from matcher.text import Tokenizer
from matcher.training import Material, fit_ranker

FOLDS = 5


@dataclass(frozen=True)
class Validation:
    """Figures of the needs, each ranked by weights that were fitted without it.

    :param results: as `matcher.evaluate.evaluate` returns them.
    """

    results: Mapping[str, Evaluation]

    def card(self) -> dict[str, object]:
        """What a ranker's data card tells of it."""
        ours = self.results["ranker"]
        return {
            "folds": FOLDS,
            "needs": ours.figures["needs"],
            "figures": dict(ours.figures),
            "interval": ours.interval,
            "called": {str(level): list(own) for level, own in ours.called.items()},
            "peers": {name: own.figures["ndcg10"] for name, own in self.results.items() if name != "ranker"},
        }


def cross_validate(material: Material, judgements: Judgements, tokenizer: Tokenizer) -> Validation | None:
    """Fit on four fifths of the needs and rank the others, five times.

    Needs that share a text are one need already, so no need is on both sides. Memories are left out: they
    say nothing of a need that was not judged.

    :returns: None for fewer needs than folds, or where four fifths of them give one level only.
    """
    if len(material.needs) < FOLDS:
        return None
    found: dict[int, dict[str, Ranking]] = {}
    for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(np.arange(len(material.needs))):
        try:
            ranker = Ranker(fit_ranker(material.some(train), "fold", "fold"))
        except UntrainableJudgements:
            return None
        for i, own in zip(test.tolist(), _ranked(material.some(test), judgements, ranker, tokenizer), strict=True):
            found[i] = own
    order = [found[i] for i in range(len(material.needs))]
    return Validation({name: figures(material.needs, [own[name] for own in order]) for name in order[0]})


def _ranked(
    material: Material, judgements: Judgements, ranker: Ranker, tokenizer: Tokenizer
) -> list[dict[str, Ranking]]:
    return rankings(
        Judgements(list(material.needs), judgements.offers), material.questions, material.pool, ranker, tokenizer
    )
