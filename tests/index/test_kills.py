"""What a killed writer of the local index leaves behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.index.support import LocalOpener, check_tidy, child, home, keys_of, mushroom, write

# What a child process runs: it dies of SIGKILL at a moment of its second flush.
VICTIM = """
import os, signal, sys
from pathlib import Path

from matcher import index as module
from matcher import nearest, postings, segments
from matcher.index import LocalIndex, LocalWriter
from tests.fakes import DIMENSION, index_document

folder, moment = Path(sys.argv[1]), sys.argv[2]


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def half_an_array(path, *arguments):
    if path.name != "term_offsets.npy":
        return write_array(path, *arguments)
    path.write_bytes(b"half")
    die()


def half_a_manifest(self, text, **options):
    if self.name != "manifest.json":
        return write_text(self, text, **options)
    write_text(self, text[:10], **options)
    die()


def write_segment_and_die(*arguments):
    write_segment(*arguments)
    die()


def publish_and_die(self, number):
    publish(self, number)
    die()


write_array, write_segment = segments.write_array, module.write_segment
write_text, publish = Path.write_text, LocalWriter._publish
index = LocalIndex(folder, "fake:64", DIMENSION)
with index.writer(10) as writer:
    writer.upsert([index_document(2, "银耳 第2种", "银耳 正文")])
    writer.flush(2)
    writer.upsert([index_document(3, "银耳 第3种", "银耳 正文")])
    writer.delete([1])
    if moment == "within a segment":
        segments.write_array = half_an_array
    elif moment == "before the words":
        postings.write = die
    elif moment == "before the vectors":
        nearest.write = die
    elif moment == "after a segment":
        module.write_segment = write_segment_and_die
    elif moment == "within the manifest":
        Path.write_text = half_a_manifest
    elif moment == "before publishing":
        LocalWriter._publish = die
    elif moment == "while publishing":
        Path.replace = die
    elif moment == "after publishing":
        LocalWriter._publish = publish_and_die
    elif moment == "while cleaning":
        module.shutil.rmtree = die
        module.KEPT_GENERATIONS = 1
    writer.flush(3)
"""
BEFORE = (
    *("within a segment", "before the words", "before the vectors", "after a segment"),
    *("within the manifest", "before publishing"),
)
MOMENTS = {**dict.fromkeys((*BEFORE, "while publishing"), 2), "after publishing": 3, "while cleaning": 3}
KEYS_AT = {2: {1, 2}, 3: {2, 3}}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_writer_killed_at_a_moment_leaves_the_last_good_generation(
    tmp_path: Path, open_local: LocalOpener, moment: str
) -> None:
    write(open_local(), [mushroom(1)])
    victim = child(VICTIM, str(tmp_path / "index"), moment)
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    left = open_local()
    assert left.revision == MOMENTS[moment]
    assert keys_of(left) == KEYS_AT[left.revision]
    # The next one is not kept waiting by the dead one's lock, and tidies up after it.
    started = time.monotonic()
    write(left, [mushroom(9)], revision=4)
    assert time.monotonic() - started < 5
    assert keys_of(open_local()) == KEYS_AT[MOMENTS[moment]] | {9}
    check_tidy(home(tmp_path))


TIRELESS = """
import sys
from pathlib import Path

from matcher.index import LocalIndex
from tests.fakes import DIMENSION, index_document

index = LocalIndex(Path(sys.argv[1]), "fake:64", DIMENSION)
with index.writer(10) as writer:
    while True:
        revision = writer.revision + 1
        writer.upsert([index_document(revision, f"银耳 第{revision}种", "银耳 正文")])
        writer.delete([max(0, revision - 3)])
        writer.flush(revision)
        print(revision, flush=True)
"""


@pytest.fixture
def tireless(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    children: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        children.append(child(TIRELESS, str(tmp_path / "index")))
        return children[-1]

    yield start
    for each in children:
        each.kill()
        each.communicate()


def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(
    tmp_path: Path, open_local: LocalOpener, tireless: Callable[[], subprocess.Popen[str]]
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
        left = open_local()
        assert acknowledged <= left.revision <= acknowledged + 1
        assert keys_of(left) == set(range(max(1, left.revision - 2), left.revision + 1))
    write(open_local(), [mushroom(acknowledged + 5)], revision=acknowledged + 5)
    check_tidy(home(tmp_path))
