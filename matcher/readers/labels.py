"""The labels of a form: which text is one, and what stands behind it in the same cell or line."""

from __future__ import annotations

import re

from matcher.readers.aliases import FIELDS, normalise
from matcher.readers.base import clean_cell
from matcher.readers.header import clean_name

#: A longer text is a value, however it begins.
MAX_LABEL_CHARS = 24
#: A label that nobody knows is told from a value by its length; 注册资金, 企业统一社会信用代码.
MAX_UNKNOWN_CHARS = 12
#: Shorter aliases stand inside of too many other words to be looked for there.
MIN_CONTAINED_CHARS = 4

# 一、 （二） 3. 4） ①
_NUMBERING = re.compile(r"^(?:[（(]?(?:[一二三四五六七八九十]{1,3}|\d{1,2})[)）、.．]\s*|[①-⑳]\s*)+(?=\D)")
# Hints to the one who fills in: （限500字以内）, (盖章), （可多选）, （万元）, 【必填】.
_HINT = re.compile(r"[(（【\[][^()（）【】\[\]]*[)）】\]]$")
_BEHIND = re.compile(r"\s*([^:：\n]{1,40})[:：]\s*(.*)", re.DOTALL)
# Several on a line: 联系人：张三    电话：0827-…
_NEXT_LABEL = re.compile(r"(?:\s{2,}|\t|　+)(?=[^\s:：]{2,12}[:：])")
_SENTENCE = re.compile(r"[，。；！？,;!?%]|\d{3,}|…")
#: What tells parts of a body that are asked for one by one.
BODY = re.compile(r"描述|内容|指标|难题|难点|问题|背景|现状|目标|要求|说明|简介|概述|参数|需求点|创新点|优势|应用")
# What is written beside a box: ticked or not.
_TICKED = "☑☒✔✓√■▣◼🗹⊠●"
_EMPTY = "□☐◻▢○〇"
_BOX = re.compile(f"[{_TICKED}{_EMPTY}]")


def clean_label(text: str) -> str:
    """Bring a label to a column's name: no white space, no numbering, no colon, no hint in brackets."""
    name = clean_name(_NUMBERING.sub("", clean_cell(text).lstrip("*＊")))
    shorter = clean_name(_HINT.sub("", name))
    return name if is_exact(name) or not shorter else shorter


def is_exact(name: str) -> bool:
    """Say whether a clean label is a name that some field of some kind has."""
    return normalise(name) in _KNOWN


def is_known(text: str) -> bool:
    """Say whether a text is a label that some field answers to, be it as a part of the label."""
    if len(text) > 3 * MAX_LABEL_CHARS:
        return False
    name = clean_label(text)
    if not name or len(name) > MAX_LABEL_CHARS or _SENTENCE.search(name):
        return False
    wanted = normalise(name)
    return wanted in _KNOWN or _contains_known(wanted)


def _contains_known(name: str) -> bool:
    places = range(len(name) - MIN_CONTAINED_CHARS + 1)
    return any(name[at:end] in _LONG for at in places for end in range(at + MIN_CONTAINED_CHARS, len(name) + 1))


def looks_like(text: str) -> bool:
    """Say whether a text could be a label: known, or as short and plain as labels are."""
    if is_known(text):
        return True
    name = clean_label(text) if len(text) <= 3 * MAX_LABEL_CHARS else ""
    return 1 < len(name) <= MAX_UNKNOWN_CHARS and not _SENTENCE.search(name) and not _BOX.search(name)


def divide(text: str) -> tuple[str, str] | None:
    """Divide `标签：值`, or a known label with its value on the next line; None for any other text."""
    if found := _BEHIND.fullmatch(text):
        label, value = found[1], clean_cell(found[2])
        if is_known(label) or (value and looks_like(label)):
            return clean_label(label), ticked(value)
    first, _, rest = text.partition("\n")
    if rest.strip() and is_known(first):
        return clean_label(first), ticked(clean_cell(rest))
    return None


def pieces(line: str) -> list[str]:
    """Cut a line where another label begins behind a gap."""
    return _NEXT_LABEL.split(line)


def ticked(value: str) -> str:
    """Of boxes to tick, give what is ticked; any other value as it is."""
    boxes = list(_BOX.finditer(value))
    if not boxes or not any(box[0] in _EMPTY + "☑☒■√✔✓🗹" for box in boxes):
        return value
    if not any(box[0] in _EMPTY for box in boxes) and len(boxes) == 1 and boxes[0].start() > 0:
        return value
    chosen = []
    for box, following in zip(boxes, [*boxes[1:], None], strict=True):
        if box[0] in _TICKED:
            chosen.append(value[box.end() : following.start() if following else None].strip(" \n\t　；;、,，"))
    return "；".join(filter(None, chosen))


_KNOWN = frozenset(normalise(name) for fields in FIELDS.values() for names in fields.values() for name in names)
_LONG = frozenset(name for name in _KNOWN if len(name) >= MIN_CONTAINED_CHARS and not name.isascii())
