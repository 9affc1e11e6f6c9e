import inspect
import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher import readers
from matcher.errors import UnreadableFile
from matcher.readers import BadRow, Row, read_table

from .support import good, refusal, written

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".json", ".jsonl", "")
TABLE_TEXT = st.text(st.sampled_from('甲乙名称编号,;|\t"\n\r\0{}[]:"ab1，：\ufeff😀'), max_size=120)


def reads_or_refuses(content: bytes, suffix: str) -> None:
    """Check that any bytes give a table whose rows iterate, or one clear sentence."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), f"a{suffix}", content)
        try:
            table = read_table(path)
        except UnreadableFile as error:
            assert str(error).startswith("读不了文件")
            return
        rows = list(table.rows)
        assert rows
        for row in rows:
            assert row.line >= 1
            if isinstance(row, Row):
                assert row.values
                "".join((*row.values, *row.values.values())).encode()
            else:
                assert isinstance(row, BadRow)
                f"{row.field}{row.reason}{row.raw}".encode()


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(SUFFIXES))
def test_random_bytes_never_crash(content: bytes, suffix: str) -> None:
    reads_or_refuses(content, suffix)


@settings(max_examples=400, deadline=None)
@given(
    TABLE_TEXT,
    st.sampled_from(["utf-8", "gb18030", "utf-16", "utf-16-be"]),
    st.binary(max_size=3),
    st.sampled_from(SUFFIXES),
)
def test_random_text_like_tables_never_crashes(text: str, encoding: str, tail: bytes, suffix: str) -> None:
    reads_or_refuses("名称,编号\n".encode(encoding) + text.encode(encoding) + tail, suffix)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60),
    st.sampled_from([b"PK\x03\x04", b"PK\x05\x06", b"{", b"[", b"[{", b"\xff\xfe", b"<"]),
)
def test_random_bytes_behind_a_signature_never_crash(content: bytes, signature: bytes) -> None:
    reads_or_refuses(signature + content, ".xlsx")


# A cell like ="007" is a spreadsheet's way to write 007, and no cell is made of white space.
CELLS = st.text(st.characters(codec="gb18030", exclude_categories=["C", "Z"], exclude_characters="="), min_size=1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1), st.sampled_from(["utf-8-sig", "utf-16", "utf-8"]))
def test_what_is_written_with_quotes_comes_back(rows: list[tuple[str, str]], encoding: str) -> None:
    quoted = ['"{}","{}"'.format(*(cell.replace('"', '""') for cell in row)) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), "a.csv", "\n".join(["成果名称,完成单位", *quoted]), encoding)
        found = [tuple(row.values.values()) for row in good(path)]
    assert found == rows


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)), "JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "另存为 xlsx 或 csv"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"{\\rtf1 x}", "RTF"),
        (b"<html><table><tr><td>1</td></tr></table></html>", "网页"),
        ("\ufeff\n <!DOCTYPE html><p>".encode(), "网页"),
        ('<?xml version="1.0"?><Workbook/>'.encode("utf-16"), "网页"),
        (random.Random(1).randbytes(2000), "另存为"),
        (bytes(1000), "另存为"),
        (b"", "空的"),
    ],
)
def test_what_is_no_table_is_named_whatever_its_suffix(tmp_path: Path, content: bytes, word: str) -> None:
    message = refusal(written(tmp_path, "数据.csv", content))
    assert word in message
    assert "数据.csv" in message
    assert message.endswith("。")


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    assert "不存在" in refusal(tmp_path / "没有.csv")
    assert "文件夹" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    assert "不是普通文件" in refusal(tmp_path / "pipe.csv")
    assert refusal(Path("a\0b.csv"))
    assert refusal(tmp_path / ("很长的名字" * 100))


def test_a_file_name_in_another_encoding_can_be_printed(tmp_path: Path) -> None:
    refusal(tmp_path / os.fsdecode("成果.csv".encode("gbk"))).encode()


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.csv", "名称,编号\n甲,1\n")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    table = read_table(path)
    monkeypatch.setattr(Path, "open", refuse)
    assert "权限" in refusal(path)
    with pytest.raises(UnreadableFile, match="权限"):
        list(table.rows)


def test_a_file_that_the_disk_does_not_give_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.csv", "名称,编号\n甲,1\n")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    assert "Input/output error" in refusal(path)


def test_a_csv_called_xlsx_is_read_for_what_it_is(tmp_path: Path) -> None:
    assert len(good(written(tmp_path, "a.xlsx", "名称,编号\n甲,1\n"))) == 1


def test_the_package_exports_what_it_promises() -> None:
    promised = {"Table", "Row", "BadRow", "Refused", "Parts", "read_table", "read_tables", "MAX_FILE_BYTES"}
    promised |= {"ColumnMap", "map_columns", "guess_kind", "FIELDS", "label"}
    public = {name for name, value in vars(readers).items() if name[0] != "_" and not inspect.ismodule(value)}
    assert set(readers.__all__) == public == promised
