"""The commands for the rights of people, as their operator meets them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.running import matcher
from tests.people.support import places_of

PHONE = "13812345678"
OFFERS = f"""成果名称,成果简介,完成单位,联系人
银耳低温烘干技术,热泵除湿使烘干时间缩短一半。,巴山菌业研究所,张三 {PHONE}
石墨高温提纯技术,真空除铁使纯度达到四个九。,秦岭炭材料研究所,李四 13900000001
,没有标题的一行 {PHONE},某单位,张三 {PHONE}
"""


@pytest.fixture
def home(model_home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "model").symlink_to(model_home / "model")
    table = tmp_path / "成果.csv"
    table.write_text(OFFERS, "utf-8")
    assert matcher(folder, "ingest", table).returncode == 0
    return folder


def test_a_person_gets_a_copy_and_goes_out_of_every_file(home: Path) -> None:
    done = matcher(home, "person", "export", "--contact", "138-1234-5678")
    assert [one["contact"] for one in json.loads(done.stdout)["contacts"]] == [f"张三 {PHONE}"]
    asked = matcher(home, "person", "erase", "--contact", PHONE)
    assert asked.returncode == 1
    assert "将从 1 条记录中删除联系方式" in asked.stderr
    assert "加上 --yes" in asked.stderr
    assert places_of(home, PHONE)
    done = matcher(home, "person", "erase", "--contact", PHONE, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["contacts"], told["files"], told["complete"]) == (1, 1, True)
    assert "备份文件不受影响" in done.stderr
    assert places_of(home, PHONE) == []
    assert places_of(home, "13900000001")
    assert json.loads(matcher(home, "stats", "--json").stdout)["records"]["achievement"] == 2
    retained_by_an_older_version(home)
    done = matcher(home, "retention")
    assert done.returncode == 0, done.stderr
    assert "保留期：730 天" in done.stderr
    assert places_of(home, "13900000001") == []


def retained_by_an_older_version(home: Path) -> None:
    """Leave in the database's free pages what was deleted before it overwrote them."""
    with closing(sqlite3.connect(home / "matcher.db")) as database:
        database.execute("PRAGMA secure_delete=OFF")
        database.execute("DELETE FROM contacts")
        database.commit()
    assert places_of(home, "13900000001")
