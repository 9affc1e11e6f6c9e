"""The command line as a user meets it: real files, real exit codes, Chinese sentences."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.running import environment, matcher, process

PATENTS = """专利清单导出,,,,,
公开(公告)号,标题,摘要,申请人,IPC分类号,申请日
CN199900001A,一种菌袋灭菌柜的余热回收装置,灭菌结束后的高温冷凝水经板式换热器预热下一柜给水，蒸汽消耗下降百分之三十。,巴蜀菌机有限公司,A01G18/00;F22D1/00,2023.5.6
,,,,,
CN199900002B,一种核桃壳活性炭的制备方法,核桃壳经磷酸浸渍、两段炭化与水洗，比表面积一千四百平方米每克，用于果酒脱色。,巴蜀炭材料研究所,C01B32/318,2021年3月8日
CN199900003A,,没有标题的一行。,某单位,A01B1/00,2020-01-01
CN199900004A,一种日期写错的专利,内容写得很清楚但是日期不对。,某单位,A01B1/00,2020年13月40日
"""


@pytest.fixture
def home(model_home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "model").symlink_to(model_home / "model")
    return folder


@pytest.fixture
def patents(tmp_path: Path) -> Path:
    path = tmp_path / "专利.csv"
    path.write_bytes(PATENTS.encode("gb18030"))
    return path


def test_a_gbk_export_with_a_title_row_goes_in_and_bad_rows_are_named(home: Path, patents: Path) -> None:
    done = matcher(home, "ingest", patents, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {name: report[name] for name in ("read", "added", "updated", "unchanged", "rejected")} == {
        "read": 4,
        "added": 2,
        "updated": 0,
        "unchanged": 0,
        "rejected": 2,
    }
    with Path(report["rejects_file"]).open(encoding="utf-8-sig", newline="") as file:
        rejects = list(csv.DictReader(file))
    assert [(row["行号"], row["字段"]) for row in rejects] == [("6", "标题"), ("7", "申请日")]
    assert all(row["原因"] for row in rejects)
    again = json.loads(matcher(home, "ingest", patents, "--json").stdout)
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, 2)
    assert "没有任何改动" not in matcher(home, "ingest", patents).stderr  # two rows were refused again


def test_the_same_question_gets_the_same_answer_twice(home: Path, patents: Path) -> None:
    matcher(home, "ingest", patents)
    question = ("match", "灭菌柜蒸汽用得太多，想把冷凝水的热量收回来", "--json")
    first, second = (json.loads(matcher(home, *question).stdout) for _ in range(2))
    for answer in (first, second):
        answer.pop("took_ms")
    assert first == second
    best = first["matches"][0]
    assert best["record"]["title"] == "一种菌袋灭菌柜的余热回收装置"
    assert best["record"]["date"] == "2023-05-06"
    assert best["why"]["passage"] in "灭菌结束后的高温冷凝水经板式换热器预热下一柜给水，蒸汽消耗下降百分之三十。"
    assert first["partners"][0]["institution"]["name"] == "巴蜀菌机有限公司"
    assert first["partners"][0]["evidence"] == [best["record"]["id"]]


def test_nothing_that_fits_is_said_in_a_sentence(home: Path, patents: Path) -> None:
    matcher(home, "ingest", patents)
    done = process(home, "match", "今天天气怎么样，明天会不会下雨")
    assert done.returncode == 0
    assert "没有找到" in done.stdout


def test_an_enterprise_is_never_its_own_partner(home: Path, patents: Path) -> None:
    matcher(home, "ingest", patents)
    text = "灭菌柜蒸汽用得太多，想把冷凝水的热量收回来"
    done = matcher(home, "partners", text, "--enterprise", "巴蜀菌机有限公司", "--json")
    names = [partner["institution"]["name"] for partner in json.loads(done.stdout)["partners"]]
    assert "巴蜀菌机有限公司" not in names


def test_a_picture_is_refused_in_one_sentence_with_exit_code_two(home: Path, tmp_path: Path) -> None:
    picture = tmp_path / "照片.csv"
    picture.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 20)
    done = process(home, "ingest", picture)
    assert done.returncode == 2
    assert done.stderr.startswith("错误：")
    assert "Traceback" not in done.stderr
    assert matcher(home, "ingest", tmp_path / "没有.csv").returncode == 2


def test_a_good_file_beside_a_bad_one_goes_in(home: Path, patents: Path, tmp_path: Path) -> None:
    done = matcher(home, "ingest", tmp_path / "没有.csv", patents)
    assert done.returncode == 2
    assert json.loads(matcher(home, "stats", "--json").stdout)["records"]["patent"] == 2


def test_columns_with_names_nobody_knows_are_mapped_by_hand(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "成果.csv"
    table.write_text("甲,乙\n低温真空油炸香菇脆片工艺,含油率低于百分之十八\n", encoding="utf-8")
    assert matcher(home, "ingest", table).returncode == 2
    wrong = matcher(home, "ingest", table, "--kind", "achievement", "--map", "标题=丙")
    assert wrong.returncode == 2
    assert "丙" in wrong.stderr
    done = matcher(home, "ingest", table, "--kind", "achievement", "--map", "标题=甲", "--map", "abstract=乙", "--json")
    assert json.loads(done.stdout)["added"] == 1


def test_tags_come_as_csv_and_as_json(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "待标注.csv"
    table.write_text(
        "id,text\n1,规模化猪场沼液的膜浓缩与氨氮去除工艺\n2,面向移动支付的身份认证协议\n3,\n", encoding="utf-8"
    )
    rows = json.loads(matcher(home, "tag", table, "--json").stdout)
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert "environment" in [programme["code"] for programme in rows[0]["programmes"]]
    assert rows[1]["programmes"] == rows[2]["programmes"] == []
    out = tmp_path / "标注.csv"
    assert matcher(home, "tag", table, "-o", out).returncode == 0
    with out.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["id", "programmes", "scores"]
    assert "environment" in lines[1][1].split(";")
    assert lines[2] == ["2", "", ""]


def test_an_export_can_be_ingested_again(home: Path, patents: Path, tmp_path: Path) -> None:
    matcher(home, "ingest", patents)
    out = tmp_path / "patents.jsonl"
    assert matcher(home, "export", "--kind", "patent", "-o", out).returncode == 0
    assert len(out.read_text("utf-8").splitlines()) == 2
    other = tmp_path / "other"
    other.mkdir()
    (other / "model").symlink_to(home / "model")
    assert json.loads(matcher(other, "ingest", out, "--json").stdout)["added"] == 2


def test_a_confidential_need_is_in_no_answer_and_no_export(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "需求.csv"
    table.write_text(
        "需求名称,需求内容,企业名称,公开范围,联系人\n"
        "石墨坩埚抗氧化涂层,坩埚在一千六百度下使用三十次后失重过大,川北坩埚厂,不公开,某某\n"
        "石墨电极抗氧化涂层,电极在炼钢炉中侧面氧化严重,川北电极厂,公开,某某\n",
        encoding="utf-8",
    )
    assert matcher(home, "ingest", table).returncode == 0
    found = json.loads(matcher(home, "match", "石墨抗氧化涂层", "--kind", "need", "--min-level", "1", "--json").stdout)
    assert [match["record"]["title"] for match in found["matches"]] == ["石墨电极抗氧化涂层"]
    exported = matcher(home, "export").stdout
    assert "石墨电极" in exported
    assert "坩埚" not in exported
    assert "某某" not in exported


def test_a_wrong_setting_is_named_with_its_remedy(home: Path) -> None:
    done = matcher(home, "stats", MATCHER_PORT="八千")
    assert done.returncode == 1
    assert "MATCHER_PORT" in done.stderr
    done = matcher(home, "match", "银耳", MATCHER_MODEL=str(home / "no-such-model"))
    assert done.returncode == 1
    assert "MATCHER_MODEL" in done.stderr
    done = matcher(home, "match", "银耳", MATCHER_RANKER=str(home))
    assert done.returncode == 1
    assert "MATCHER_RANKER" in done.stderr


def test_a_text_of_more_than_twenty_thousand_characters_is_refused(home: Path, tmp_path: Path) -> None:
    text = tmp_path / "长文.txt"
    text.write_text("银耳烘干" * 5001, encoding="utf-8")
    done = matcher(home, "match", "--file", text)
    assert done.returncode == 1
    assert "20000" in done.stderr


def test_help_needs_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    check = (
        "import sys; sys.argv = ['matcher', '--help']\n"
        "from matcher.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'faiss', 'numpy', 'sqlalchemy', 'jieba') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_matching_imports_neither_torch_nor_sentence_transformers_for_the_embedded_model(home: Path) -> None:
    check = (
        "import sys\n"
        "from matcher.engine import Matcher, MatchQuery\n"
        "from matcher.settings import load_settings\n"
        "matcher = Matcher(load_settings())\n"
        "matcher.match(MatchQuery(text='银耳'))\n"
        "print([name for name in ('torch', 'sentence_transformers', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], env=environment(home), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
