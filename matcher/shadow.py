"""A text as patterns see it: one written form of digits, letters and signs, with the way back to the original."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

# What a reader cannot see, and the frame of the digits on telephones' keys.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\ufe00-\ufe0f\ufeff]+"
)
_VALUES: Final = {ord(digit): str(value) for value, digit in enumerate("零一二三四五六七八九")} | {
    ord("〇"): "0",
    ord("幺"): "1",
}
HAN_DIGITS: Final = "〇零一二三四五六七八九幺"
# A telephone number written in Han digits, or partly: 张三13800138000 is none, and its 三 a name.
_HAN_NUMBER: Final = re.compile(
    rf"[{HAN_DIGITS}](?:[ \-]?[{HAN_DIGITS}]){{6,}}"
    rf"|(?<![0-9])[1一幺][3-9三四五六七八九][0-9{HAN_DIGITS}]{{9}}(?![0-9{HAN_DIGITS}])"
)
_SAME: Final = {"：": ":", "∶": ":", "﹕": ":", "︰": ":", "，": ",", "；": ";", "〔": "(", "〕": ")"}
# Not the ideographs and syllables between them: to look through those takes a third of a second.
_WHERE_FORMS_ARE: Final = (
    range(0x3400),
    range(0xA000, 0xAC00),
    range(0xFB00, 0x13000),
    range(0x16000, 0x17000),
    range(0x1D000, 0x20000),
)
_DASHES: Final = "‐‑‒–—―−﹣－─━"
_MIDDLE_DOTS: Final = "•・‧∙⋅･"


class Span(NamedTuple):
    """A piece of text, up to the character before `stop`, and what it is."""

    start: int
    stop: int
    kind: str


@dataclass(frozen=True, slots=True)
class Shadow:
    """The form that patterns are written for: lower-case, half-width, nothing invisible.

    :ivar places: of each character in the original, and one past the last; None where they are the same.
    """

    text: str
    places: Sequence[int] | None

    @classmethod
    def of(cls, text: str) -> Shadow:
        """Make it; character by character, so that places stay."""
        places: list[int] | None = None
        if _UNSEEN.search(text):
            end = len(text)
            places = [place for place, one in enumerate(text) if not _UNSEEN.match(one)]
            text = "".join([text[place] for place in places])
            places.append(end)
        form = text.translate(_table())
        return cls(_HAN_NUMBER.sub(lambda number: number[0].translate(_VALUES), form), places)

    def place(self, start: int, stop: int) -> tuple[int, int]:
        """Where a piece is in the original; what is invisible in it and after it belongs to it."""
        if self.places is None:
            return start, stop
        return self.places[start], self.places[stop]


@functools.cache
def _table() -> Mapping[int, str]:
    """Characters to the one that stands for them: digits of all scripts, styled and full-width letters, signs.

    Circled numbers stay: ① before a telephone number counts it.
    """
    table: dict[int, str] = {}
    for code in itertools.chain(*_WHERE_FORMS_ARE):
        one = chr(code)
        category = unicodedata.category(one)
        if category == "Nd":
            form = str(unicodedata.decimal(one))
        elif category == "Zs":
            form = " "
        elif category[0] in "LPS" and (0xFE50 <= code < 0xFFEF or 0x1D400 <= code < 0x1D800 or code < 0x80):
            form = unicodedata.normalize("NFKC", one).lower()
        else:
            continue
        if len(form) == 1 and form != one:
            table[code] = form
    table |= {ord(old): new for old, new in _SAME.items()}
    return table | dict.fromkeys(map(ord, _DASHES), "-") | dict.fromkeys(map(ord, _MIDDLE_DOTS), "·")
