"""Files to raw rows: tables, forms and archives become one kind of table, and columns find their fields."""

from matcher.readers.aliases import FIELDS, label
from matcher.readers.base import MAX_FILE_BYTES, BadRow, Parts, Refused, Row, Table
from matcher.readers.columns import ColumnMap, guess_kind, map_columns
from matcher.readers.sniff import read_table, read_tables

__all__ = [
    "FIELDS",
    "MAX_FILE_BYTES",
    "BadRow",
    "ColumnMap",
    "Parts",
    "Refused",
    "Row",
    "Table",
    "guess_kind",
    "label",
    "map_columns",
    "read_table",
    "read_tables",
]
