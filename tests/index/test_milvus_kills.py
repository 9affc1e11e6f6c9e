"""What a killed writer leaves on a Milvus server."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.index.support import MilvusOpener, check_milvus_tidy, child, keys_of, mushroom, write

# What a child process runs: it dies of SIGKILL at a moment of its second flush.
VICTIM = """
import os, signal, sys
from pathlib import Path

from matcher.milvus import writer as module
from matcher.milvus.log import Log
from matcher.milvus.server import Server
from matcher.milvus.writer import MilvusWriter
from tests.fakes import index_document
from tests.index.support import milvus

folder, uri, moment = sys.argv[1:]


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def and_die(real):
    def called(*values):
        real(*values)
        die()
    return called


index = milvus(Path(folder), uri)
with index.writer(10) as writer:
    writer.upsert([index_document(2, "银耳 第2种", "银耳 正文")])
    writer.flush(2)
    writer.upsert([index_document(1, "银耳 新题", "银耳 正文"), index_document(3, "银耳 第3种", "银耳 正文")])
    writer.delete([2])
    if moment == "while marking the dead":
        module.REWRITE = 1
        MilvusWriter._rewrite = and_die(MilvusWriter._rewrite)
    elif moment == "before the documents":
        MilvusWriter._insert = die
    elif moment == "after the documents":
        MilvusWriter._insert = and_die(MilvusWriter._insert)
    elif moment == "after the counts":
        Log.write_counts = and_die(Log.write_counts)
    elif moment == "before publishing":
        Log.publish = die
    elif moment == "after publishing":
        Log.publish = and_die(Log.publish)
    elif moment == "while cleaning":
        module.RETENTION_SECONDS = 0.0
        Server.delete = and_die(Server.delete)
    writer.flush(3)
"""
BEFORE = (
    "while marking the dead",
    "before the documents",
    "after the documents",
    "after the counts",
    "before publishing",
)
MOMENTS = {**dict.fromkeys(BEFORE, 2), "after publishing": 3, "while cleaning": 3}
KEYS_AT = {2: {1, 2}, 3: {1, 3}}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_writer_killed_at_a_moment_leaves_the_last_good_generation(
    tmp_path: Path, milvus_uri: str, open_milvus: MilvusOpener, moment: str
) -> None:
    write(open_milvus(), [mushroom(1)])
    victim = child(VICTIM, str(tmp_path / "index"), milvus_uri, moment)
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    left = open_milvus()
    assert left.revision == MOMENTS[moment]
    assert keys_of(left) == KEYS_AT[left.revision]
    # The next one is not kept waiting by the dead one's lock, and tidies up after it.
    started = time.monotonic()
    write(left, [mushroom(9)], revision=4)
    assert time.monotonic() - started < 5
    assert keys_of(open_milvus()) == KEYS_AT[MOMENTS[moment]] | {9}
    assert open_milvus().statistics().documents == 3
    check_milvus_tidy(open_milvus())


REBUILDER = """
import os, signal, sys
from pathlib import Path

from tests.fakes import index_document
from tests.index.support import milvus

with milvus(Path(sys.argv[1]), sys.argv[2]).writer(10, rebuild=True) as writer:
    writer.upsert([index_document(5, "银耳 第5种", "银耳 正文")])
    writer.flush(1, publish=False)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_rebuild_killed_half_way_leaves_the_old_index_and_is_thrown_away(
    tmp_path: Path, milvus_uri: str, open_milvus: MilvusOpener
) -> None:
    write(open_milvus(), [mushroom(1)])
    victim = child(REBUILDER, str(tmp_path / "index"), milvus_uri)
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    index = open_milvus()
    assert len(index.server.names(f"{index.prefix}_")) == 3
    assert (index.revision, keys_of(index)) == (1, {1})
    write(index, [mushroom(2)], revision=2)
    assert keys_of(open_milvus()) == {1, 2}
    check_milvus_tidy(index)


TIRELESS = """
import sys
from pathlib import Path

from tests.fakes import index_document
from tests.index.support import milvus

index = milvus(Path(sys.argv[1]), sys.argv[2])
with index.writer(10) as writer:
    while True:
        revision = writer.revision + 1
        writer.upsert([index_document(revision, f"银耳 第{revision}种", "银耳 正文")])
        writer.delete([max(0, revision - 3)])
        writer.flush(revision)
        print(revision, flush=True)
"""


@pytest.fixture
def tireless(tmp_path: Path, milvus_uri: str) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    children: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        children.append(child(TIRELESS, str(tmp_path / "index"), milvus_uri))
        return children[-1]

    yield start
    for each in children:
        each.kill()
        each.communicate()


def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(
    open_milvus: MilvusOpener, tireless: Callable[[], subprocess.Popen[str]]
) -> None:
    acknowledged = 0
    for _ in range(3):
        victim = tireless()
        assert victim.stdout
        for _ in range(3):
            acknowledged = int(victim.stdout.readline())
        time.sleep(random.uniform(0, 0.15))
        os.kill(victim.pid, signal.SIGKILL)
        rest, _ = victim.communicate(timeout=60)
        acknowledged = max([acknowledged, *(int(line) for line in rest.split("\n")[:-1])])
        left = open_milvus()
        assert acknowledged <= left.revision <= acknowledged + 1
        assert keys_of(left) == set(range(max(1, left.revision - 2), left.revision + 1))
    write(open_milvus(), [mushroom(acknowledged + 5)], revision=acknowledged + 5)
    check_milvus_tidy(open_milvus())
