"""A back-up taken while others write, restored into a new home: the same records, the same matches."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from matcher.engine import Matcher
from matcher.queries import MatchQuery
from matcher.settings import load_settings
from tests.e2e.running import command, environment, matcher, service, start, wait_for
from tests.e2e.test_service import FIRST, SECOND, short, write
from tests.faults.disks import small_disk

QUESTIONS = ("香菇脆片含油率太高", "套管腐蚀监测", "焊接与镀膜设备")


@pytest.fixture
def home(model_home: Path, tmp_path: Path) -> Path:
    return new_home(tmp_path / "home", model_home)


def new_home(folder: Path, model_home: Path) -> Path:
    folder.mkdir()
    (folder / "model").symlink_to(model_home / "model")
    return folder


def rows(path: Path) -> dict[str, list[Any]]:
    """All that a database holds."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}


def answers(home: Path) -> list[Any]:
    """What everybody would be answered."""
    with closing(Matcher(load_settings(home=home, threads=1))) as opened:
        found = [opened.match(MatchQuery(text=text, min_level=1, limit=30)) for text in QUESTIONS]
        assert all(answer.matches for answer in found)
        return [(answer.matches, answer.partners, answer.terms, answer.records) for answer in found]


def checked(home: Path) -> dict[str, Any]:
    done = matcher(home, "check", "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (0, True), report
    return report


def test_a_back_up_while_others_write_is_restored_record_by_record_and_match_by_match(
    home: Path, model_home: Path, tmp_path: Path
) -> None:
    first = write(tmp_path / "成果一.csv", [FIRST, SECOND, *short(40, 1)])
    assert matcher(home, "ingest", first).returncode == 0
    many = write(tmp_path / "许多.csv", short(1600, 2))
    archives = []
    with service(home, MATCHER_THREADS="1") as running:
        writer = start(home, "ingest", many, MATCHER_THREADS="1")
        while len(archives) < 2:
            done = matcher(home, "backup", tmp_path / f"{len(archives)}.zip", "--json")
            assert done.returncode == 0, done.stderr
            archives.append(json.loads(done.stdout))
        assert running.titles(QUESTIONS[0]) == [FIRST[0]]
        writer.kill()
        writer.wait(30)
    # Whole batches, and more of them as time went by.
    sizes = [one["counts"]["records"] for one in archives]
    assert sizes == sorted(sizes)
    assert {size - 42 - 3 for size in sizes} <= {0, 500, 1000, 1500, 1600}

    fresh = new_home(tmp_path / "fresh", model_home)
    shutil.copy(home / "vectors.db", fresh)  # they cost time only
    done = matcher(fresh, "restore", archives[0]["file"])
    assert done.returncode == 0, done.stderr
    assert "已恢复" in done.stderr
    assert "索引已重建" in done.stderr
    with zipfile.ZipFile(archives[0]["file"]) as archive:
        archive.extract("matcher.db", tmp_path)
    restored, kept = rows(fresh / "matcher.db"), rows(tmp_path / "matcher.db")
    for table in kept.keys() - {"tags"}:  # which the index makes anew where it had not come yet
        assert restored[table] == kept[table], table
    report = checked(fresh)
    assert (report["records"], report["behind"]) == (sum("achievement" in row for row in kept["records"]), 0)
    # The same file once more changes nothing: ids, owners and contents are the old ones.
    again = json.loads(matcher(fresh, "ingest", first, "--json").stdout)
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, 42)

    # What the original answers when it holds the same is what the restored one answers.
    assert matcher(home, "restore", archives[0]["file"]).returncode == 1
    forced = matcher(home, "restore", archives[0]["file"], "--force")
    assert forced.returncode == 0, forced.stderr
    assert "before-restore-1" in forced.stderr
    assert answers(home) == answers(fresh)
    checked(home)


def test_a_store_in_use_is_not_restored_over_and_damage_is_told_with_exit_code_one(home: Path, tmp_path: Path) -> None:
    assert matcher(home, "ingest", write(tmp_path / "成果.csv", [FIRST])).returncode == 0
    archive = tmp_path / "b.zip"
    assert matcher(home, "backup", archive).returncode == 0
    with service(home) as running:
        refused = matcher(home, "restore", archive, "--force")
        assert (refused.returncode, "停止 matcher serve" in refused.stderr) == (1, True)
        assert running.titles(QUESTIONS[0]) == [FIRST[0]]
    assert matcher(home, "check").returncode == 0
    archive.write_bytes(archive.read_bytes()[:-100])
    broken = matcher(home, "restore", archive, "--force")
    assert (broken.returncode, "完整备份" in broken.stderr) == (1, True)
    (home / "matcher.db").write_bytes(b"not a database" * 1000)
    for name in ("stats", "check"):
        done = matcher(home, name)
        assert done.returncode == 1
        assert "matcher restore" in done.stderr
        assert "Traceback" not in done.stderr


def test_commands_on_a_full_disk_end_with_a_sentence_and_go_on_when_there_is_room(
    model_home: Path, tmp_path: Path
) -> None:
    table = write(tmp_path / "成果.csv", [FIRST, SECOND, *short(40, 3)])
    with small_disk(tmp_path / "disk", 24) as disk:
        home = new_home(disk.folder / "home", model_home)
        for left in (0, 500_000):
            disk.fill(left)
            done = matcher(home, "ingest", table)
            assert done.returncode == 1, left
            assert "磁盘已满" in done.stderr
            assert "再运行一次" in done.stderr
            assert "Traceback" not in done.stderr
            disk.empty()
        assert matcher(home, "ingest", table).returncode == 0
        assert checked(home)["records"] == 42
        disk.fill(4096)
        done = matcher(home, "export", "-o", disk.folder / "all.jsonl")
        assert (done.returncode, "磁盘已满" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_a_killed_worker_is_replaced_and_the_service_answers_meanwhile(home: Path, tmp_path: Path) -> None:
    assert matcher(home, "ingest", write(tmp_path / "成果.csv", [FIRST])).returncode == 0
    with service(home, MATCHER_WORKERS="2", MATCHER_THREADS="1") as running:

        def workers() -> list[psutil.Process]:
            found = psutil.Process(running.process.pid).children()
            alive = [one for one in found if one.status() != psutil.STATUS_ZOMBIE]
            return [one for one in alive if "spawn_main" in " ".join(one.cmdline())]

        wait_for(lambda: len(workers()) == 2, 30)
        (victim, *_) = before = workers()
        os.kill(victim.pid, signal.SIGKILL)
        wait_for(lambda: len(workers()) == 2 and victim not in workers(), 90)
        assert {one.pid for one in before} != {one.pid for one in workers()}
        wait_for(lambda: all(running.titles(QUESTIONS[0]) == [FIRST[0]] for _ in range(5)), 60)


def test_an_ingest_whose_index_cannot_be_written_says_that_the_records_are_safe(home: Path, tmp_path: Path) -> None:
    assert matcher(home, "ingest", write(tmp_path / "一.csv", [FIRST])).returncode == 0
    (folder,) = (home / "index").iterdir()
    (folder / "CURRENT").write_text("garbage")
    done = subprocess.run(
        command("ingest", write(tmp_path / "二.csv", [SECOND]), "--json"),
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["added"] == 1
    assert "matcher reindex" in done.stderr
    assert matcher(home, "reindex").returncode == 0
    assert checked(home)["records"] == 2
