"""The commands of leads, over the sample corpus and with the fake encoder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner, Result

from matcher import sample
from matcher.cli import app
from matcher.engine import Matcher
from matcher.errors import Forbidden, InvalidLead, NotFound
from matcher.records import Need
from matcher.settings import Settings
from tests.api.fresh import fresh_matcher

Run = Callable[..., Result]
PRIVATE = Need(source="企业", source_id="1", title="绝密需求vk9q", visibility="private", region_code="511900")
NAME = "垚淼食品有限公司"
SHY = Need(
    source="企业",
    source_id="2",
    title=f"{NAME}的银耳烘干",
    abstract="银耳烘干能耗偏高，求热泵烘干工艺。",
    institution=NAME,
    visibility="intermediaries",
    region_code="511900",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with the sample corpus, a private need and one of an enterprise that hides."""
    folder = tmp_path_factory.mktemp("leads") / "home"
    matcher = fresh_matcher(folder)
    for kind, _ in sample.FILES:
        matcher.store.upsert([(record, None) for record in sample.records(kind)])
    matcher.store.upsert([(PRIVATE, None), (SHY, None)])
    for name, role in (("甲", "intermediary"), ("乙", "intermediary"), ("某厂", "enterprise")):
        matcher.accounts.add(name, role)
    matcher.catch_up()
    matcher.close()
    matcher.embedder.close()
    return folder


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    opened: list[Matcher] = []

    def open_again(_: Settings) -> Matcher:
        opened.append(fresh_matcher(home))
        return opened[-1]

    monkeypatch.setenv("MATCHER_HOME", str(home))
    monkeypatch.setattr("matcher.engine.Matcher", open_again)
    yield lambda *arguments: CliRunner().invoke(app, arguments)
    for one in opened:
        one.embedder.close()


def test_a_lead_from_the_list_to_the_contract(run: Run, tmp_path: Path) -> None:
    scope = ("leads", "--programme", "food", "--account", "甲", "-k", "5", "--min-level", "1", "--format", "json")
    done = run(*scope)
    assert done.exit_code == 0, done.output
    drawn = json.loads(done.stdout)
    assert drawn["new"] == len(drawn["leads"]) == 5
    assert "其中新线索 5 条" in done.stderr
    assert json.loads(run(*scope).stdout)["new"] == 0
    id_ = drawn["leads"][0]["id"]
    assert isinstance(run("lead", "show", id_, "--account", "乙").exception, NotFound)
    assert (
        "已联系；王工 13900001111"
        in run("lead", "step", id_, "--status", "contacted", "--note", "王工 13900001111", "--account", "甲").stdout
    )
    unknown = run("lead", "step", id_, "--status", "signed", "--account", "甲")
    assert isinstance(unknown.exception, InvalidLead)
    signed = run(
        *("lead", "step", id_, "--status", "signed", "--amount", "800000", "--signed-on", "2026-04-02", "--major"),
        *("--account", "甲", "--json"),
    )
    assert json.loads(signed.stdout)["amount"] == 800_000
    stale = run("lead", "step", id_, "--status", "signed", "--amount", "1", "--revision", "1", "--account", "甲")
    assert "刚被修改过" in str(stale.exception)
    shown = run("lead", "show", id_, "--account", "甲").stdout
    assert "合同金额 800,000 元，2026-04-02，重大成果" in shown
    assert run("lead", "assign", id_, "乙", "--account", "甲").exit_code == 0
    assert isinstance(run("lead", "show", id_, "--account", "甲").exception, NotFound)
    assert "交给 乙" in run("lead", "show", id_).stdout
    path = tmp_path / "signed.xlsx"
    assert run("lead", "list", "--status", "signed", "--format", "xlsx", "-o", str(path)).exit_code == 0
    sheet = load_workbook(path).active
    assert sheet is not None
    titles, values = ([cell.value for cell in row] for row in sheet.iter_rows())
    line = dict(zip(titles, values, strict=True))
    assert (line["状态"], line["负责人"], line["合同金额（元）"]) == ("已签约", "乙", 800_000)
    assert (sheet.freeze_panes, bool(sheet.auto_filter.ref)) == ("A2", True)


@pytest.mark.parametrize("format_", ["table", "csv", "json"])
def test_what_the_machine_writes_holds_no_private_need_and_no_name_of_who_hides(run: Run, format_: str) -> None:
    offers = [record.id for record in sample.records("achievement") if "银耳" in record.title]
    told = run("leads", "--offer", offers[0], "--min-level", "1", "-k", "500", "--peek", "--format", format_)
    assert told.exit_code == 0
    assert "某企业" in told.stdout
    assert not any(part in told.stdout for part in (NAME, "垚淼", "vk9q", PRIVATE.id))


def test_a_csv_opens_as_a_table(run: Run) -> None:
    done = run("leads", "--county", "四川省", "--format", "csv", "--min-level", "1", "--peek")
    lines = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(lines) == 50
    assert all(line["需求（链接）"].startswith("http://127.0.0.1:8000/records/need-") for line in lines)
    assert all(line["理由"].endswith("。") for line in lines)
    assert "只是看看" in done.stderr


def test_lists_are_saved_drawn_again_and_forgotten(run: Run) -> None:
    first = run(
        "leads", "--county", "巴中市", "--min-level", "2", "--account", "乙", "--save", "巴中", "--format", "json"
    )
    again = run("leads", "--list", "巴中", "--account", "乙", "--format", "json")
    assert json.loads(first.stdout)["new"] > 0
    assert json.loads(again.stdout)["new"] == 0
    assert isinstance(run("leads", "--list", "巴中").exception, NotFound)
    listed = run("lead", "lists", "--account", "乙").stdout
    assert listed.startswith("巴中（list-")
    assert "county=巴中市" in listed
    assert json.loads(run("lead", "lists", "--account", "乙", "--remove", "巴中", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("leads", "--offer", "x", "--format", "pdf"), "不是格式"),
        (("leads", "--offer", "x", "--format", "xlsx"), "-o"),
        (("leads", "--list", "x", "--programme", "food"), "--list"),
        (("lead", "list", "--status", "won"), "不是状态"),
        (("lead", "step", "lead-0", "--status", "signed", "--signed-on", "昨天"), "不是日期"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_sentence(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert sentence in done.output


def test_what_there_is_not_is_named(run: Run) -> None:
    assert isinstance(run("leads").exception, InvalidLead)
    assert isinstance(run("leads", "--offer", "ach-x").exception, NotFound)
    assert isinstance(run("leads", "--programme", "food", "--account", "某厂").exception, Forbidden)
    assert isinstance(run("lead", "show", "lead-0").exception, NotFound)
    empty = run("leads", "--enterprise", "没有这家企业", "--peek")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "没有可供匹配的需求" in empty.stderr
