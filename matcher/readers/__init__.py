"""Files to raw rows: CSV, Excel and JSON become one kind of table, and columns find their fields."""

from matcher.readers.aliases import FIELDS
from matcher.readers.base import BadRow, Row, Table
from matcher.readers.columns import ColumnMap, guess_kind, map_columns
from matcher.readers.sniff import read_table

__all__ = ["FIELDS", "BadRow", "ColumnMap", "Row", "Table", "guess_kind", "map_columns", "read_table"]
