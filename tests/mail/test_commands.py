"""The commands about mails on their way."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from matcher.cli import app
from matcher.database import Database
from matcher.errors import Conflict, NotFound
from matcher.outbox import Outbox
from matcher.sending import only_sender
from tests.mail.conftest import Send
from tests.mail.sink import Sink
from tests.mail.support import FROM, address, fill, mail, person
from tests.mail.test_bounces import notification


@pytest.fixture
def run(tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    own = {"HOME": tmp_path / "home", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": sink.port, "SMTP_SECURITY": "none"}
    for name, value in (own | {"MAIL_FROM": FROM}).items():
        monkeypatch.setenv(f"MATCHER_{name}", str(value))
    return CliRunner()


def test_what_waits_is_sent_or_skipped_with_the_reason(run: CliRunner, database: Database) -> None:
    ids = fill(database, 2, kind="confirm")
    done = run.invoke(app, ["outbox", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report | {"seconds": 0, "skipped": {}} == {
        "sent": 0, "postponed": 0, "failed": [], "skipped": {}, "unconfirmed": [], "seconds": 0, "stopped": None,
    }  # fmt: skip
    assert list(report["skipped"].values()) == [2], "nothing is to be confirmed"
    assert mail(database, ids[0]).state == "skipped"
    again = run.invoke(app, ["outbox"])
    assert "发出 0 封" in again.output


def test_failed_and_unconfirmed_mails_are_listed_and_sent_again_by_their_ids(
    run: CliRunner, send: Send, sink: Sink, outbox: Outbox, database: Database
) -> None:
    ids = fill(database, 3)
    sink.script = lambda _, stage, line: "550 5.1.1 no such user" if stage == "rcpt" and "reader2" in line else None
    send()
    listed = run.invoke(app, ["outbox", "--list"])
    assert listed.exit_code == 0
    assert "已发 2" in listed.output and "失败 1" in listed.output
    assert ids[1] in listed.output and "5.1.1" in listed.output and address(2) not in listed.output
    told = json.loads(run.invoke(app, ["outbox", "--list", "--json"]).stdout)
    assert told["counts"]["sent"] == 2
    assert [(one["id"], one["state"]) for one in told["troubled"]] == [(ids[1], "failed")]
    assert run.invoke(app, ["outbox", "--resend", ids[1]]).exit_code == 0
    assert outbox.counts()["waiting"] == 1
    assert isinstance(run.invoke(app, ["outbox", "--resend", ids[0]]).exception, Conflict)
    assert isinstance(run.invoke(app, ["outbox", "--resend", "mail-x"]).exception, NotFound)
    assert run.invoke(app, ["outbox", "--resend", ids[0], "--list"]).exit_code == 2


def test_trouble_shows_in_the_exit_code(run: CliRunner, outbox: Outbox, database: Database) -> None:
    ids = fill(database, 1, kind="confirm")
    outbox.claim(mail(database, ids[0]).key)
    outbox.handed(mail(database, ids[0]).key)
    done = run.invoke(app, ["outbox"])
    assert done.exit_code == 1
    assert ids[0] in done.output and "--resend" in done.output


def test_only_one_command_sends(run: CliRunner, database: Database, tmp_path: Path) -> None:
    with only_sender(database, tmp_path / "home"):
        done = run.invoke(app, ["outbox"])
    # Whoever holds the lock sends these mails as well: nothing is wrong.
    assert done.exit_code == 0
    assert "另一个进程正在发信" in done.output


def test_notifications_come_from_files_and_from_a_pipe(
    run: CliRunner, send: Send, database: Database, tmp_path: Path
) -> None:
    ids = fill(database, 2)
    send()
    file, junk = tmp_path / "bounce.eml", tmp_path / "junk.eml"
    file.write_bytes(notification(f"<{ids[0]}@sender.example>"))
    junk.write_bytes(b"\0\0")
    done = run.invoke(app, ["bounce", str(junk), str(file), "--json"])
    assert done.exit_code == 2, "one of them was no mail"
    assert [(one["file"], one["outcome"], one["id"]) for one in json.loads(done.stdout)] == [
        (str(file), "counted", ids[0])
    ]
    piped = run.invoke(app, ["bounce"], input=notification(f"<{ids[1]}@sender.example>"))
    assert (piped.exit_code, "记下退信 1 封" in piped.output) == (0, True)
    again = run.invoke(app, ["bounce", "-"], input=notification(f"<{ids[1]}@sender.example>"))
    assert (again.exit_code, "已记过的 1 封" in again.output) == (0, True)
    assert [person(database, number).bounces for number in (1, 2)] == [1, 1]


def test_a_database_that_is_busy_has_the_mail_server_come_again(
    run: CliRunner, send: Send, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id_,) = fill(database, 1)
    send()
    monkeypatch.setattr("matcher.database.WRITE_WAIT", 0.05)
    other = sqlite3.connect(tmp_path / "home" / "matcher.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = run.invoke(app, ["bounce"], input=notification(f"<{id_}@sender.example>"))
    other.close()
    assert done.exit_code == 75
    assert run.invoke(app, ["bounce"], input=notification(f"<{id_}@sender.example>")).exit_code == 0
    assert person(database, 1).bounces == 1
