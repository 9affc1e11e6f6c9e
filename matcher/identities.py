"""What makes two records surely one: a patent's number, a source's id, the same text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from matcher.likeness import BODY_LEAST, body_key, owner_key, title_key
from matcher.patent_numbers import application, publication
from matcher.quantities import quantities
from matcher.records import derived_source_id
from matcher.text import normalize

Basis = Literal["application", "publication", "source", "text", "content"]
# The first letter of an identity, the surest first.
SCHEMES: Mapping[str, Basis] = {"a": "application", "p": "publication", "s": "source", "t": "text"}
REASONS: Mapping[Basis, str] = {
    "application": "申请号相同，是同一件专利申请。",
    "publication": "公开号除种类代码外相同，是同一件申请的先后公布。",
    "source": "来源编号、标题和单位都相同。",
    "text": "标题、正文和单位都相同。",
}


def identities(
    kind: str, source_id: str, title: str, abstract: str, institution: str | None, details: Mapping[str, Any]
) -> frozenset[str]:
    """The identities of a record; two records that share one are one thing.

    A source's id counts together with title and owner: 1, 2, 3 are the ids of many tables.

    :param details: the fields that only its kind has.
    """
    found: set[str] = set()
    if kind == "patent":
        number = application(details.get("application_number"))
        published = publication(details.get("publication_number"))
        found.update(f"{scheme}:{text}" for scheme, text in (("a", number), ("p", published)) if text)
    name, owner = title_key(title), owner_key(institution or "")
    if source_id != derived_source_id(title, institution):
        found.add(f"s:{_digest(kind, source_id, name, owner)}")
    body = body_key(abstract)
    if len(body) >= BODY_LEAST:
        # The key of a body has no points, and 1.5 is not 15.
        figures = sorted(quantities(normalize(abstract)))
        found.add(f"t:{_digest(kind, name, owner, body, repr(figures))}")
    return frozenset(found)


def shared_basis(first: Iterable[str], second: Iterable[str]) -> Basis | None:
    """By what two records' identities are one, the surest first; None if by nothing."""
    common = {identity[0] for identity in set(first) & set(second)}
    return next((basis for scheme, basis in SCHEMES.items() if scheme in common), None)


def conflicting(first: Iterable[str], second: Iterable[str]) -> bool:
    """Whether two patents' identities are those of different applications, see `likeness.numbers_conflict`."""
    first, second = set(first), set(second)
    for scheme in ("a", "p"):
        own, other = ({one for one in side if one[0] == scheme} for side in (first, second))
        if own and other:
            return not own & other
    return False


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()
