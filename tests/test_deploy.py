"""The files for systemd and cron start what there is, when they say, one at a time."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import typer.main

from matcher.cli import app
from matcher.settings import Settings, load_settings

DEPLOY = Path(__file__).parent.parent / "deploy"
SERVICES = sorted(DEPLOY.glob("*.service"))
TIMERS = sorted(DEPLOY.glob("*.timer"))
CRON = (DEPLOY / "matcher.cron").read_text("utf-8")
PROGRAM = "/opt/matcher/.venv/bin/matcher"
LOCK = "/var/lib/matcher/timer.lock"


def unit(path: Path) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, strict=True)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(path.read_text("utf-8"))
    return parsed


def cron_commands() -> dict[str, str]:
    """What cron hands to the shell, by the command that it comes to: an unescaped % would be a line break."""
    found = {}
    for line in CRON.splitlines():
        if line.startswith(("#", "SHELL=", "PATH=", "MATCHER_HOME=")) or not line:
            continue
        *times, user, command = line.split(None, 6)
        assert all(re.fullmatch(r"\*|\d+", part) for part in times) and user == "matcher"
        assert not re.search(r"(?<!\\)%", command)
        found[command.partition(PROGRAM)[2].split()[0]] = command.replace("\\%", "%")
    return found


def started() -> list[list[str]]:
    """The arguments that `matcher` gets anywhere."""
    lines = [unit(path)["Service"]["ExecStart"] for path in SERVICES] + list(cron_commands().values())
    arguments = [shlex.split(line.split(PROGRAM, 1)[1].split("2>&1")[0]) for line in lines]
    assert len(arguments) == 4
    return arguments


@pytest.mark.parametrize("path", [*SERVICES, *TIMERS], ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong(path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd here")
    verified = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=60)
    # It may have something to say of the machine's own units.
    assert [line for line in verified.stderr.splitlines() if "matcher" in line] == []
    assert verified.returncode == 0


def test_every_timer_starts_a_service_and_begins_with_the_machine() -> None:
    assert [path.stem for path in TIMERS] == [path.stem for path in SERVICES] == ["matcher-nightly", "matcher-outbox"]
    assert all(unit(path)["Install"]["WantedBy"] == "timers.target" for path in TIMERS)
    nightly = unit(DEPLOY / "matcher-nightly.timer")["Timer"]
    assert nightly["OnCalendar"] == "*-*-* 02:30:00 Asia/Shanghai" and nightly["Persistent"] == "true"


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_is_a_user_of_its_own_who_may_do_little(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["User"] == service["Group"] == "matcher" and service["EnvironmentFile"] == "/etc/matcher.env"
    assert service["ProtectSystem"] == "strict" and service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == "" and service["StateDirectory"] == "matcher"


def test_the_commands_and_options_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, *options in started():
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(options) <= known
    assert {name for name, *_ in started()} == {"nightly", "outbox"}


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    fields = {f"MATCHER_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"MATCHER_[A-Z_]+", path.read_text("utf-8"))) <= fields


def test_the_example_of_settings_is_good_for_a_shell_and_for_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = f"set -a; . {shlex.quote(str(DEPLOY / 'matcher.env.example'))}; env"
    read = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=True)
    for name, _, value in (line.partition("=") for line in read.stdout.splitlines()):
        if name.startswith("MATCHER_"):
            monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.mail_from == "科技成果匹配平台 <match@platform.example>"
    assert settings.base_url == "https://match.platform.example"


class Machine:
    """A machine whose clock, logger and `matcher` tell what they were asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tool("matcher", 'echo "$MATCHER_SMTP_HOST $@"')
        self._tool("logger", "cat")
        (folder / "env").write_text("MATCHER_SMTP_HOST='a host'\n")
        self.lock = folder / "lock"

    def _tool(self, name: str, script: str) -> None:
        path = self._folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, command: str, hour: str = "02") -> subprocess.Popen[str]:
        """Start what cron or systemd would, at some hour in China."""
        self._tool("date", f'test "$TZ" = Asia/Shanghai && echo {hour}')
        for there, here in ((PROGRAM, "matcher"), ("/etc/matcher.env", "env"), (LOCK, "lock")):
            command = command.replace(there, str(self._folder / here))
        environment = {"PATH": f"{self._folder}:{os.environ['PATH']}"}
        return subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True, env=environment)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if not shutil.which("flock"):
        pytest.skip("there is no flock here")
    return Machine(tmp_path)


def told(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def test_cron_runs_the_night_at_half_past_two_in_china_and_at_no_other_hour(machine: Machine) -> None:
    command = cron_commands()["nightly"]
    assert told(machine.run(command)) == (0, "a host nightly\n")
    assert told(machine.run(command, hour="03")) == (0, "")
    assert told(machine.run(cron_commands()["outbox"])) == (0, "a host outbox\n")


@pytest.mark.parametrize("by", ["systemd", "cron"])
def test_the_outbox_rests_while_the_night_is_at_it_and_the_night_waits_for_the_outbox(
    by: str, machine: Machine
) -> None:
    if by == "cron":
        commands = cron_commands()
    else:
        commands = {name: unit(DEPLOY / f"matcher-{name}.service")["Service"]["ExecStart"] for name in cron_commands()}
    holder = subprocess.Popen(
        ["flock", machine.lock, "sh", "-c", "echo held; read line"], stdin=-1, stdout=-1, text=True
    )
    assert holder.stdout and holder.stdin and holder.stdout.readline() == "held\n"
    assert told(machine.run(commands["outbox"])) == (0, "")
    night = machine.run(commands["nightly"])
    time.sleep(0.2)
    assert night.poll() is None
    holder.communicate("\n", timeout=60)
    code, output = told(night)
    assert code == 0 and output.endswith("nightly\n")
