"""Where a sentence of Chinese technical text ends and the next item of a list begins."""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import Final

_OPENERS: Final = "([{（［【〔《〈「『“‘"
_CLOSERS: Final = ")]}）］】〕》〉」』”’"
_CLOSER_OF: Final = dict(zip(_OPENERS, _CLOSERS, strict=True))
_BRACKETS: Final = re.compile(f"[{re.escape(_OPENERS + _CLOSERS)}\n]")
# A pair of brackets or quotes up to this many characters is kept in one sentence; a longer one holds a
# paragraph, and an opener without its closer must not swallow the text.
_LONGEST_ASIDE: Final = 120
_CLOSING: Final = f"[{re.escape(_CLOSERS)}\"']*"
_END: Final = re.compile(
    rf"[。！？；｡]+{_CLOSING}|\n+"
    rf"|;{_CLOSING}|[!?]+(?![A-Za-z0-9=&/%]){_CLOSING}"
    # A full stop ends a Chinese sentence when no code or decimal goes on, an English one before a capital.
    r"|(?<=[\u4e00-\u9fff)）\]”%℃])[.．](?![0-9A-Za-z.．])"
    r"|(?<=[A-Za-z]{2})\.(?=\s*[\u4e00-\u9fff]|\s+[A-Z])"
)
_ABBREVIATION: Final = re.compile(
    r"\b(?:etc|al|[Ff]igs?|[Nn]os?|vs|cf|ca|[Vv]ols?|pp|[Dd]r|[Ll]td|[Cc]o|[Ii]nc|sp|spp|var)\.$"
)

_HAN_NUMBER: Final = {word: number for number, word in enumerate((*"一二三四五六七八九十", "十一", "十二"), 1)}
_HAN_DIGITS: Final = "十[一二]|[一二三四五六七八九十]"
_ITEM_STYLES: Final = (
    re.compile(r"[(（]([0-9]{1,2})[)）]"),
    re.compile(r"(?<![0-9.A-Za-z(（])([0-9]{1,2})(?:、|[.．)）](?=\s?[^0-9\s.．]))"),
    re.compile("([①-⑳])"),
    re.compile(f"[(（]({_HAN_DIGITS})[)）]"),
    re.compile(rf"(?<![\u4e00-\u9fff])({_HAN_DIGITS})、"),
    re.compile(f"第({_HAN_DIGITS})[，,、：:]"),
)
# The mark of every list's second item, without which there is no list.
_SECOND_ITEM: Final = re.compile("[2二][)）、.．，,：:]|②")
# Between two items of a list stands at least a word: 1、2、3号样品 is no list.
_SHORTEST_ITEM: Final = 6
_WORD: Final = re.compile(r"[^\W_]")


def sentences(text: str) -> list[str]:
    """Split `text`, raw or normalised, after 。！？； and line ends and before the items of a numbered list.

    Decimals, abbreviations and asides in brackets or quotes stay whole. Pieces without a letter or
    digit are left out; nothing else is lost or changed.
    """
    inside = _asides(text)
    # Looking for six kinds of lists takes longer than all else, and most texts have none.
    items = _list_items(text) if _SECOND_ITEM.search(text) else []
    cuts = {match.start() for match in items if not inside[match.start()]}
    for match in _END.finditer(text):
        last = match.end() - 1
        if match[0][0] == "." and _ABBREVIATION.search(text, max(0, last - 6), match.end()):
            continue
        if not inside[match.start()]:
            cuts.add(match.end())
    bounds = [0, *sorted(cuts), len(text)]
    pieces = (text[start:end].strip() for start, end in itertools.pairwise(bounds))
    return [piece for piece in pieces if _WORD.search(piece)]


def _asides(text: str) -> bytearray:
    """Mark the characters that stand inside a short pair of brackets or quotes, its opener not included."""
    inside = bytearray(len(text) + 1)
    open_at: list[int] = []
    for match in _BRACKETS.finditer(text):
        mark, at = match[0], match.start()
        if mark == "\n":
            open_at.clear()
        elif mark in _CLOSER_OF:
            open_at.append(at)
        elif open_at and _CLOSER_OF[text[open_at[-1]]] == mark:
            start = open_at.pop()
            if at - start <= _LONGEST_ASIDE:
                inside[start + 1 : at] = b"\x01" * (at - start - 1)
    return inside


def _list_items(text: str) -> list[re.Match[str]]:
    """Find the numbers 1, 2, 3 … of numbered lists; a number without its neighbours is none."""
    found: list[re.Match[str]] = []
    for style in _ITEM_STYLES:
        run: list[re.Match[str]] = []
        for match in style.finditer(text):
            number = _item_number(match[1])
            if run and number == len(run) + 1 and match.start() - run[-1].end() >= _SHORTEST_ITEM:
                run.append(match)
            elif number == 1:
                found += run if len(run) > 1 else []
                run = [match]
        found += run if len(run) > 1 else []
    return found


def _item_number(mark: str) -> int:
    if mark in _HAN_NUMBER:
        return _HAN_NUMBER[mark]
    return int(unicodedata.numeric(mark)) if len(mark) == 1 else int(mark)
