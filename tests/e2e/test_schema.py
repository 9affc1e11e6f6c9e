"""What the description of the API promises is what a running service does: schemathesis, as every role and as nobody.

The short run is part of the suite; ``make schema`` runs the long one, with so many examples a route.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from matcher.visibility import ROLES
from tests.e2e.running import Service, matcher, service

EXAMPLES = int(os.environ.get("EXAMPLES", "1"))
THOROUGH = EXAMPLES > 1
SECONDS = 3600 if THOROUGH else 120
CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
# A run that revoked its own key, or closed its own account, would prove nothing after that.
OWN_KEYS = ("/v1/account/keys/{key_id}", "/v1/account")
# Administrators come last: they close the others' accounts.
CALLERS = ["anonymous", *ROLES]


@pytest.fixture(scope="module")
def running(
    model_home: Path, sample_vectors: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Path]]:
    """A service over the sample corpus, and its home."""
    home = tmp_path_factory.mktemp("schema") / "home"
    home.mkdir()
    shutil.copy(sample_vectors, home)
    (home / "model").symlink_to(model_home / "model")
    assert matcher(home, "demo").returncode == 0
    with service(home, MATCHER_RATE_LIMIT="1000000", MATCHER_RATE_LIMIT_ANONYMOUS="1000000") as started:
        yield started, home


def new_key(home: Path, role: str) -> str:
    made = matcher(home, "account", "add", f"测试 {role}", "--role", role, "--json")
    secret: str = json.loads(made.stdout)["secret"]
    return secret


def run(started: Service, folder: Path, key: str | None, *more: str) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
        *("run", f"{started.url}/openapi.json", "--checks", "all", "--max-examples", str(EXAMPLES)),
        *("--seed", "1", "--no-color", "--warnings", "off", "--request-timeout", "60", "--continue-on-failure"),
        *more,
    ]
    if key:
        command += ["--header", f"Authorization: Bearer {key}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.parametrize("role", CALLERS)
def test_no_answer_breaks_the_description(running: tuple[Service, Path], role: str, tmp_path: Path) -> None:
    started, home = running
    key = None if role == "anonymous" else new_key(home, role)
    # One caller meets the thousands of odd values; what differs between callers shows in a few.
    phases = () if THOROUGH or role == "admin" else ("--phases", "examples,fuzzing")
    run(started, tmp_path, key, *(part for path in OWN_KEYS for part in ("--exclude-path", path)), *phases)
    if key:
        headers = {"Authorization": f"Bearer {key}"}
        assert started.get("/v1/account", headers)[0] == 200, "the run has lost its own key"


def test_no_answer_about_keys_breaks_the_description(running: tuple[Service, Path], tmp_path: Path) -> None:
    started, home = running
    for path in OWN_KEYS:
        run(started, tmp_path, new_key(home, "enterprise"), "--include-path", path)
