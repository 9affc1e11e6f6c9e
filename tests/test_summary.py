"""The bureau's summary as people and programs meet it."""

from __future__ import annotations

import csv
import datetime
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from typer.testing import CliRunner

from matcher.cli import app, main
from matcher.records import PROGRAMME_NAMES
from matcher.summary import Counts, Period, Progress, Summary
from matcher.summary_views import summary_json, summary_sheets, summary_table
from matcher.targets import policy

FOOD = Counts("food", "食品饮料", 3, 2, 5, 4, 1, 1_200_000, 1)
SUMMARY = Summary(
    day=datetime.date(2026, 11, 23),
    period=Period(datetime.date(2026, 1, 1)),
    policy=policy(),
    targets=tuple(Progress(target, 150 if target.counted else None) for target in policy().targets),
    programmes=(FOOD,),
    regions=(Counts(None, "其他地区", 3),),
    total=Counts(None, "合计", 3, 2, 5, 4, 1, 1_200_000, 1),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHER_HOME", str(tmp_path / "home"))


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["summary", *arguments])


def test_a_workbook_has_a_sheet_for_each_part_and_says_what_the_figures_mean() -> None:
    sheets = {sheet.name: sheet for sheet in summary_sheets(SUMMARY)}
    assert list(sheets) == ["目标", "专项", "县区", "说明"]
    targets = {row[0]: row[1:] for row in sheets["目标"].rows}
    assert targets["科技成果在市内转化应用"][:4] == [300, "项", 150, 50.0]
    assert targets["产业技术创新联盟"] == [5, "家", "不由本平台统计", None, "不由本平台统计"]
    assert list(sheets["专项"].rows)[-1] == ["合计", 3, 2, 5, 4, 1, 1_200_000, 1]
    notes = "".join(str(row[0]) for row in sheets["说明"].rows)
    assert "在每个专项下各计一次，合计中只计一次" in notes and "2026-01-01 至 2026-11-23" in notes


def test_the_one_table_names_each_row_and_leaves_out_what_it_has_not() -> None:
    columns, rows = summary_table(SUMMARY)
    assert all(len(row) == len(columns) for row in rows)
    assert rows[0] == ["专项", "food", "食品饮料", 3, 2, 5, 4, 1, 1_200_000, 1, None, None, None]
    assert [row[0] for row in rows] == ["专项", "县区", "合计", *["目标"] * 6]


def test_programs_get_numbers_and_null_for_what_nobody_counts() -> None:
    found = summary_json(SUMMARY)
    assert found["first"] == "2026-01-01" and found["last"] is None
    assert found["programmes"] == [{"code": "food", "name": "食品饮料", **found["total"]}]
    trained = next(one for one in found["targets"] if one["code"] == "trained")
    assert (trained["done"], trained["share"], trained["counted"]) == (None, None, "不由本平台统计")
    assert found["targets"][0]["share"] == 0.5


def test_the_command_shows_every_programme_and_county_also_of_an_empty_store() -> None:
    shown = run()
    assert shown.exit_code == 0, shown.output
    assert all(
        name in shown.stdout for name in [*PROGRAMME_NAMES.values(), "恩阳区", "不由本平台统计", "300,000,000 元"]
    )


def test_the_command_writes_each_format(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"汇总.{name}" for name in ("xlsx", "csv", "json", "table")}
    for name, path in paths.items():
        done = run("--format", name, "-o", str(path), "--from", "2026-01-01", "--to", "2026-12-31")
        assert done.exit_code == 0, done.output
        assert done.stdout == "" and str(path) in done.stderr
    assert openpyxl.load_workbook(paths["xlsx"]).sheetnames == ["目标", "专项", "县区", "说明"]
    assert paths["csv"].read_bytes().startswith(b"\xef\xbb\xbf")
    assert json.loads(paths["json"].read_text("utf-8"))["last"] == "2026-12-31"
    assert "南江县" in paths["table"].read_text("utf-8")


def test_what_is_printed_as_csv_and_json_is_for_programs() -> None:
    rows = list(csv.reader(io.StringIO(run("--format", "csv").stdout)))
    assert rows[0][:4] == ["类别", "代码", "名称", "成果和专利"]
    assert json.loads(run("--format", "json").stdout)["total"]["offers"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--format", "pdf"], "可用 table、csv、xlsx、json"), (["--format", "xlsx"], "-o 汇总.xlsx")],
)
def test_a_format_that_cannot_be_is_explained(arguments: list[str], said: str) -> None:
    told = run(*arguments)
    assert told.exit_code == 2 and said in told.stderr


def test_a_day_that_is_none_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["matcher", "summary", "--from", "去年"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1 and "“去年”不是日期" in capsys.readouterr().err
