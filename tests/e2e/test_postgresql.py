"""Servers and ingesting processes that share a PostgreSQL database and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from matcher.store import Store
from tests.e2e.running import Service, command, environment, matcher, service, start, wait_for
from tests.e2e.test_service import FIRST, SECOND, short, write
from tests.postgresql import Server

ROWS = 520  # a batch and a bit
# A server leaves a backlog to the process that stored it for ten seconds, and then embeds it all itself.
INDEXED_WITHIN_SECONDS = 180
Homes = Callable[[str], Path]


@pytest.fixture
def url(postgresql: Server) -> Iterator[str]:
    address = postgresql.create()
    yield address
    postgresql.drop(address)


@pytest.fixture
def homes(model_home: Path, tmp_path: Path) -> Homes:
    """Makes installations with the prepared model, each as if on a machine of its own."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model").symlink_to(model_home / "model")
        return folder

    return make


def numbers(postgresql: Server, url: str) -> tuple[int, int, int]:
    """Achievements in the database, different ones among them, and revisions given out."""
    counts = "SELECT count(*), count(DISTINCT (source, source_id)) FROM records WHERE kind = 'achievement'"
    ((whole, different),) = postgresql.execute(counts, url)
    ((revisions,),) = postgresql.execute("SELECT count(DISTINCT revision) FROM records", url)
    return whole, different, revisions


def exported(home: Path, path: Path, **settings: str) -> list[str]:
    assert matcher(home, "export", "-o", path, **settings).returncode == 0
    return sorted(path.read_text("utf-8").splitlines())


def test_two_servers_and_a_killed_ingest_end_with_every_record_once_and_found_by_both(
    homes: Homes, postgresql: Server, url: str, tmp_path: Path
) -> None:
    shared = {"MATCHER_DATABASE_URL": url, "MATCHER_THREADS": "1"}
    feeding = homes("feeding")
    assert matcher(feeding, "ingest", write(tmp_path / "成果.csv", [FIRST]), **shared).returncode == 0
    many = write(tmp_path / "许多.csv", [*short(ROWS - 1, 7), SECOND])
    with service(homes("甲"), **shared) as one, service(homes("乙"), **shared) as two:

        def answered() -> None:
            for each in (one, two):
                status, answer = each.post("/v1/match", {"text": "套管腐蚀监测", "min_level": 1})
                assert status == 200, answer
                assert all(match["record"]["title"] for match in answer["matches"])

        # Killed as soon as some of it is stored, then once more somewhere in the embedding.
        process = start(feeding, "ingest", many, **shared)
        wait_for(lambda: numbers(postgresql, url)[0] > 1, 60)
        process.kill()
        process.wait(30)
        stored = numbers(postgresql, url)[0]
        assert (stored - 1) % 500 == 0 or stored == ROWS + 1  # whole batches
        answered()
        process = start(feeding, "ingest", many, **shared)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            answered()
        process.kill()
        process.wait(30)
        done = matcher(feeding, "ingest", many, "--json", **shared)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["added"] + report["unchanged"], report["updated"], report["rejected"]) == (ROWS, 0, 0)

        for each in (one, two):
            wait_for(lambda each=each: indexed(each) == ROWS + 1, INDEXED_WITHIN_SECONDS)
            assert SECOND[0] in each.titles("套管腐蚀监测")
            assert FIRST[0] in each.titles("香菇脆片含油率太高")
    whole, different, revisions = numbers(postgresql, url)
    assert (whole, different) == (ROWS + 1, ROWS + 1)
    # The owners too: 秦巴, 巴山, 川东.
    assert revisions == ROWS + 1 + 3
    # The same as where nothing was killed and nothing went over a network.
    quiet = homes("quiet")
    shutil.copy(feeding / "vectors.db", quiet)  # they cost time only
    for path in (tmp_path / "成果.csv", many):
        assert matcher(quiet, "ingest", path).returncode == 0
    assert exported(feeding, tmp_path / "pg.jsonl", **shared) == exported(quiet, tmp_path / "sqlite.jsonl")


def indexed(running: Service) -> int:
    """Records that a server can find."""
    count: int = running.post("/v1/match", {"text": "焊接"})[1]["index"]["records"]
    return count


def test_the_same_file_from_three_machines_at_once_goes_in_once(
    homes: Homes, postgresql: Server, url: str, tmp_path: Path
) -> None:
    shared = {"MATCHER_DATABASE_URL": url, "MATCHER_THREADS": "1"}
    rows = write(tmp_path / "成果.csv", short(40, 3))
    processes = [start(homes(name), "ingest", rows, **shared) for name in ("甲", "乙", "丙")]
    assert [process.wait(180) for process in processes] == [0, 0, 0]
    assert numbers(postgresql, url) == (40, 40, 41)
    for name in ("甲", "乙", "丙"):
        figures = json.loads(matcher(tmp_path / name, "stats", "--json", **shared).stdout)
        assert figures["index"] == {"generation": figures["index"]["generation"], "records": 40, "behind": 0}


def test_two_servers_of_one_home_find_what_is_ingested_beside_them(homes: Homes, url: str, tmp_path: Path) -> None:
    home, shared = homes("home"), {"MATCHER_DATABASE_URL": url}
    assert matcher(home, "ingest", write(tmp_path / "成果一.csv", [FIRST]), **shared).returncode == 0
    with service(home, **shared) as one, service(home, **shared) as two:
        assert matcher(home, "ingest", write(tmp_path / "成果二.csv", [SECOND]), **shared).returncode == 0
        for each in (one, two):
            wait_for(lambda each=each: SECOND[0] in each.titles("套管腐蚀监测"), 5)


def test_a_server_outlives_a_database_that_goes_away_for_a_while(
    homes: Homes, postgresql: Server, url: str, tmp_path: Path
) -> None:
    home, shared = homes("home"), {"MATCHER_DATABASE_URL": url}
    assert matcher(home, "ingest", write(tmp_path / "成果.csv", [FIRST]), **shared).returncode == 0
    with service(home, **shared) as running:
        assert running.titles("香菇脆片含油率太高") == [FIRST[0]]
        assert postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")
        assert running.titles("香菇脆片含油率太高") == [FIRST[0]]


def test_a_database_that_cannot_be_reached_is_named_in_one_sentence(homes: Homes) -> None:
    done = matcher(homes("home"), "stats", MATCHER_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 1
    assert "MATCHER_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_ingest_whose_connections_are_cut_says_so_and_goes_on_when_run_again(
    homes: Homes, postgresql: Server, url: str, tmp_path: Path
) -> None:
    home, shared = homes("home"), {"MATCHER_DATABASE_URL": url, "MATCHER_THREADS": "1"}
    many = write(tmp_path / "许多.csv", short(2000, 5))
    Store(url).close()  # makes the tables
    running = subprocess.Popen(
        command("ingest", many), env=environment(home, **shared), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%' AND state <> 'idle'"
    wait_for(lambda: numbers(postgresql, url)[0] >= 500, 60)
    while running.poll() is None:
        postgresql.execute(cut)
    assert running.stderr
    said = running.stderr.read().decode()
    running.stderr.close()
    stored = numbers(postgresql, url)[0]
    assert (running.returncode, "Traceback" in said) == (1, False), said
    assert "连不上数据库服务器，或连接中断" in said
    assert "再运行一次" in said
    assert stored % 500 == 0
    again = matcher(home, "ingest", write(tmp_path / "少些.csv", short(600, 5)), "--source", "许多", **shared)
    assert again.returncode == 0, again.stderr
    assert numbers(postgresql, url)[0] == max(stored, 600)
