"""A serving process and an ingesting one beside it, killed at any moment."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import psutil
import pytest

from matcher.ingest import BATCH
from tests.e2e.running import matcher, service, start, wait_for

FIELDS = "成果名称,成果简介,完成单位"
# DESIGN's promise: a record ingested by one process is found by a running API within this time.
FOUND_WITHIN_SECONDS = 5
ROWS = BATCH + 20


def write(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    path.write_text("\n".join([FIELDS, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


FIRST = (
    "低温真空油炸香菇脆片工艺",
    "采用零下真空与变频离心脱油，含油率低于百分之十八，保持菇形与色泽。",
    "秦巴食用菌工程中心",
)
SECOND = (
    "井下套管腐蚀在线监测装置",
    "用电感探针测量套管壁厚损失，分辨率一微米，数据经载波上传井口。",
    "川东油气装备研究所",
)


def invented(count: int, seed: int) -> list[tuple[str, str, str]]:
    """Rows that differ in every word, so that each must be embedded."""
    draw = random.Random(seed)
    words = [
        "酶解",
        "发酵",
        "铸造",
        "焊接",
        "催化",
        "吸附",
        "萃取",
        "结晶",
        "烧结",
        "纺丝",
        "涂覆",
        "蒸馏",
        "过滤",
        "研磨",
        "干燥",
        "粉碎",
        "电解",
        "镀膜",
        "注塑",
        "锻压",
    ]
    rows = []
    for number in range(count):
        chosen = draw.sample(words, 6)
        rows.append((f"{''.join(chosen[:3])}装置第{seed}批{number}号", "与".join(chosen) * 3, "巴山装备研究院"))
    return rows


def short(count: int, seed: int) -> list[tuple[str, str, str]]:
    """Rows that are quick to embed."""
    return [(title, "", owner) for title, _, owner in invented(count, seed)]


@pytest.fixture
def home(model_home: Path, tmp_path: Path) -> Path:
    """An empty installation that shares the prepared model."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "model").symlink_to(model_home / "model")
    return folder


def test_a_running_service_finds_what_another_process_ingests_within_five_seconds(home: Path, tmp_path: Path) -> None:
    assert matcher(home, "ingest", write(tmp_path / "成果一.csv", [FIRST])).returncode == 0
    with service(home) as running:
        assert running.titles("香菇脆片含油率太高") == [FIRST[0]]
        assert SECOND[0] not in running.titles("套管腐蚀监测")
        done = matcher(home, "ingest", write(tmp_path / "成果二.csv", [SECOND]))
        assert done.returncode == 0, done.stderr
        wait_for(lambda: SECOND[0] in running.titles("套管腐蚀监测"), FOUND_WITHIN_SECONDS)


def test_a_killed_ingest_loses_nothing_that_it_stored_and_the_service_finishes_its_work(
    home: Path, tmp_path: Path
) -> None:
    assert matcher(home, "ingest", write(tmp_path / "成果一.csv", [FIRST])).returncode == 0
    many = write(tmp_path / "许多.csv", short(ROWS, 1))
    for delay in (0.8, 2.0, 4.0):
        process = start(home, "ingest", many)
        time.sleep(delay)
        process.kill()
        process.wait(30)
    stored = json.loads(matcher(home, "stats", "--json").stdout)["records"]["achievement"]
    assert stored in (1, BATCH + 1, ROWS + 1)  # whole batches or nothing of them
    with service(home) as running:
        assert running.titles("香菇脆片含油率太高") == [FIRST[0]]
        wait_for(lambda: running.post("/v1/match", {"text": "焊接"})[1]["index"]["records"] == stored, 120)
    again = json.loads(matcher(home, "ingest", many, "--json").stdout)
    assert again["rejected"] == 0
    assert again["added"] + again["unchanged"] == ROWS
    figures = json.loads(matcher(home, "stats", "--json").stdout)
    assert figures["records"]["achievement"] == ROWS + 1
    assert figures["index"] == {"generation": figures["index"]["generation"], "records": ROWS + 1, "behind": 0}


def test_a_killed_service_comes_back_with_everything(home: Path, tmp_path: Path) -> None:
    assert matcher(home, "ingest", write(tmp_path / "成果.csv", [FIRST, SECOND])).returncode == 0
    for _ in range(2):
        with service(home) as running:
            assert running.titles("套管腐蚀监测") == [SECOND[0]]
            running.kill()
    with service(home) as running:
        assert running.titles("香菇脆片含油率太高") == [FIRST[0]]


def test_two_workers_both_find_what_is_new_and_end_with_their_parent(home: Path, tmp_path: Path) -> None:
    assert matcher(home, "ingest", write(tmp_path / "成果一.csv", [FIRST])).returncode == 0
    with service(home, MATCHER_WORKERS="2", MATCHER_THREADS="1") as running:
        workers = psutil.Process(running.process.pid).children(recursive=True)
        assert matcher(home, "ingest", write(tmp_path / "成果二.csv", [SECOND])).returncode == 0

        def always_found() -> bool:
            # Each request is a connection of its own, which either worker may take.
            return all(SECOND[0] in running.titles("套管腐蚀监测") for _ in range(10))

        wait_for(always_found, 30)
        running.kill()
        assert psutil.wait_procs(workers, 20)[1] == []


def test_two_ingests_at_once_both_get_in_and_nothing_is_doubled(home: Path, tmp_path: Path) -> None:
    files = [write(tmp_path / f"第{seed}批.csv", short(60, seed)) for seed in (1, 2, 3)]
    processes = [start(home, "ingest", file) for file in files]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    figures = json.loads(matcher(home, "stats", "--json").stdout)
    assert figures["records"]["achievement"] == 180
    assert figures["index"]["records"] == 180


def test_a_damaged_index_is_named_and_rebuilt_by_reindex(home: Path, tmp_path: Path) -> None:
    assert matcher(home, "ingest", write(tmp_path / "成果.csv", [FIRST, SECOND])).returncode == 0
    for file in (home / "index").glob("*/segments/*/body.npy"):
        file.write_bytes(file.read_bytes()[:100])
    broken = matcher(home, "match", "套管腐蚀监测")
    assert broken.returncode == 1
    assert "matcher reindex" in broken.stderr
    assert "Traceback" not in broken.stderr
    assert matcher(home, "reindex").returncode == 0
    answer = json.loads(matcher(home, "match", "套管腐蚀监测", "--json").stdout)
    assert [match["record"]["title"] for match in answer["matches"]] == [SECOND[0]]
