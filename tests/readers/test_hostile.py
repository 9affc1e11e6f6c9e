"""Files out of all measure: each is read or refused in a sentence, soon, and without filling the memory."""

from __future__ import annotations

import json
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from matcher.errors import UnreadableFile
from matcher.readers import BadRow, Row, patent_xml

from .making import docx, paragraph, xlsx, zipped
from .support import only, refused, written


@contextmanager
def soon(seconds: float = 20) -> Iterator[None]:
    """Fail if it takes longer; ten times what it takes on an idle machine."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_a_table_of_a_million_columns_is_refused(tmp_path: Path) -> None:
    with soon():
        names = ",".join(f"c{number}" for number in range(1_000_000))
        assert "1000000 列，超过 1000 列的上限" in refused(written(tmp_path, "a.csv", f"{names}\nx,y\n"))
        long = ",".join(f"某一列的名称{number}" for number in range(1_000_000))
        assert "第一行就有错：这一行超过 8 MB" in refused(written(tmp_path, "b.csv", f"{long}\nx,y\n"))


def test_a_row_of_a_million_cells_is_a_bad_row(tmp_path: Path) -> None:
    with soon():
        rows = list(only(written(tmp_path, "a.csv", "成果名称,编号\n甲,1\n" + "x," * 1_000_000 + "\n乙,2\n")).rows)
    assert [type(row) for row in rows] == [Row, BadRow, Row]


def test_a_million_repeated_names_do_not_take_forever(tmp_path: Path) -> None:
    with soon():
        assert "列的上限" in refused(written(tmp_path, "a.csv", "名称," * 500_000 + "\nx,y\n"))
        wide = "名称," * 999 + "成果名称\n" + "x," * 999 + "甲\n"
        assert len(only(written(tmp_path, "b.csv", wide)).columns) == 1000


def test_a_million_empty_rows_are_skipped(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "成果名称,编号\n甲,1\n" + ",\n" * 1_000_000 + "乙,2\n")
    with soon():
        rows = list(only(path).rows)
    assert [row.line for row in rows] == [2, 1_000_003]


def test_many_empty_rows_of_a_workbook_are_skipped(tmp_path: Path) -> None:
    with zipfile.ZipFile(written(tmp_path, "a.xlsx", xlsx([["成果名称", "编号"], ["甲", "1"]]))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    rows = b"".join(b'<row r="%d"><c r="A%d" s="0"/></row>' % (n, n) for n in range(3, 200_000))
    members[sheet] = members[sheet].replace(b"</sheetData>", rows + b"</sheetData>")
    with soon():
        assert len(list(only(written(tmp_path, "b.xlsx", zipped(members))).rows)) == 1


def test_a_stray_cell_a_million_rows_below_costs_little(tmp_path: Path) -> None:
    with zipfile.ZipFile(written(tmp_path, "a.xlsx", xlsx([["成果名称", "编号"], ["甲", "1"]]))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    far = b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
    members[sheet] = members[sheet].replace(b"</sheetData>", far)
    with soon():
        rows = list(only(written(tmp_path, "b.xlsx", zipped(members))).rows)
    assert [row.line for row in rows] == [2, 1_048_576]


def test_a_cell_of_many_megabytes_is_a_bad_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", f"成果名称,简介\n甲,{'长' * 2_000_000}\n乙,{'x' * 20_000_000}\n丙,短\n")
    with soon():
        rows = list(only(path).rows)
    assert [type(row) for row in rows] == [BadRow, BadRow, Row]
    assert all(len(row.raw) <= 500 for row in rows if isinstance(row, BadRow))


def test_an_object_of_a_million_keys_is_refused(tmp_path: Path) -> None:
    rows = [{f"键{number}": 1 for number in range(start, start + 100)} for start in range(0, 100_000, 100)]
    with soon():
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        assert "超过 1000 种不同的键" in refused(written(tmp_path, "a.jsonl", lines))


def test_json_of_any_depth_is_a_bad_row(tmp_path: Path) -> None:
    with soon():
        assert "JSON" in refused(written(tmp_path, "a.json", "[" * 5_000_000))
        assert "JSON" in refused(written(tmp_path, "b.jsonl", '{"成果名称":' * 100_000))


def zeros(size: int) -> bytes:
    """Compress so many zero bytes, in a moment: the block of ten million of them repeats."""
    block = 10_000_000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    # The sum that ends the stream, of zeros alone.
    return b"\x78\xda" + packed * (size // block) + end + struct.pack(">HH", size % 65521, 1)


def test_a_pdf_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    bomb = zeros(2_000_000_000)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(bomb), bomb),
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, each) for n, each in enumerate(objects, start=1))
    path = written(tmp_path, "a.pdf", b"%PDF-1.4\n" + body + b"trailer\n<< /Root 1 0 R >>\n%%EOF\n")
    assert path.stat().st_size < 5_000_000
    with soon(60):
        assert "需要的内存超过" in refused(path)


def test_a_pdf_whose_pages_point_at_each_other_is_refused(tmp_path: Path) -> None:
    loop = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n"
    loop += b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
    with soon():
        assert "PDF" in refused(written(tmp_path, "a.pdf", loop))


def test_a_document_that_unpacks_to_much_text_is_refused(tmp_path: Path) -> None:
    with soon():
        huge = zipped({"word/document.xml": b" " * 70_000_000})
        assert len(huge) < 500_000
        assert "正文太大" in refused(written(tmp_path, "a.docx", huge))


def test_a_document_of_many_paragraphs_is_one_long_value(tmp_path: Path) -> None:
    lines = paragraph("需求名称：烘干") + paragraph("企业名称：甲") + "<w:p><w:r><w:t>长</w:t></w:r></w:p>" * 100_000
    with soon(60):
        (row,) = only(written(tmp_path, "a.docx", docx(lines))).rows
    assert isinstance(row, Row)
    assert len(row.values["企业名称"]) == 200_001


def test_xml_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patent_xml, "MAX_RECORD_BYTES", 2_000_000)
    endless = written(tmp_path, "a.xml", '<?xml version="1.0"?><patents>' + "<x>y</x>" * 2_000_000)
    with soon(), pytest.raises(UnreadableFile, match="没有专利"):
        list(patent_xml.read_patent_xml(endless))
