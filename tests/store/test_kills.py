from __future__ import annotations

import os
import random
import signal
import time

import pytest

from matcher.store import Store
from tests.store.conftest import Writer
from tests.store.examples import achievement, contacts, every_change, put
from tests.store.writing import BATCH


def check_whole_batches(address: str, acknowledged: int) -> int:
    """Open what a killed writer left; how many batches are there."""
    store = Store(address)
    numbers = sorted(int(each.record.source_id) for each in store.records("achievement"))
    batches, rest = divmod(len(numbers), BATCH)
    assert rest == 0
    assert numbers == list(range(batches * BATCH))
    assert batches >= acknowledged
    assert len(contacts(store)) == len(numbers)
    assert [each.revision for each in every_change(store, 7)] == list(range(1, store.revision() + 1))
    # The next one writes on without further ado.
    assert put(store, achievement("after")) == ["added"]
    store.close()
    return batches


@pytest.mark.parametrize("fatal", [1, 3])
def test_a_writer_killed_within_a_transaction_leaves_whole_batches_only(
    new_address: str, writer: Writer, fatal: int
) -> None:
    child = writer("甲", 10, fatal)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert len(output.splitlines()) - 1 == fatal - 1
    assert check_whole_batches(new_address, fatal - 1) == fatal - 1


def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(new_address: str, writer: Writer) -> None:
    child = writer("甲", 100_000)
    assert child.stdout
    for _ in range(5):
        child.stdout.readline()
    time.sleep(random.uniform(0, 0.1))
    os.kill(child.pid, signal.SIGKILL)
    rest, _ = child.communicate(timeout=60)
    acknowledged = 4 + len([line for line in rest.splitlines(keepends=True) if line.endswith("\n")])
    assert check_whole_batches(new_address, acknowledged) <= acknowledged + 1
