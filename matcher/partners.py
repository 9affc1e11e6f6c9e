"""Matches to partner institutions, each with its evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matcher.names import institution_names
from matcher.rank import LEVEL_NAMES
from matcher.records import Record
from matcher.rows import StoredRecord
from matcher.values import name_key

# What one offer of a level counts, before its score and its age.
LEVEL_WEIGHT = {4: 1.0, 3: 0.5, 2: 0.12}
# Each further offer of an institution, the strongest first, counts this share of what the one before it
# would. All together never count twice the strongest, so no pile of weak ones outweighs a strong one.
# Chosen for that: on the sample corpus' split `train` 0, 0.25, 0.5 and 1 have the same recall@5.
NEXT_OFFER = 0.5
# An offer loses this share of its weight a year, down to a floor: technology ages, skills stay.
YEARLY_LOSS = 0.06
OLDEST_WEIGHT = 0.5
# An offer without a date counts as one of about five years ago.
UNDATED_WEIGHT = 0.7


@dataclass(frozen=True)
class Partner:
    """An institution to talk to.

    :param score: 0 to 1.
    :param evidence: its matched offers, strongest first.
    :param own: its own record, where there is one that everybody may see.
    """

    id: str
    name: str
    score: float
    why: str
    evidence: tuple[StoredRecord, ...]
    own: Record | None = None


def suggest(
    matches: Sequence[tuple[StoredRecord, int, float]],
    asker: str | None,
    question: str,
    year: int,
    limit: int,
) -> list[Partner]:
    """Rank the institutions behind matched offers by how strong, how recent and how many these are.

    A weak match is enough to be named, at the end: on the sample corpus' split `train` a fifth of the right
    institutions (bench/partners.py) have nothing stronger.

    :param matches: (record, level, score), all visible to the caller.
    :param asker: the enterprise that asks; it is never suggested to itself, nor is one that the question names.
    :param question: the question's text.
    :param year: the current year.
    """
    own, asked = _keys(asker or ""), name_key(question)
    groups: dict[str, list[tuple[StoredRecord, int, float]]] = {}
    excluded: set[str] = set()
    for stored, level, score in matches:
        name = stored.record.institution
        if stored.institution_id and name and level in LEVEL_WEIGHT:
            # Under one of its names is enough: an institution may have several.
            if (own and not own.isdisjoint(_keys(name))) or name_key(name) in asked:
                excluded.add(stored.institution_id)
            groups.setdefault(stored.institution_id, []).append((stored, level, score))
    partners = [_partner(id_, offers, year) for id_, offers in groups.items() if id_ not in excluded]
    return sorted(partners, key=lambda partner: (-partner.score, partner.id))[:limit]


def _keys(name: str) -> set[str]:
    names = institution_names(name)
    return {name_key(each) for each in (name, names.name, *names.others)} - {""}


def _partner(id_: str, offers: list[tuple[StoredRecord, int, float]], year: int) -> Partner:
    offers = sorted(offers, key=lambda offer: (-offer[1], -offer[2], offer[0].key))
    weights = [LEVEL_WEIGHT[level] * score * _recency(stored.record.date, year) for stored, level, score in offers]
    weight = sum(own * NEXT_OFFER**i for i, own in enumerate(sorted(weights, reverse=True)))
    best, level, _ = offers[0]
    years = [int(stored.record.date[:4]) for stored, _, _ in offers if stored.record.date]
    why = f"有 {len(offers)} 项相关成果或专利，其中《{best.record.title}》为{LEVEL_NAMES[level]}"
    why += f"，最近一项为 {max(years)} 年。" if years else "。"
    name = best.record.institution or ""
    return Partner(id_, name, round(1 - math.exp(-weight), 4), why, tuple(stored for stored, _, _ in offers))


def _recency(date: str | None, year: int) -> float:
    if not date:
        return UNDATED_WEIGHT
    return max(OLDEST_WEIGHT, 1 - YEARLY_LOSS * max(0, year - int(date[:4])))
