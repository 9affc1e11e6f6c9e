"""Why a match is one, in one sentence that can be said on the phone: what both name, and what the record says."""

from __future__ import annotations

import re
from collections.abc import Sequence

from matcher.normal import clean

# More words than these nobody takes in at a glance.
NAMED_TERMS = 4
# About two lines on a phone.
QUOTED = 80
# What ends a sentence stands outside of the quotation marks here, once.
_ENDINGS = "。；;，,、：: "
_SPACE = re.compile(r"\s+")


def why_sentence(terms: Sequence[str], passage: str) -> str:
    """One sentence: 共同涉及“热泵”“烘干”；原文：“……”。

    :param terms: that both sides use, the most telling first.
    :param passage: a sentence of the record found; empty where there is none worth quoting.
    """
    named = "".join(f"“{_inside(term)}”" for term in terms[:NAMED_TERMS] if _plain(term))
    quoted = _shortened(_plain(passage).rstrip(_ENDINGS), QUOTED)
    if named and quoted:
        return f"共同涉及{named}；原文：“{_inside(quoted)}”。"
    if named:
        return f"共同涉及{named}。"
    if quoted:
        return f"全文内容相近；原文：“{_inside(quoted)}”。"
    return "全文内容相近。"


def _plain(text: str) -> str:
    return _SPACE.sub(" ", clean(text)).strip()


def _inside(text: str) -> str:
    """Quotation marks within quotation marks."""
    return _plain(text).replace("“", "‘").replace("”", "’").replace('"', "’")


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip(_ENDINGS)}…"
