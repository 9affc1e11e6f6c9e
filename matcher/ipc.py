"""Symbols of the International Patent Classification in one written form, and which lies under which."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple

# Of a list; the longest of real ones has some hundred symbols.
_LONGEST: Final = 20_000
_LONGEST_SYMBOL: Final = 60
# Section, class, subclass, main group and subgroup, as far as they are given; then, not kept, the version
# (2018.01), the value I or N and the level C, A or S.
_SYMBOL: Final = re.compile(
    r"(?<![A-Z0-9])(?P<section>[A-H])\s?(?P<class>\d{2})(?:\s?(?P<subclass>[A-Z])"
    r"(?:\s{0,3}(?P<group>\d{1,4})\s?/\s?(?P<subgroup>\d{2,6})|\s?(?P<padded>\d{10})|(?P<whole_group>\d{1,4})(?![\d/]))?)?"
    r"(?:\s?\(\d{4}\.\d{2}\))?(?:\s?[INCAS]{1,2})?(?![A-Z0-9])"
)


class Symbol(NamedTuple):
    """One symbol in its parts; what is not given is empty.

    :param subgroup: ``00`` stands for the whole main group; a third and further digit divides the second.
    """

    section: str
    class_: str
    subclass: str = ""
    group: str = ""
    subgroup: str = ""

    def __str__(self) -> str:
        whole = f"{self.section}{self.class_}{self.subclass}{self.group}"
        return f"{whole}/{self.subgroup}" if self.subgroup else whole


def parse_ipc(text: str) -> tuple[str, ...]:
    """The symbols of a list such as ``A01G 18/00(2018.01)I; a23l31/00``: ``A01G18/00``, ``A23L31/00``.

    Classes, subclasses and main groups alone are symbols too (``A01``, ``H02J3``). What is no IPC
    symbol, such as a design's Locarno class or a CPC symbol of section Y, is left out.
    """
    text = unicodedata.normalize("NFKC", text[:_LONGEST]).upper()
    return tuple(dict.fromkeys(str(_symbol(found)) for found in _SYMBOL.finditer(text)))


def falls_under(symbol: str, prefixes: Iterable[str]) -> bool:
    """Whether a symbol lies under one of these, or is one of them.

    By the parts, not by the letters: ``H02J30/00`` does not lie under the main group ``H02J3``, but
    ``G01N33/531`` under ``G01N33/53``, since the Guide to the IPC has further digits divide the second.
    """
    own = _parts(symbol[:_LONGEST_SYMBOL])
    return own is not None and any(_contains(_parts(prefix[:_LONGEST_SYMBOL]), own) for prefix in prefixes)


def _contains(upper: Symbol | None, lower: Symbol) -> bool:
    if upper is None:
        return False
    if any(part and part != other for part, other in zip(upper[:4], lower[:4], strict=True)):
        return False
    return upper.subgroup in ("", "00") or lower.subgroup.startswith(upper.subgroup)


@functools.lru_cache(maxsize=4096)
def _parts(text: str) -> Symbol | None:
    found = _SYMBOL.fullmatch(unicodedata.normalize("NFKC", text).upper().strip())
    return _symbol(found) if found else None


def _symbol(found: re.Match[str]) -> Symbol:
    part = found.groupdict("")
    group, subgroup = part["group"] or part["whole_group"], part["subgroup"]
    if padded := part["padded"]:
        # The form of WIPO ST.8: A01G0018000000.
        group, subgroup = padded[:4], padded[4:6] + padded[6:].rstrip("0")
    group = group.lstrip("0")
    return Symbol(part["section"], part["class"], part["subclass"], group, subgroup if group else "")
