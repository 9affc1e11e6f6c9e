"""What the policy set out to reach, as `corpus/targets.toml` says it."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Target:
    """One target.

    :param goal: in `unit`.
    :param counted: how the platform counts it, in a Chinese phrase; None where it cannot.
    """

    code: str
    name: str
    goal: int
    unit: str
    counted: str | None


@dataclass(frozen=True)
class Zone:
    """A part of the city that acts as a county does and has no code: `called` is what addresses call it."""

    name: str
    called: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """The plan that the targets come from.

    :param published: YYYY-MM-DD; `until` the year by whose end they were to be reached.
    :param region: the code of GB/T 2260 of `city`.
    """

    title: str
    issuer: str
    published: str
    until: str
    region: str
    city: str
    zones: tuple[Zone, ...]
    targets: tuple[Target, ...]


@functools.cache
def policy() -> Policy:
    """The plan with its targets, in its own order."""
    content = tomllib.loads((resources.files("corpus") / "targets.toml").read_text("utf-8"))
    return Policy(
        **content["policy"],
        zones=tuple(Zone(row["name"], tuple(row["called"])) for row in content["zone"]),
        targets=tuple(
            Target(row["code"], row["name"], row["goal"], row["unit"], row.get("counted")) for row in content["target"]
        ),
    )
