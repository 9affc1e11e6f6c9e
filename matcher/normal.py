"""The one written form of Chinese technical text that the engine works on."""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from matcher.units import unify_units

# What a reader cannot see: controls, zero-width marks, variation selectors, halves of surrogate pairs.
_INVISIBLE: Final = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
# What no database takes as text.
_NOT_STORABLE: Final = re.compile(r"[\x00\ud800-\udfff]+")
# NFKC would turn 10² into 102, ①25℃ into 125℃, ⒈5 into 1.5, 3½ into 31⁄2, 25ºC into 25oC and … into
# three full stops: these characters stay.
_NFKC_WOULD_HARM: Final = "¨ª¯²³´¸¹º¼½¾˘-˝⁰ⁱ⁴-ⁿ…℃℉™℠⅐-⅟↉①-⑳⒈-⒛⓪゛゜"
_NFKC_RUN: Final = re.compile(f"[^{_NFKC_WOULD_HARM}]+")
# NFKC writes ㎡ as m2, which could as well be a code.
_SQUARE_UNIT: Final = {
    "㎟": "mm²",
    "㎠": "cm²",
    "㎡": "m²",
    "㎢": "km²",
    "㎣": "mm³",
    "㎤": "cm³",
    "㎥": "m³",
    "㎦": "km³",
    "㏄": "mL",
}
_SQUARE_UNITS: Final = re.compile(f"[{''.join(_SQUARE_UNIT)}]")

_LINE_TAGS: Final = (
    "address|article|blockquote|body|br|caption|center|dd|div|dl|dt|figcaption|figure|footer|form|h[1-6]|head|header"
    "|hr|html|li|main|nav|ol|option|p|pre|section|select|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_INLINE_TAGS: Final = (
    "a|abbr|b|big|button|cite|code|del|em|font|i|img|input|ins|label|link|mark|math|meta|mfrac|mi|mn|mo|mrow|msub"
    "|msup|o:p|q|s|small|span|strike|strong|sub|sup|u|v:[a-z]{1,20}|w:[a-z]{1,20}|wbr|xml"
)
# A tag has a known name, and attributes with values: `若a<b and c>d` and `<5 mg` are no tags. All parts
# exclude `<`, so that hostile text costs linear time.
_ATTRIBUTES: Final = r"""(?:\s+[A-Za-z_:][\w:.-]{0,60}\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+))*\s*/?"""
_LINE_TAG: Final = re.compile(rf"</?(?:{_LINE_TAGS}){_ATTRIBUTES}>", re.IGNORECASE)
_INLINE_TAG: Final = re.compile(rf"</?(?:{_INLINE_TAGS}){_ATTRIBUTES}>", re.IGNORECASE)
_UNSEEN_ELEMENT: Final = re.compile(
    r"<!--[^<>]*>|<!doctype[^<>]*>|<(script|style)\b[^<>]*>[^<]*</\1\s*>", re.IGNORECASE
)
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Databases escape text twice, at worst three times; whatever is nested deeper was made to cost time.
_MARKUP_ROUNDS: Final = 8

_SPACES: Final = re.compile(r"\s{2,}|[^\S \n]")
_LINE_BREAKS: Final = frozenset("\n\r\x0b\x0c\x85\u2028\u2029")

# The unified ideographs: extension A, the basic block, planes 2 and 3.
_IDEOGRAPHS: Final = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x323AF))
_LAST_COMMON: Final = "\uffff"
# 二噁英 and 抽薹 are how simplified text writes them; OpenCC would have 二恶英 and 抽苔.
_SIMPLIFIED_TOO: Final = frozenset("噁薹")


def normalize(text: str) -> str:
    """Bring `text` into the one written form that everything else in the engine works on.

    Half-width, simplified characters, no markup, no invisible characters, single spaces (a run with a
    line break becomes one ``\\n``), one spelling a unit. Superscripts and circled numbers stay. The
    result does not change when normalised again.
    """
    text = _compatible(text)
    if "&" in text or "<" in text:
        text = _without_markup(text, _compatible)
    text = _SPACES.sub(_one_space, text).strip()
    if text.isascii():
        return unify_units(text)
    return unify_units(_simplified(text))


def clean(text: str) -> str:
    """Make `text` fit to be shown: no markup, no invisible characters, single spaces; else as it was written."""
    text = _visible(text)
    if "&" in text or "<" in text:
        text = _without_markup(text, _visible)
    return _SPACES.sub(_one_space, text).strip()


def storable(text: str) -> str:
    """Drop NUL and halves of surrogate pairs; all else stays as it was written."""
    return text if text.isprintable() else _NOT_STORABLE.sub("", text)


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return _INVISIBLE.sub("", text)


def _compatible(text: str) -> str:
    """Drop what is invisible and apply NFKC where it does not harm."""
    text = _visible(text)
    if unicodedata.is_normalized("NFKC", text):
        return text
    text = _SQUARE_UNITS.sub(lambda match: _SQUARE_UNIT[match[0]], text)
    return _NFKC_RUN.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)


def _without_markup(text: str, tidy: Callable[[str], str]) -> str:
    """Undo HTML escapes and remove tags until none is left; `tidy` is applied to what was escaped."""
    for _ in range(_MARKUP_ROUNDS):
        before = text
        text = tidy(_ENTITY.sub(lambda match: html.unescape(match[0]), text))
        text = _UNSEEN_ELEMENT.sub("", text)
        text = _INLINE_TAG.sub("", _LINE_TAG.sub("\n", text))
        if text == before:
            return text
    return text.replace("&", "").replace("<", "")


def _one_space(run: re.Match[str]) -> str:
    return " " if _LINE_BREAKS.isdisjoint(run[0]) else "\n"


def _simplified(text: str) -> str:
    """Write traditional characters as simplified ones.

    OpenCC is asked only where a traditional character stands: its phrase table spoils some simplified
    text (破坏土壤 becomes 破坯土壤). It is asked until it has no more to say, because a phrase may turn
    into another one (承乾宮, 承乾宫, 承干宫).
    """
    convert, traditional = _converter()
    while not traditional.isdisjoint(text):
        before, text = text, convert(text)
        if text == before:
            break
    return text


@functools.cache
def _converter() -> tuple[Callable[[str], str], frozenset[str]]:
    """Give the conversion, and the characters that it changes by themselves.

    Characters whose simplified form no common font, dictionary or model knows (鮈) stay, as do those that
    simplified technical text uses.
    """
    import opencc

    convert = opencc.OpenCC("t2s").convert
    every = [chr(code) for first, last in _IDEOGRAPHS for code in range(first, last + 1)]
    simple = dict(zip(every, convert("\n".join(every)).split("\n"), strict=True))
    rare = {old for old, new in simple.items() if old != new and new > _LAST_COMMON}
    kept = rare | _SIMPLIFIED_TOO
    runs = re.compile(f"[^{''.join(sorted(kept))}]+")
    return (
        lambda text: runs.sub(lambda run: convert(run[0]), text),
        frozenset(old for old, new in simple.items() if old != new) - kept,
    )
