"""What the tests put into an installation, and how they look for it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from matcher import tables
from matcher.accounts import Account, Accounts
from matcher.engine import Matcher
from matcher.records import Achievement, Need, Patent, Record

NOW = datetime.datetime.now(datetime.UTC)


def accounts(matcher: Matcher) -> Accounts:
    return matcher.accounts


def need(number: str, title: str, **values: Any) -> Need:
    return Need(source="企业填报", source_id=number, title=title, **values)


def achievement(number: str, title: str, **values: Any) -> Achievement:
    return Achievement(source="成果库", source_id=number, title=title, **values)


def patent(number: str, title: str, **values: Any) -> Patent:
    return Patent(source="专利库", source_id=number, title=title, **values)


def put(matcher: Matcher, record: Record, contact: str | None = None, owner: int = 0) -> str:
    matcher.store.upsert([(record, contact)], owner)
    return record.id


def add_row(matcher: Matcher, table: Any, **values: Any) -> None:
    with matcher.store.database.writing() as connection:
        connection.execute(insert(table).values(values))


def rows(matcher: Matcher, table: Any) -> list[Any]:
    with matcher.store.database.reading.connect() as connection:
        return [*connection.execute(select(table))]


def contacts(matcher: Matcher) -> list[str]:
    return [row.contact for row in rows(matcher, tables.contacts)]


def upload(matcher: Matcher, account: Account, id_: str, text: str, finished: datetime.datetime | None = NOW) -> Path:
    """A file handed in, as the API leaves it: the file and its rejects in a folder, a row in the store."""
    folder = matcher.settings.home / "uploads" / id_
    folder.mkdir(parents=True)
    (folder / "需求.csv").write_text(f"需求名称\n{text}\n", "utf-8")
    rejects = f"行号,字段,原因,原始内容\n3,标题,为空,{text}\n4,标题,为空,别人的一行\n"
    (folder / "需求-rejects.csv").write_text(rejects, "utf-8-sig")
    add_row(
        matcher,
        tables.uploads,
        id=id_,
        account=account.key,
        file_name="需求.csv",
        visibility="private",
        mapping={},
        status="done" if finished else "waiting",
        message=None,
        report={},
        rejects="需求-rejects.csv",
        created_at=iso(NOW),
        finished_at=iso(finished) if finished else None,
    )
    return folder


def iso(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds")


def places_of(home: Path, *texts: str) -> list[tuple[str, str]]:
    """Files that hold a text, in any way that a program writes it."""
    found = []
    for path in sorted(home.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found += [
                (str(path.relative_to(home)), text) for text in texts if any(form in data for form in forms(text))
            ]
    return found


def forms(text: str) -> Iterator[bytes]:
    for codec in ("utf-8", "gb18030", "utf-16-le", "utf-16-be"):
        yield text.encode(codec)
    yield json.dumps(text)[1:-1].encode()
