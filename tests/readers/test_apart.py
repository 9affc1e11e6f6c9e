"""Reading in a process of its own: what breaks a parser breaks nothing else, and costs no more than allowed."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import MappingProxyType

import pytest

from matcher.errors import UnreadableFile
from matcher.readers import Row, Table, apart, formats, read_tables, sniff
from matcher.readers.apart import read_apart
from matcher.readers.formats import FORMATS, Format, Limits

from .making import xlsx
from .support import only, refused, written

# Readers that do what a parser may do on a file made to break it.
BREAKERS = """
import errno, os, signal, time
from matcher.readers.base import Row, Table

def table(rows): yield Table(("甲",), rows)
def eat(path): yield from table([Row(1, {"甲": str(len(bytearray(10**10)))})])
def burn(path):
    while True: pass
def sleep(path): time.sleep(60)
def abort(path): os.abort()
def fall(path): os.kill(os.getpid(), signal.SIGSEGV)
def flood(path): yield from table(Row(n, {"甲": "长" * 1000}) for n in range(10**9))
def full(path): raise OSError(errno.ENOSPC, "No space left on device")
def panic(path): raise BaseException("panic")
def talk(path):
    print("noise", flush=True); os.write(1, b"noise")
    yield from table([Row(1, {"甲": os.environ.get("SECRET", "无")})])
"""


@pytest.fixture
def breaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the names of `BREAKERS` formats, here and in the process, which is bounded tightly; a file to read."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "breakers.py").write_text(BREAKERS, "utf-8")
    limits = Limits(400_000_000, 1, 1_000_000)
    names = ("eat", "burn", "sleep", "abort", "fall", "flood", "full", "panic", "talk")
    monkeypatch.setattr(apart, "FORMATS", MappingProxyType({name: Format("breakers", name, limits) for name in names}))
    # The process takes its formats from the module, which is changed by what Python imports at its start.
    (folder / "sitecustomize.py").write_text(
        "from types import MappingProxyType\n"
        "from matcher.readers import formats\n"
        f"limits = formats.Limits({limits.memory_bytes}, {limits.cpu_seconds}, {limits.output_bytes})\n"
        f"own = {{name: formats.Format('breakers', name, limits) for name in {names}}}\n"
        "formats.FORMATS = MappingProxyType(own)\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(str(folder))
    return written(tmp_path, "数据.bin", "x")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("eat", "需要的内存超过 400 MB"),
        ("burn", "读了 1 秒还没有读完"),
        ("abort", "需要的内存超过"),
        ("fall", "已损坏"),
        ("flood", "展开后的内容太多"),
        ("full", "磁盘已满"),
        ("panic", "读取时出错（BaseException）"),
    ],
)
def test_what_breaks_the_reader_is_refused_in_a_sentence(breaking: Path, name: str, word: str) -> None:
    began = time.monotonic()
    with pytest.raises(UnreadableFile, match=word) as refusal:
        list(read_apart(name, breaking))
    assert str(refusal.value).startswith("读不了文件“数据.bin”")
    assert time.monotonic() - began < 10


def test_a_reader_that_waits_for_nothing_is_ended_by_the_clock(breaking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "PATIENCE", 0.3)
    with pytest.raises(UnreadableFile, match="还没有读完"):
        list(read_apart("sleep", breaking))


def test_where_the_process_does_not_start_the_installation_is_to_blame(
    breaking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(UnreadableFile, match="没有启动"):
        list(read_apart("talk", breaking))


def test_the_process_sees_no_secrets_and_what_it_prints_harms_nothing(
    breaking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "postgresql://user:password@host")
    (table,) = read_apart("talk", breaking)
    assert isinstance(table, Table)
    assert list(table.rows) == [Row(1, {"甲": "无"})]


def test_rows_can_be_read_again_and_their_file_goes_with_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = written(tmp_path, "a.xlsx", xlsx([["成果名称", "编号"], *([f"名{n}", str(n)] for n in range(3000))]))
    closed: list[int] = []
    close = os.close
    monkeypatch.setattr(os, "close", lambda descriptor: (closed.append(descriptor), close(descriptor)))
    table = only(path)
    assert len(list(table.rows)) == 3000
    assert list(table.rows) == list(table.rows)
    assert [each.name for each in tmp_path.iterdir()] == ["a.xlsx"]
    closed.clear()
    del table
    gc.collect()
    assert len(closed) == 1


def test_a_file_over_the_limit_is_refused_unread_whatever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "大.csv"
    with path.open("wb") as stream:
        stream.write("成果名称,编号\n".encode())
        stream.truncate(2_500_000_000)
    began = time.monotonic()
    assert "文件有 2.5 GB，超过 1 GB 的上限" in refused(path)
    assert "MATCHER_MAX_FILE_BYTES" in refused(path, max_bytes=2_000_000_000)
    assert time.monotonic() - began < 1


def test_a_large_json_document_is_read_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def spy(name: str, path: Path) -> sniff.Parts:
        read.append(name)
        return read_apart(name, path)

    monkeypatch.setattr(sniff, "read_apart", spy)
    items = [{"成果名称": f"技术{n}", "成果简介": "长" * 1000} for n in range(3000)]
    document = written(tmp_path, "a.json", json.dumps(items, ensure_ascii=False, indent=1))
    lines = written(tmp_path, "b.jsonl", "\n".join(json.dumps(item, ensure_ascii=False) for item in items))
    assert len(list(only(document).rows)) == len(list(only(lines).rows)) == 3000
    assert read == ["json"]


def test_ordinary_tables_need_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sniff, "read_apart", None)
    assert len(list(only(written(tmp_path, "a.csv", "成果名称,编号\n甲,1\n")).rows)) == 1
    assert len(list(read_tables(written(tmp_path, "b.jsonl", '{"成果名称": "甲"}\n{"成果名称": "乙"}')))) == 1


def test_every_format_whose_parser_is_not_ours_is_bounded() -> None:
    assert {name for name, form in FORMATS.items() if form.limits is None} == {"delimited", "jsonl"}
    assert formats.FORMATS is FORMATS
