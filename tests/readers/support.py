"""Small builders that the tests of the readers share."""

from pathlib import Path

from matcher.errors import UnreadableFile
from matcher.readers import BadRow, Refused, Row, Table, read_table, read_tables


def written(folder: Path, name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def good(path: Path) -> list[Row]:
    return [row for row in read_table(path).rows if isinstance(row, Row)]


def bad(path: Path) -> list[BadRow]:
    return [row for row in read_table(path).rows if isinstance(row, BadRow)]


def values(path: Path) -> list[dict[str, str]]:
    return [dict(row.values) for row in good(path)]


def refusal(path: Path) -> str:
    try:
        table = read_table(path)
    except UnreadableFile as error:
        return str(error)
    raise AssertionError(f"was read as a table: {table.columns}")


def parts(path: Path) -> dict[str, list[dict[str, str]] | str]:
    """Read a file part by part: the rows of each table, or why there is none, by name."""
    found: dict[str, list[dict[str, str]] | str] = {}
    for part in read_tables(path):
        if isinstance(part, Refused):
            found[part.name] = part.reason
        else:
            found[part.name] = [dict(row.values) for row in part.rows if isinstance(row, Row)]
    return found


def only(path: Path) -> Table:
    """Give the one table that a file is."""
    (table,) = read_tables(path)
    assert isinstance(table, Table)
    return table


def refused(path: Path, max_bytes: int = 1_000_000_000) -> str:
    """Give the sentence with which a file is refused as a whole."""
    try:
        found = [part.name for part in read_tables(path, max_bytes)]
    except UnreadableFile as error:
        message = str(error)
        assert message.startswith("读不了文件“")
        assert message.endswith("。")
        return message
    raise AssertionError(f"was read: {found}")
