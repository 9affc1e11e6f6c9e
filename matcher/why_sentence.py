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
# A mark that makes sense in a list only.
_ITEM = re.compile(r"^(?:[①-⑳⑴-⒇]|[(（]?[0-9]{1,2}[)）、])\s*")
_SPACE = re.compile(r"\s+")


def why_sentence(terms: Sequence[str], passage: str) -> str:
    """One sentence: 共同涉及“热泵”“烘干”；原文：“……”。

    :param terms: that both sides use, the most telling first; figures alone tell nothing. Those that the passage
        holds come before the others, as it writes them.
    :param passage: a sentence of the record found; empty where there is none worth quoting.
    """
    quoted = _shortened(_ITEM.sub("", _inside(passage)).rstrip(_ENDINGS))
    words = [_inside(term) for term in terms if any(character.isalpha() for character in term)]
    spelt = {word: _as_written(word, quoted) for word in dict.fromkeys(words) if word}
    chosen = sorted(spelt, key=lambda word: spelt[word] is None)[:NAMED_TERMS]
    named = "".join(f"“{spelt[word] or word}”" for word in chosen)
    if named and quoted:
        return f"共同涉及{named}；原文：“{quoted}”。"
    if named:
        return f"共同涉及{named}。"
    return f"全文内容相近；原文：“{quoted}”。" if quoted else "全文内容相近。"


def _inside(text: str) -> str:
    """A text in one line, with quotation marks as they are within quotation marks."""
    return _SPACE.sub(" ", clean(text)).strip().replace("“", "‘").replace("”", "’").replace('"', "’")


def _as_written(word: str, passage: str) -> str | None:
    """A word as a passage writes it; None where it does not."""
    found = re.search(re.escape(word), passage, re.IGNORECASE)
    return found[0] if found else None


def _shortened(text: str) -> str:
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 1].rstrip(_ENDINGS)}…"
