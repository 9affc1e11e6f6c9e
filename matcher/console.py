"""What every command does: open the engine, bring the index up to date, speak to the user."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from matcher.errors import Busy

if TYPE_CHECKING:
    from matcher.engine import Matcher

JsonFlag = Annotated[bool, typer.Option("--json", help="输出 JSON，供程序读取")]


@contextmanager
def opened() -> Iterator[Matcher]:
    """The engine with the settings of the environment, closed at the end."""
    from matcher.engine import Matcher
    from matcher.settings import load_settings

    matcher = Matcher(load_settings())
    try:
        yield matcher
    finally:
        matcher.close()


def catch_up(matcher: Matcher) -> None:
    """Index what was stored, with progress; leave it to another process that is at it."""
    from matcher.progress import shown

    try:
        with shown("建立索引") as progress:
            matcher.catch_up(progress)
    except Busy:
        say("记录已全部入库。另一个进程正在建立索引，完成后即可检索到。")


def print_json(value: object) -> None:
    """To standard output, for programs."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    """To standard error, for people."""
    typer.echo(text, err=True)
