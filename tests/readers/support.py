"""Small builders that the tests of the readers share."""

from pathlib import Path

from matcher.errors import UnreadableFile
from matcher.readers import BadRow, Row, read_table


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
