"""What the command says to what cannot be done, without a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from matcher.cli import app
from matcher.errors import NotFound


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("MATCHER_HOME", str(tmp_path))
    return CliRunner()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--state", "open"), "不是状态"),
        (("--merge", "1", "--undo", "1"), "每次只能用一个"),
        (("--run", "--reject", "1"), "每次只能用一个"),
        (("--all",), "--run"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_sentence(
    run: CliRunner, arguments: tuple[str, ...], sentence: str
) -> None:
    done = run.invoke(app, ["duplicates", *arguments])
    assert done.exit_code == 2
    assert sentence in done.output


def test_a_number_that_there_is_not_is_named(run: CliRunner) -> None:
    done = run.invoke(app, ["duplicates", "--merge", "99"])
    assert isinstance(done.exception, NotFound)
    assert "编号为 99 " in str(done.exception)


def test_an_empty_list_says_how_to_fill_it(run: CliRunner) -> None:
    done = run.invoke(app, ["duplicates"])
    assert done.exit_code == 0
    assert "--run" in done.output
    assert run.invoke(app, ["duplicates", "--json"]).stdout == "[]\n"
