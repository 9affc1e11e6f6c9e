"""Reads JSON: one object a line, an array of objects, or one object that holds a list of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from matcher.readers.aliases import is_known
from matcher.readers.base import (
    MAX_COLUMNS,
    BadRow,
    LazyRows,
    Parts,
    Row,
    Table,
    bad_row,
    clean_cell,
    unreadable,
)
from matcher.readers.encoding import Encoding, Line, detect, lines
from matcher.readers.header import clean_name

#: A larger JSON document that is not one object a line would fill the memory.
MAX_DOCUMENT_BYTES = 512 * 1024 * 1024
#: A document up to this size takes at most some 100 MB.
MAX_SMALL_BYTES = 8 * 1024 * 1024
#: The columns are gathered from this many rows: keys are optional in JSON, and a rare one comes late.
SAMPLE_ROWS = 10_000
#: Lists and objects inside of each other are followed so far; real records go two levels deep.
MAX_DEPTH = 6

_ZEROS = re.compile(r"\.0+\Z")
_ADVICE = "请改成每行一个 JSON 对象（JSONL），或一个由对象组成的数组，再导入"


def _float_text(digits: str) -> str:
    return _ZEROS.sub("", digits)


# Numbers stay the text they are, so that long ones keep every digit; NaN and Infinity are no value.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=_float_text, parse_constant=lambda _: None)
# What a JSON decoder raises on purpose, and on nesting that is too deep.
_JSON_ERRORS = (ValueError, RecursionError)


def read_parts(path: Path) -> Parts:
    """Give a JSON or JSONL file as its one part.

    :raises UnreadableFile: as `read_json` does.
    """
    yield read_json(path)


def is_large_document(path: Path) -> bool:
    """Say whether reading a file would hold one large JSON document in memory.

    :raises UnreadableFile: the operating system does not hand the file out.
    """
    if path.stat().st_size <= MAX_SMALL_BYTES:
        return False
    encoding = detect(path)
    return encoding is not None and not _is_jsonl(path, encoding)


def read_json(path: Path) -> Table:
    """Open a JSON or JSONL file as a table; in a document, `line` is where the object begins.

    :raises UnreadableFile: it is no text, no JSON, or holds no object with values.
    """
    encoding = detect(path)
    if encoding is None:
        raise unreadable(path, "内容不是文字，或者编码无法识别", _ADVICE)
    rows = LazyRows(lambda: _lines(path, encoding)) if _is_jsonl(path, encoding) else _document(path, encoding)
    columns: dict[str, None] = {}
    for item in islice(rows, SAMPLE_ROWS):
        if isinstance(item, Row):
            columns.update(dict.fromkeys(item.values))
        if len(columns) > MAX_COLUMNS:
            what = f"里面的对象有超过 {MAX_COLUMNS} 种不同的键，不像是记录"
            raise unreadable(path, what, _ADVICE)
    if not columns:
        raise unreadable(path, "里面没有读到任何 JSON 对象", _ADVICE)
    return Table(tuple(columns), rows)


def _is_jsonl(path: Path, encoding: Encoding) -> bool:
    filled = (line for line in lines(path, encoding) if line.text.strip())
    first = next(filled, None)
    if first is None:
        return True
    try:
        is_object = isinstance(_load(first), dict)
    except _JSON_ERRORS:
        is_object = False
    if is_object:
        return next(filled, None) is not None
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        return True
    # A bad first line of JSONL is followed by lines that are objects; a document's never all are.
    following = list(islice(filled, 20))
    return not _starts_document(first) or sum(map(_is_object, following)) > len(following) / 2


def _starts_document(line: Line) -> bool:
    return line.text.lstrip()[:1] in {"[", "{"}


def _is_object(line: Line) -> bool:
    try:
        return isinstance(_load(line), dict)
    except _JSON_ERRORS:
        return False


def _load(line: Line) -> Any:
    if line.fault is not None:
        raise ValueError(line.fault)
    return _DECODER.decode(line.text.strip())


def _lines(path: Path, encoding: Encoding) -> Iterator[Row | BadRow]:
    for line in lines(path, encoding):
        if not line.text.strip():
            continue
        try:
            value = _load(line)
        except _JSON_ERRORS:
            reason = line.fault or "这一行不是完整的 JSON，请检查括号、引号和逗号"
            yield bad_row(line.number, reason, line.text)
            continue
        yield from _row(line.number, value, line.text)


def _row(line: int, value: object, raw: str) -> Iterator[Row | BadRow]:
    if not isinstance(value, dict):
        yield bad_row(line, "这里不是 JSON 对象（应写成 {…}）", raw)
    elif values := _flat(value):
        yield Row(line, values)


def _document(path: Path, encoding: Encoding) -> LazyRows:
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise unreadable(path, "这个 JSON 文档超过 512 MB", "请改成每行一个 JSON 对象（JSONL）再导入")
    # Wrong bytes become U+FFFD: inside a string they harm one value, elsewhere the JSON is bad anyway.
    text = "\n".join(line.text for line in lines(path, encoding))
    start = _skip(text, 0)
    try:
        at = start if text[start : start + 1] == "[" else _list_of_objects(path, text, start)
    except _JSON_ERRORS as error:
        raise unreadable(path, "JSON 不完整，中途断开或有错", _ADVICE) from error
    if at is None:
        line = text.count("\n", 0, start) + 1
        return LazyRows(lambda: _row(line, _DECODER.raw_decode(text, start)[0], text[start:]))
    return LazyRows(lambda: _items(text, at))


def _items(text: str, at: int) -> Iterator[Row | BadRow]:
    """Read the items of the array that begins at a place; a fault ends it, what came before stands."""
    line, counted = 1, 0
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, end = _DECODER.raw_decode(text, at)
        except _JSON_ERRORS:
            yield bad_row(line, "从这里起不是完整的 JSON，后面的内容没有读入", text[at : at + 200])
            return
        yield from _row(line, value, text[at : at + 200])
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            yield bad_row(line, "这一项后面的 JSON 断开了，后面的内容没有读入", text[at : at + 200])
            return


def _list_of_objects(path: Path, text: str, start: int) -> int | None:
    """Find where the one list of objects in a wrapping object begins; None if the object is a record itself.

    :raises ValueError: the object is no valid JSON.
    """
    whole, end = _DECODER.raw_decode(text, start)
    if text[end:].strip():
        raise ValueError("text after the object")
    lists = [key for key, value in whole.items() if _holds_objects(value)]
    if not lists or any(is_known(clean_name(key)) for key in whole if key not in lists):
        return None
    if len(lists) > 1:
        names = "、".join(map(clean_name, lists))
        raise unreadable(path, f"里面有几组记录（{names}），分不清该读哪一组", "请只保留一组再导入")
    return _place_of(text, start, lists[0])


def _holds_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _place_of(text: str, start: int, wanted: str) -> int:
    """Give the place of a key's value in a valid object; of a repeated key the last, as JSON has it."""
    found = start
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        place = _skip(text, _skip(text, at) + 1)
        if key == wanted:
            found = place
        _, at = _DECODER.raw_decode(text, place)
        at = _skip(text, at)
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in {" ", "\n", "\t", "\r"}:
        at += 1
    return at


def _flat(item: dict[str, object]) -> dict[str, str]:
    """Give an object's values as text, those of objects in it as `outer.inner`; empty ones are left out."""
    values: dict[str, str] = {}
    pairs: Iterable[tuple[str, object]] = chain.from_iterable(
        ((f"{clean_name(key)}.{clean_name(inner)}", deep) for inner, deep in value.items())
        if isinstance(value, dict)
        else ((clean_name(key), value),)
        for key, value in item.items()
    )
    for name, value in pairs:
        text = clean_cell(_text(value, MAX_DEPTH))
        if name and text:
            values.setdefault(name, text)
    return values


def _text(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "是" if value else "否"
    if value is None or depth == 0:
        return ""
    parts = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    texts = (clean_cell(_text(part, depth - 1)) for part in parts)
    return ("；" if isinstance(value, list) else " ").join(filter(None, texts))
