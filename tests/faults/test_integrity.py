"""What `matcher check` finds, and that it finds nothing where nothing is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matcher import e5, integrity, seal
from matcher.embed import Embedder, default_model_folder
from matcher.engine import Matcher
from matcher.integrity import Report, check
from matcher.records import Achievement, Need
from matcher.settings import Settings
from matcher.vectors import VectorCache
from tests.fakes import FakeEncoder
from tests.faults.test_disk_full import Untagged
from tests.index.support import write


class Default(FakeEncoder):
    """The fake encoder under the name of the embedded model."""

    def __init__(self) -> None:
        super().__init__(e5.DIMENSION)
        self.fingerprint = e5.fingerprint()


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    opened = Matcher(Settings(home=tmp_path / "home", threads=1))
    opened.__dict__["embedder"] = Embedder(Default(), VectorCache(opened.settings.home / "vectors.db"))
    opened.__dict__["tagger"] = Untagged()
    offers = [
        Achievement(source="甲", source_id=str(n), title=f"第{n}种烘干装置", institution=f"研究所{n % 3}")
        for n in range(20)
    ]
    need = Need(source="乙", source_id="n", title="银耳烘干", visibility="private")
    opened.store.upsert([(record, None) for record in (*offers, need)])
    opened.store.withdraw(offers[3].id)
    opened.catch_up()
    yield opened
    opened.close()


def look(matcher: Matcher) -> Report:
    return check(matcher.settings)


def found(matcher: Matcher) -> set[str]:
    return {finding.check for finding in look(matcher).findings}


def test_nothing_is_found_where_nothing_is_wrong(matcher: Matcher, tmp_path: Path) -> None:
    assert look(matcher) == Report((), records=20, indexed=20, behind=0)
    empty = Settings(home=tmp_path / "empty")
    assert check(empty) == Report((), 0, 0, 0)


def test_what_the_index_has_yet_to_take_up_is_no_fault(matcher: Matcher) -> None:
    stored = {one.record.source_id: one for one in matcher.store.records()}
    matcher.store.withdraw(stored["5"].id)
    matcher.store.upsert([(Achievement(source="甲", source_id="6", title="改了题", visibility="private"), None)])
    matcher.store.upsert([(Achievement(source="甲", source_id="new", title="新来的"), None)])
    assert look(matcher) == Report((), records=20, indexed=20, behind=3)
    matcher.catch_up()
    assert look(matcher) == Report((), records=20, indexed=20, behind=0)


def execute(matcher: Matcher, *statements: str) -> None:
    """Behind the program's back."""
    assert matcher.store.database.file
    with closing(sqlite3.connect(matcher.store.database.file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


STORE_DAMAGES: dict[str, tuple[str, str]] = {
    "a contact of nobody": ("INSERT INTO contacts VALUES (999, 'x')", "store.references"),
    "tags of nobody": ("INSERT INTO tags VALUES (999, 'food', 0.5)", "store.references"),
    "an owner that is gone": ("DELETE FROM records WHERE kind = 'institution'", "store.owners"),
    "a record of a stranger": ("UPDATE records SET owner = 77 WHERE source_id = '7'", "store.accounts"),
    "another's record": ("UPDATE records SET owner = 77 WHERE source_id = '7'", "index.owner"),
    "merged into nothing": ("UPDATE records SET merged_into = 'ach-gone' WHERE source_id = '7'", "store.merged"),
    "a later deadline": ("UPDATE records SET ends = 20991231 WHERE source_id = '7'", "index.ends"),
    "a name of nobody": ("INSERT INTO institution_names VALUES ('某所', 'org-x')", "store.names"),
    "a revision given twice": ("UPDATE records SET revision = 1 WHERE revision = 2", "store.revisions"),
    "a counter set back": ("UPDATE counters SET value = 3", "store.revisions"),
    "no counter": ("DELETE FROM counters", "store.revisions"),
    "a record that was taken out": ("DELETE FROM records WHERE source_id = '7'", "index.surplus"),
    "a record that was withdrawn": ("UPDATE records SET withdrawn = 1 WHERE source_id = '7'", "index.surplus"),
    "a record that was brought back": ("UPDATE records SET withdrawn = 0 WHERE source_id = '3'", "index.missing"),
    "a need that was published": ("UPDATE records SET visibility = 'public' WHERE kind = 'need'", "index.visibility"),
    "an offer that was hidden": ("UPDATE records SET visibility = 'private' WHERE source_id = '7'", "index.visibility"),
    "another kind": ("UPDATE records SET kind = 'patent' WHERE source_id = '7'", "index.kind"),
}


@pytest.mark.parametrize("damage", STORE_DAMAGES)
def test_what_was_changed_behind_the_program_s_back_is_found(matcher: Matcher, damage: str) -> None:
    statement, wanted = STORE_DAMAGES[damage]
    execute(matcher, statement)
    report = look(matcher)
    assert wanted in {finding.check for finding in report.findings}
    for finding in report.findings:
        assert finding.count >= 1
        assert "请" in finding.message
        assert finding.check.startswith(("store.", "index."))
    if wanted.startswith("index."):
        (told,) = (finding for finding in report.findings if finding.check == wanted)
        assert told.examples
        assert all(example.startswith(("ach-", "pat-", "need-", "第")) for example in told.examples)


@pytest.mark.parametrize("wrong", ["missing", "surplus", "hidden", "shown"])
def test_an_index_that_is_not_the_store_s_is_found(matcher: Matcher, wrong: str) -> None:
    stored = {one.record.source_id: one for one in matcher.store.records()}
    offer, need = matcher._indexer()._documents([stored["7"], stored["n"]], lambda *_: None)
    revision = matcher.index.revision
    if wrong == "missing":
        write(matcher.index, deleted=[offer.key], revision=revision)
    elif wrong == "surplus":
        write(matcher.index, [replace(offer, key=999)], revision=revision)
    elif wrong == "hidden":
        write(matcher.index, [replace(offer, visibility="private")], revision=revision)
    else:
        write(matcher.index, [replace(need, visibility="public")], revision=revision)
    name = "visibility" if wrong in ("hidden", "shown") else wrong
    (finding,) = look(matcher).findings
    assert (finding.check, finding.count) == (f"index.{name}", 1)
    matcher.reindex()
    assert found(matcher) == set()


def scribble(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xa5" * 1024)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


DAMAGES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "scribbled database": ("matcher.db", scribble, "store.pages"),
    "an array cut short": ("index/*/segments/*/body.npy", cut, "index.files"),
    "words gone": ("index/*/segments/*/terms.npy", Path.unlink, "index.files"),
    "a pointer to nowhere": ("index/*/CURRENT", lambda path: path.write_text("77") and None, "index.files"),
    "a pointer of letters": ("index/*/CURRENT", lambda path: path.write_text("第三代") and None, "index.files"),
    "an index gone": ("index/*/CURRENT", Path.unlink, ""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_found(matcher: Matcher, damage: str) -> None:
    pattern, spoil, wanted = DAMAGES[damage]
    matcher.close()
    with closing(sqlite3.connect(matcher.settings.home / "matcher.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in matcher.settings.home.glob(pattern):
        spoil(path)
    report = look(matcher)
    assert ({finding.check for finding in report.findings} - {"index.surplus", "store.references"}) == (
        {wanted} if wanted else set()
    )
    if not wanted:  # there is nothing of it: it is made anew, and that is no fault
        assert report.behind > 0


def test_a_damaged_model_is_found_by_its_content(matcher: Matcher) -> None:
    folder = default_model_folder(matcher.settings.home)
    (folder / "part").mkdir(parents=True)
    for name in ("a.bin", "part/b.bin"):
        (folder / name).write_bytes(b"12345")
    seal.seal(folder)
    assert found(matcher) == set()
    (folder / "part" / "b.bin").write_bytes(b"12346")
    assert seal.is_whole(folder)  # quick: sizes only
    (finding,) = look(matcher).findings
    assert (finding.check, finding.examples) == ("model.files", ("part/b.bin",))
    (folder / "a.bin").unlink()
    assert not seal.is_whole(folder)
    (folder / seal.NAME).write_text("{")
    assert found(matcher) == {"model.files"}


def test_a_report_can_be_read_by_programs(matcher: Matcher) -> None:
    assert look(matcher).as_json() == {"ok": True, "findings": [], "records": 20, "indexed": 20, "behind": 0}
    execute(matcher, "UPDATE records SET withdrawn = 1 WHERE source_id IN ('7', '8')")
    said = look(matcher).as_json()
    (finding,) = said["findings"]  # type: ignore[misc]
    assert not said["ok"]
    assert (finding["check"], finding["count"], len(finding["examples"])) == ("index.surplus", 2, 2)


def test_many_findings_name_a_few(matcher: Matcher) -> None:
    execute(matcher, "UPDATE records SET withdrawn = 1 WHERE kind = 'achievement'")
    (finding,) = look(matcher).findings
    assert (finding.count, len(finding.examples)) == (19, integrity.EXAMPLES)
    assert np.unique(finding.examples).size == integrity.EXAMPLES
