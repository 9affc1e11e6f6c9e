"""A few seconds of what `make fuzz` does for long."""

from __future__ import annotations

import pytest

from matcher.readers.formats import FORMATS
from tests.fuzz.__main__ import SHARES
from tests.fuzz.harness import make, run
from tests.fuzz.seeds import seeds

#: For each format, what runs in about a second.
INPUTS = 60
#: The libraries themselves take a part of it.
MAX_PEAK_BYTES = 500_000_000


def test_every_format_has_its_share() -> None:
    assert SHARES.keys() == {*FORMATS, "zip"} == seeds().keys()
    assert sum(SHARES.values()) == pytest.approx(1)


def test_an_input_can_be_made_again() -> None:
    files = dict(seeds())
    for name in SHARES:
        inputs = [make(name, number, 7, files) for number in range(20)]
        assert inputs == [make(name, number, 7, files) for number in range(20)]
        assert len(set(inputs)) > 10


@pytest.mark.parametrize("name", SHARES)
def test_broken_files_are_read_or_refused_in_bounded_memory(name: str) -> None:
    tally = run(name, INPUTS, seed=2)
    assert tally.failures == []
    assert tally.inputs == INPUTS == tally.read + tally.refused + sum(tally.contained.values())
    assert tally.read
    assert tally.peak_bytes < MAX_PEAK_BYTES
