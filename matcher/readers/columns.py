"""Which column is which field: guesses the kind of a table and maps its columns."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from matcher.errors import UnknownColumn
from matcher.readers.aliases import FIELDS, label, normalise
from matcher.readers.base import Row

#: Shorter aliases (`名称`, `id`) stand inside of too many other names to be looked for there.
MIN_CONTAINED_CHARS = 3

# Columns about a field, not the field: 申请人数量, 申请人类型, 摘要附图.
_ABOUT = re.compile(r"(?:数量|个数|类型|代码|国别|国家|长度|附图|备注|邮编|状态|count|type)$")
# In the name of a column of money; and what shows that a sum has a unit of its own, or is no sum.
_UNIT = re.compile(r"[(（/]\s*(?:单位[:：]?)?((?:万|亿|百万)?元)[)）]?")
_HAS_UNIT = re.compile(r"[元万亿]|^\D*$")
_KIND_WORDS = {
    "patent": ("专利", "patent"),
    "achievement": ("成果", "achievement"),
    "need": ("需求", "难题", "揭榜", "need", "demand"),
    "institution": ("机构", "高校", "院校", "institution", "universit"),
}
# What an industry or a type is called does not tell whose it is: achievements have them on many platforms.
_TELLS_NOTHING = {"industry", "type"}


@dataclass(frozen=True)
class ColumnMap:
    """Which column each field is read from, and the columns that none is read from."""

    kind: str
    fields: Mapping[str, str]
    unused: tuple[str, ...]

    def apply(self, row: Row) -> dict[str, str]:
        """Give the values of a row by field; fields whose cell is empty are left out.

        A sum without a unit takes the one in the name of its column, as in `预算(万元)`.
        """
        values = {field: row.values[column] for field, column in self.fields.items() if column in row.values}
        if "budget" in values and (unit := _UNIT.search(self.fields["budget"])):
            bare = values["budget"]
            values["budget"] = bare if _HAS_UNIT.search(bare) else bare + unit[1]
        return values


def guess_kind(columns: Iterable[str], filename: str = "") -> str | None:
    """Guess the kind of the records from the column names, then from the file name; None if undecidable."""
    votes: Counter[str] = Counter()
    for column in columns:
        owner = _OWN_NAMES.get(normalise(column))
        votes.update({owner} if owner else _kinds_in(column))
    most = max(votes.values(), default=0)
    best = {kind for kind, count in votes.items() if count == most}
    if len(best) != 1:
        best = _kinds_in(filename)
    return best.pop() if len(best) == 1 else None


def map_columns(columns: Sequence[str], kind: str, overrides: Mapping[str, str] = MappingProxyType({})) -> ColumnMap:
    """Map columns to the fields of a kind; each column is used once.

    Overrides go first, then names equal to an alias (the best alias of a field wins), then names that
    contain a long alias, where only one column and one field come into question.

    :param kind: a key of `FIELDS`.
    :param overrides: field, or one of its aliases, to column; the same column may be given twice.
    :raises UnknownColumn: an override names a field or a column that does not exist.
    """
    fields = {_field(kind, name): _column(columns, name, wanted) for name, wanted in overrides.items()}
    free = [column for column in columns if column not in fields.values()]
    for field, aliases in FIELDS[kind].items():
        if field not in fields and (column := _equal(free, aliases)) is not None:
            fields[field] = column
            free.remove(column)
    for field, column in _containing(free, kind, fields).items():
        fields[field] = column
        free.remove(column)
    in_order = {field: fields[field] for field in FIELDS[kind] if field in fields}
    return ColumnMap(kind, MappingProxyType(in_order), tuple(free))


def _kinds_in(name: str) -> set[str]:
    lowered = unicodedata.normalize("NFKC", name).lower()
    return {kind for kind, words in _KIND_WORDS.items() if any(word in lowered for word in words)}


def _field(kind: str, name: str) -> str:
    wanted = normalise(name)
    for field, aliases in FIELDS[kind].items():
        if wanted in map(normalise, aliases):
            return field
    known = "、".join(f"{label(kind, field)}（{field}）" for field in FIELDS[kind])
    raise UnknownColumn(f"没有叫“{name}”的字段。可用的字段有：{known}。")


def _column(columns: Sequence[str], field: str, wanted: str) -> str:
    if wanted in columns:
        return wanted
    found = [column for column in columns if normalise(column) == normalise(wanted)]
    if len(found) == 1:
        return found[0]
    raise UnknownColumn(f"给字段“{field}”指定的列“{wanted}”不在表里。表里的列有：{'、'.join(columns)}。")


def _equal(columns: Sequence[str], aliases: Sequence[str]) -> str | None:
    by_name = {normalise(column): column for column in reversed(columns)}
    return next((by_name[name] for name in map(normalise, aliases) if name in by_name), None)


def _containing(columns: Sequence[str], kind: str, taken: Mapping[str, str]) -> dict[str, str]:
    """Map columns that contain an alias; a longer alias beats a shorter one, anything equal is ambiguous."""
    wishes: dict[str, list[str]] = {}
    for column in columns:
        lengths = {
            field: longest
            for field, aliases in FIELDS[kind].items()
            if (longest := max((len(normalise(alias)) for alias in aliases if _contains(column, alias)), default=0))
        }
        most = max(lengths.values(), default=0)
        best = [field for field, length in lengths.items() if length == most]
        if len(best) == 1 and best[0] not in taken:
            wishes.setdefault(best[0], []).append(column)
    return {field: wanting[0] for field, wanting in wishes.items() if len(wanting) == 1}


def _contains(column: str, alias: str) -> bool:
    name, wanted = normalise(column), normalise(alias)
    if len(wanted) < MIN_CONTAINED_CHARS or _ABOUT.search(name):
        return False
    if not wanted.isascii():
        return wanted in name
    # English words have to stand alone: `title` is in `patent_title`, not in `subtitle`.
    spaced = unicodedata.normalize("NFKC", column).lower()
    return re.search(rf"(?<![a-z]){re.escape(alias.lower())}(?![a-z])", spaced) is not None


def _own_names() -> dict[str, str]:
    """Give the normalised names that only one kind uses, and which kind that is."""
    users: dict[str, set[str]] = {}
    for kind, fields in FIELDS.items():
        for field, aliases in fields.items():
            for alias in aliases if field not in _TELLS_NOTHING else ():
                users.setdefault(normalise(alias), set()).add(kind)
    return {name: next(iter(kinds)) for name, kinds in users.items() if len(kinds) == 1}


_OWN_NAMES = _own_names()
