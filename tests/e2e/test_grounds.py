"""What an explanation shows is what the score rests on: with the embedded model, the shipped ranker, the sample."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from matcher import sample
from matcher.engine import Matcher
from matcher.explain import Explainer, Why
from matcher.judgements import JudgedNeed, Offer, ask_tagged, build_pool, read_judgements
from matcher.records import PROGRAMME_CODES
from matcher.settings import Settings
from matcher.text import normalize

# Of each need the offers of these levels are the candidates.
CANDIDATE_LEVEL = 2
# A single term may be one that other words of its sentence say as well (绿茶饮料 without 饮料).
TERMS_SHARE = 0.8
# Of the score, without the passage: a third of what was measured with eight needs (0.23).
MEAN_FALL = 0.07


@dataclass(frozen=True)
class Grounds:
    """The best match of one need, and what its score becomes without what was shown.

    :param of_terms: for each shown term, how much the score rises without it.
    """

    need: str
    why: Why
    of_all_terms: float
    of_passage: float
    of_terms: dict[str, float]


@pytest.fixture(scope="module")
def grounds(
    model_home: Path, sample_vectors: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Grounds]]:
    home = tmp_path_factory.mktemp("grounds-home")
    shutil.copy(sample_vectors, home)
    (home / "model").symlink_to(model_home / "model")
    matcher = Matcher(Settings(home=home, threads=1))
    yield _grounds(matcher)
    matcher.close()


def _grounds(matcher: Matcher) -> list[Grounds]:
    tables = [sample.path(name) for name in ("achievements.csv", "patents.csv")]
    judged = read_judgements(sample.path("needs.csv"), sample.path("judgements.csv"), tables, "test")
    # The first unseen need of each programme, whatever it is: N-AGR-01, N-FOO-03, …
    needs: dict[str, JudgedNeed] = {}
    for need in judged.needs:
        needs.setdefault(need.ids[0][:5], need)
    chosen = {
        i: judged.offers[i] for need in needs.values() for i, level in need.levels.items() if level >= CANDIDATE_LEVEL
    }
    offers = list(chosen.values())
    parts = (matcher.embedder, matcher.tokenizer, matcher.tagger)
    pool = build_pool(offers, *parts)
    found = []
    for need in needs.values():
        question = ask_tagged(*parts, need.title, need.text)
        best = matcher.ranker.score(question, pool.documents, pool.statistics)[0]
        offer = offers[best.key]
        why = Explainer(question, pool.statistics).explain(offer.title, offer.abstract, best.contributions)
        shown = [why.terms, [why.passage.removesuffix("…")], *([term] for term in why.terms)]
        changed = build_pool([without(offer, gone) for gone in shown], *parts).documents
        scores = matcher.ranker.compare(question, changed, pool.statistics).probabilities.mean(axis=1)
        rises = (scores - best.score).tolist()
        found.append(Grounds(need.ids[0], why, rises[0], rises[1], dict(zip(why.terms, rises[2:], strict=True))))
    return found


def without(offer: Offer, gone: list[str]) -> Offer:
    """An offer whose title and abstract do not have these strings; terms are shown in small letters."""
    longest_first = sorted(map(normalize, gone), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    title, abstract = normalize(offer.title), normalize(offer.abstract)
    changed = Offer(pattern.sub("", title), pattern.sub("", abstract))
    assert changed != Offer(title, abstract)
    return changed


def test_there_is_a_best_match_of_each_programme_with_terms_and_a_passage(grounds: list[Grounds]) -> None:
    # The needs of no programme are the eighth.
    assert len(grounds) == len(PROGRAMME_CODES) + 1
    assert all(one.why.terms and one.why.passage for one in grounds)


def test_every_best_match_scores_less_without_the_terms_shown(grounds: list[Grounds]) -> None:
    assert {one.need: one.of_all_terms for one in grounds if one.of_all_terms >= 0} == {}


def test_all_best_matches_but_one_score_less_without_the_passage_shown(grounds: list[Grounds]) -> None:
    # A passage is chosen for its words; what else it says may draw the vector of the whole away.
    assert len([one for one in grounds if one.of_passage >= 0]) <= 1
    assert np.mean([one.of_passage for one in grounds]) < -MEAN_FALL


def test_four_in_five_of_the_terms_shown_count_by_themselves(grounds: list[Grounds]) -> None:
    rises = [rise for one in grounds for rise in one.of_terms.values()]
    assert np.mean([rise < 0 for rise in rises]) >= TERMS_SHARE
    # Where one does not, the rest of its sentence says the same, and next to nothing changes.
    assert np.mean(rises) < 0
