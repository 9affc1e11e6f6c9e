"""Counting calls: a damaged or missing file neither stops the service nor ends the limits."""

from __future__ import annotations

import datetime
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import time_machine

from api.rates import Rates
from matcher.engine import Matcher
from matcher.errors import InProgress
from matcher.replies import ABANDONED, Reply
from matcher.settings import Settings
from tests.faults.disks import small_disk

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


def limited(rates: Rates) -> list[bool]:
    return [rates.wait("somebody", 2) > 0 for _ in range(3)]


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "rates.db"
    path.write_bytes(b"not a database" * 1000)
    with closing(Rates(path)) as rates, time_machine.travel(NOW, tick=False):
        assert limited(rates) == [False, False, True]
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 8192)
        for _ in range(3):  # what was counted may be lost, but counting goes on
            rates.wait("somebody else", 1)
        assert limited(rates)[-1]


def test_a_full_disk_stops_no_call_and_counting_begins_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk, time_machine.travel(NOW, tick=False):
        disk.fill()
        with closing(Rates(disk.folder / "rates.db")) as rates:
            assert limited(rates) == [False, False, False]
            disk.empty()
            rates.wait("somebody", 2)  # this one opens the file
            assert limited(rates) == [False, False, True]


@pytest.mark.parametrize("hours", [-30, 30])
def test_the_limits_hold_when_the_clock_jumps(tmp_path: Path, hours: int) -> None:
    with closing(Rates(tmp_path / "rates.db")) as rates, time_machine.travel(NOW, tick=False) as clock:
        assert limited(rates) == [False, False, True]
        clock.shift(datetime.timedelta(hours=hours))
        assert limited(rates) == [False, False, True]
        assert 0 < rates.wait("somebody", 2) <= 60


def test_a_request_that_died_can_be_sent_again_although_the_clock_was_set_back(tmp_path: Path) -> None:
    with closing(Matcher(Settings(home=tmp_path, threads=1))) as matcher, time_machine.travel(NOW, tick=False) as clock:
        assert matcher.replies.begin(1, "name", "request") is None
        with pytest.raises(InProgress):
            matcher.replies.begin(1, "name", "request")
        clock.shift(datetime.timedelta(hours=-5))
        assert matcher.replies.begin(1, "name", "request") is None
        clock.shift(datetime.timedelta(seconds=ABANDONED + 1))
        assert matcher.replies.begin(1, "name", "request") is None
        matcher.replies.finish(1, "name", Reply(201, {}, "{}"))
        clock.shift(datetime.timedelta(days=-400))
        assert matcher.replies.begin(1, "name", "request") == Reply(201, {}, "{}")
