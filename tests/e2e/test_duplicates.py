"""Duplicates as a person at the command line meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.running import matcher

BODY = (
    "核桃壳经破碎、磷酸浸渍、两段炭化与水洗烘干制得活性炭，比表面积1400 m²/g，用于果酒脱色，"
    "脱色率提高两成，可再生五次以上，收率38%，已建成年产300吨的生产线。"
)
EDITED = (
    "以核桃壳为原料，经破碎、磷酸浸渍、两段炭化与水洗烘干制得活性炭，用于果酒脱色，"
    "脱色率提高20%，收率百分之三十八，已建成年产300吨的生产线。欢迎洽谈。"
)


@pytest.fixture
def home(model_home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "model").symlink_to(model_home / "model")
    files = {
        "甲": f"CN199900002A,一种核桃壳活性炭的制备方法,{BODY},巴蜀炭材料研究所",
        "乙": f"CN 199900002 B,核桃壳活性炭的制备方法,{BODY[:-1]}，已获奖。,巴蜀炭材料研究所",
        "丙": f",一种核桃壳活性炭的制备方法,{EDITED},",
    }
    for source, row in files.items():
        (tmp_path / f"{source}.csv").write_text(f"公开号,标题,摘要,申请人\n{row}\n", encoding="utf-8")
    done = matcher(folder, "ingest", *(tmp_path / f"{source}.csv" for source in files))
    # A file that comes in is compared at once.
    assert "与已有记录重复：自动合并 0 对，待确认 1 对" in done.stderr
    return folder


def test_the_grant_is_merged_as_it_comes_in_and_an_edited_copy_when_somebody_says_so(home: Path) -> None:
    (exact,) = json.loads(matcher(home, "duplicates", "--state", "merged", "--json").stdout)
    assert (exact["basis"], exact["automatic"]) == ("publication", True)
    (proposed,) = json.loads(matcher(home, "duplicates", "--json").stdout)
    assert "标题相同" in proposed["why"]
    number = str(proposed["number"])

    merged = matcher(home, "duplicates", "--merge", number)
    assert merged.returncode == 0
    assert "已合并" in merged.stdout
    again = matcher(home, "duplicates", "--reject", number)
    assert again.returncode == 1
    assert f"--undo {number}" in again.stderr
    assert "已否定" in matcher(home, "duplicates", "--undo", number).stdout
