from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from matcher.cli import app
from matcher.errors import UnknownColumn, UnreadableFile
from matcher.preview import SHOWN_RECORDS, preview_file
from tests.readers.making import NEED_FORM, docx, word_table, xlsx, zipped

ROWS = [
    ["成果编号", "成果名称", "成果简介", "完成单位", "完成时间", "联系人", "干货"],
    ["1", "银耳烘干", "每批20小时。", "四川农业大学；某所", "2023年6月", "王某 0827-0000000", "x"],
    ["2", "石墨提纯", "", "某所", "不详吧", "", ""],
    *([str(number), f"技术{number}", "", "", "", "", ""] for number in range(3, 10)),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "成果.csv"
    path.write_text("\n".join(",".join(row) for row in ROWS), "utf-8")
    return path


def test_a_preview_shows_the_kind_the_columns_and_the_first_records(table: Path) -> None:
    (part,) = preview_file(table, source="省平台").as_json()["parts"]
    assert (part["name"], part["kind"], part["kind_name"], part["reason"]) == ("", "achievement", "科技成果", None)
    assert {each["field"]: each["column"] for each in part["columns"]} == {
        "source_id": "成果编号",
        "title": "成果名称",
        "abstract": "成果简介",
        "institution": "完成单位",
        "date": "完成时间",
        "contact": "联系人",
    }
    assert part["columns"][1]["field_name"] == "成果名称"
    assert part["unused"] == ["干货"]
    assert [record["title"] for record in part["records"]] == ["银耳烘干", "技术3", "技术4"]
    first = part["records"][0]
    assert (first["source"], first["institution"], first["date"]) == ("省平台", "四川农业大学", "2023-06")
    assert first["id"].startswith("ach-")
    assert [(each["line"], each["field"]) for each in part["rejected"]] == [(3, "日期")]
    assert "0827" not in json.dumps(part, ensure_ascii=False)


def test_a_preview_of_bad_rows_alone_ends_too(tmp_path: Path) -> None:
    path = tmp_path / "成果.csv"
    path.write_text("成果名称,完成时间\n" + "甲,不详吧\n" * 100, "utf-8")
    (part,) = preview_file(path).parts
    assert (len(part.records), len(part.refusals)) == (0, SHOWN_RECORDS)


def test_every_part_of_an_archive_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "材料.zip"
    notes = xlsx([["甲栏", "乙栏"], ["x", "y"]])
    path.write_bytes(zipped({"需求.docx": docx(word_table(NEED_FORM)), "说明.xlsx": notes, "图.png": b"\x89PNG"}))
    need, notes_part, picture = preview_file(path).parts
    assert (need.name, need.records[0].title) == ("需求.docx", "银耳低温烘干降耗")
    assert "看不出" in notes_part.reason
    assert "PNG" in picture.reason


def test_a_preview_refuses_what_an_ingest_refuses(tmp_path: Path, table: Path) -> None:
    picture = tmp_path / "图.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableFile, match="PNG"):
        preview_file(picture)
    with pytest.raises(UnknownColumn, match="湿货"):
        preview_file(table, overrides={"简介": "湿货"})
    with pytest.raises(UnreadableFile, match="上限"):
        preview_file(table, max_bytes=100)


def test_the_command_shows_and_writes_nothing(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("MATCHER_HOME", str(home))
    shown = CliRunner().invoke(app, ["ingest", "--preview", str(table), "--map", "备注=干货"])
    assert (shown.exit_code, shown.exception) != (0, None)
    shown = CliRunner().invoke(app, ["ingest", "--preview", str(table), "--map", "简介=干货"])
    assert shown.exit_code == 0
    for text in (
        "没有写入任何内容",
        "判断为：科技成果",
        "abstract）← 干货",
        "未使用的列：成果简介",
        "第 3 行会被拒收：日期",
    ):
        assert text in shown.stdout
    as_json = CliRunner().invoke(app, ["ingest", "--preview", str(table), "--json"])
    assert json.loads(as_json.stdout) == json.loads(json.dumps(preview_file(table).as_json()))
    assert CliRunner().invoke(app, ["ingest", "--preview", str(tmp_path / "没有.csv")]).exit_code == 2
    assert not home.exists()
