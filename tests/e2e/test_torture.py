"""A few random kills under load; `make torture` does two hundred."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.torture import Torture

KILLS = 3


def test_nothing_acknowledged_is_lost_when_processes_are_killed_at_random(model_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "model").symlink_to(model_home / "model")
    torture = Torture(home, seed=2)
    torture.run(KILLS)
    assert sum(torture.kills.values()) == KILLS
    done = [client.book.done for client in torture.clients]
    assert all(own["create"] for own in done)
