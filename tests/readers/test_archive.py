from __future__ import annotations

import io
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest

from matcher.readers import Table, archive, read_tables, zips
from matcher.readers.base import MAX_FILE_BYTES

from .making import NEED_FORM, ST36, docx, pdf, word_table, xlsx, zipped
from .support import parts, refused, written

CSV = "成果名称,完成单位\n甲,某所\n"
ROWS = [{"成果名称": "甲", "完成单位": "某所"}]


def test_every_member_that_is_a_table_is_read_and_told_by_its_name(tmp_path: Path) -> None:
    sheets = xlsx([["成果名称", "完成单位"], ["甲", "某所"]], [["需求名称", "企业名称"], ["乙", "厂"]])
    members: dict[str, bytes | str] = {
        "成果/2024.csv": CSV,
        "汇总.xlsx": sheets,
        "需求.docx": docx(word_table(NEED_FORM)),
        "需求.pdf": pdf("需求名称：烘干", "企业名称：甲公司"),
        "专利.xml": ST36,
        "记录.jsonl": '{"成果名称": "甲", "完成单位": "某所"}',
        "照片.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "坏.xlsx": sheets[:500],
        "__MACOSX/._汇总.xlsx": b"x",
        "成果/.DS_Store": b"x",
        "~$需求.docx": b"x",
        "空/": "",
    }
    found = parts(written(tmp_path, "材料.zip", zipped(members)))
    assert list(found) == [
        *("成果/2024.csv", "汇总.xlsx › 表1", "汇总.xlsx › 表2", "需求.docx", "需求.pdf", "专利.xml", "记录.jsonl"),
        *("照片.png", "坏.xlsx"),
    ]
    assert found["成果/2024.csv"] == found["记录.jsonl"] == found["汇总.xlsx › 表1"] == ROWS
    assert "PNG" in found["照片.png"]
    assert "损坏" in found["坏.xlsx"]
    assert "“坏.xlsx”" in found["坏.xlsx"]


def test_the_file_of_a_table_is_known_so_that_its_records_keep_their_source(tmp_path: Path) -> None:
    path = written(tmp_path, "材料.zip", zipped({"成果/2024.csv": CSV}))
    (table,) = read_tables(path)
    assert isinstance(table, Table)
    assert table.member == "成果/2024.csv"


@pytest.mark.parametrize("encoding", ["gbk", "utf-8", "cp437"])
def test_names_come_out_in_whatever_encoding_they_were_written(encoding: str) -> None:
    name = "resume.csv" if encoding == "cp437" else "成果／巴中.csv"
    member = zipfile.ZipInfo(name.encode(encoding).decode("cp437"))
    assert archive.member_name(member) == name


def test_a_name_with_the_mark_of_utf8_is_taken_as_it_is() -> None:
    content = io.BytesIO(zipped({"成果.csv": CSV}))
    assert [archive.member_name(each) for each in zipfile.ZipFile(content).infolist()] == ["成果.csv"]


@pytest.mark.parametrize("name", ["../../成果.csv", "/etc/成果.csv", "..\\成果.csv", "…" * 200 + ".csv", ".. /.."])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    opened: list[Path] = []

    def read(path: Path) -> archive.Parts:
        opened.append(path)
        yield Table(("甲",), [], name="")

    path = written(tmp_path, "a.zip", zipped({name: CSV}))
    assert [type(part) for part in archive.read_archive(path, MAX_FILE_BYTES, read)] == [Table]
    assert opened[0].parent.parent == tmp_path / "temp"
    assert list((tmp_path / "temp").iterdir()) == []


def test_an_archive_within_an_archive_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    inner = zipped({"成果.csv": CSV})
    found = parts(written(tmp_path, "a.zip", zipped({"里.zip": inner, "成果.csv": CSV})))
    assert "压缩包里还有压缩包" in found["里.zip"]
    assert found["成果.csv"] == ROWS


def test_a_member_that_is_damaged_stops_no_other(tmp_path: Path) -> None:
    content = bytearray(zipped({"坏.csv": CSV * 1000, "好.csv": CSV}))
    content[60:80] = bytes(20)
    found = parts(written(tmp_path, "a.zip", bytes(content)))
    assert "已损坏" in found["坏.csv"]
    assert found["好.csv"] == ROWS


def test_an_archive_of_no_tables_says_so_of_each(tmp_path: Path) -> None:
    found = parts(written(tmp_path, "a.zip", zipped({"甲.txt": "你好。", "乙.txt": ""})))
    assert "没有找到表头" in found["甲.txt"]
    assert "文件是空的" in found["乙.txt"]
    assert "没有文件" in refused(written(tmp_path, "b.zip", zipped({"空/": ""})))
    assert "没有文件" in refused(written(tmp_path, "c.zip", zipped({})))


# ---------------------------------------------------------------- made to harm


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = zipped({f"{n}.csv": b"," * 50_000_000 for n in range(4)})
    assert len(bomb) < 400_000
    path = written(tmp_path, "a.zip", bomb)
    assert "解压后超过 100 MB" in refused(path, max_bytes=100_000_000)


def test_a_member_that_is_larger_than_it_says_is_cut_off(tmp_path: Path) -> None:
    content = zipped({"a.csv": CSV * 100_000, "b.csv": CSV})
    real, lie = struct.pack("<L", len(CSV.encode()) * 100_000), struct.pack("<L", 100)
    assert content.count(real) == 2
    found = parts(written(tmp_path, "a.zip", content.replace(real, lie)))
    assert "已损坏" in found["a.csv"]
    assert found["b.csv"] == ROWS


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    content = zipped({"a.csv": CSV})
    at = content.index(b"PK\x01\x02")
    entry, end = content[at : content.index(b"PK\x05\x06")], content[content.index(b"PK\x05\x06") :]
    end = end[:8] + struct.pack("<HHL", 2, 2, 2 * len(entry)) + end[16:]
    assert "重叠" in refused(written(tmp_path, "a.zip", content[:at] + entry * 2 + end))


def test_a_list_of_members_out_of_measure_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 5)
    path = written(tmp_path, "a.zip", zipped({f"{n}.csv": CSV for n in range(6)}))
    assert "有 6 个文件" in refused(path)
    monkeypatch.setattr(zips, "MAX_DIRECTORY_BYTES", 100)
    assert "文件太多" in refused(path)


def test_encrypted_and_oddly_packed_members_are_refused(tmp_path: Path) -> None:
    content = zipped({"a.csv": CSV})
    at = content.index(b"PK\x01\x02")
    locked = content[: at + 8] + b"\x01" + content[at + 9 :]
    assert "加了密码" in refused(written(tmp_path, "a.zip", locked))
    assert "少见的压缩方式" in refused(written(tmp_path, "b.zip", zipped({"a.csv": CSV}, zipfile.ZIP_LZMA)))


def test_reading_an_archive_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_SECONDS", 0)
    found = parts(written(tmp_path, "a.zip", zipped({"a.csv": CSV})))
    assert "没有再读" in found["a.csv"]


def test_nothing_is_left_behind_when_the_caller_stops_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    reading = read_tables(written(tmp_path, "a.zip", zipped({"a.csv": CSV, "b.csv": CSV})))
    next(reading)
    assert list((tmp_path / "temp").iterdir())
    reading.close()  # type: ignore[attr-defined]
    assert not list((tmp_path / "temp").iterdir())
