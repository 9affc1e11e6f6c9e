"""What the documents promise is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from matcher import sample
from matcher.cli import app
from matcher.records import PROGRAMME_CODES
from matcher.settings import Settings

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh-CN.md")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("name", READMES)
def test_every_setting_is_in_the_readme_and_no_other(name: str) -> None:
    fields = {f"MATCHER_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"MATCHER_[A-Z_]+", read(name))) == fields


@pytest.mark.parametrize("name", READMES)
def test_every_command_is_in_the_readme_and_no_other(name: str) -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `matcher ([a-z]+)", read(name), re.M)) == commands


@pytest.mark.parametrize("name", READMES)
def test_every_option_that_the_readme_names_exists(name: str) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for command, rest in re.findall(r"^\| `matcher ([a-z]+)(.*)", read(name), re.M):
        own = [commands[command], *getattr(commands[command], "commands", {}).values()]
        parameters = [parameter for one in own for parameter in one.params]
        options = {option for one in parameters for option in (*one.opts, *one.secondary_opts)}
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest)) <= options | {"--json"}, command


@pytest.mark.parametrize("name", READMES)
def test_every_route_is_in_the_readme_and_no_other(name: str) -> None:
    from api.app import create_app

    paths = [path.split("/")[1:] for path in create_app().openapi()["paths"]]
    text = read(name)
    assert set(re.findall(r"/v1/([a-z-]+)", text)) == {parts[1] for parts in paths if parts[0] == "v1"}
    for parts in paths:
        further = parts[:1] if parts[0] != "v1" else [part for part in parts[2:] if not part.startswith("{")]
        assert all(f"/{part}`" in text for part in further), parts


def test_both_readmes_have_the_same_parts() -> None:
    english, chinese = (re.findall(r"^(#+|\| `|```)", read(name), re.M) for name in READMES)
    assert english == chinese


def test_the_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", read("Makefile"), re.M))
    for name in (*READMES, "CONTRIBUTING.md", "matcher/weights/README.md"):
        assert set(re.findall(r"`make ([a-z]+)", read(name))) <= targets


def test_the_files_that_contributing_names_exist() -> None:
    for row in re.findall(r"^\| (`[^|]*) \|", read("CONTRIBUTING.md"), re.M):
        folder = ""
        for name in re.findall(r"`([^`]+)`", row):
            path = name if "/" in name or (ROOT / name).exists() else f"{folder}/{name}"
            folder = str(Path(path).parent)
            assert (ROOT / path).exists(), path


def test_the_data_card_counts_what_is_there() -> None:
    card = read("corpus/README.md")
    for kind, name in sample.FILES:
        assert f"`{name}` | {len(sample.records(kind))} |" in card
    labelled = [record for kind, _ in sample.FILES if kind != "institution" for record in sample.records(kind)]
    none = sum(not record.programmes for record in labelled)
    several = sum(len(record.programmes) > 1 for record in labelled)
    assert f"{none} of the {len(labelled)} records belong to no programme; {several} belong to more than one" in card
    assert set(PROGRAMME_CODES) == {code for record in labelled for code in record.programmes}
