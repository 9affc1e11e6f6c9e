"""What others read of a record, and what can be searched for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matcher.life import NEVER
from matcher.records import Need, Visibility
from matcher.redaction import indexed, shown
from matcher.rows import StoredRecord
from matcher.visibility import ANONYMOUS, OPERATOR, PUBLIC, Viewer

OWNER, OTHER = 7, 8
PHONE, MAIL = "13900001111", "caigou@example.com"
NEED = Need(
    source="甲",
    source_id="1",
    title="雾里菌品银耳烘干节能",
    abstract=f"雾里菌品现用燃煤烘房，求节能工艺。请致电{PHONE}或写信到{MAIL}。",
    institution="通江县雾里菌品有限公司",
    city="巴中市",
    keywords=("银耳", "雾里菌品"),
    url="https://example.com/wuli",
)


def stored(visibility: Visibility, owner: int = OWNER) -> StoredRecord:
    record = replace(NEED, visibility=visibility)
    return StoredRecord(1, record.id, record, "org-1", owner, NEVER, True, 1, False, {})


@pytest.mark.parametrize("viewer", [Viewer("enterprise", OWNER), OPERATOR], ids=str)
@pytest.mark.parametrize("visibility", ["public", "intermediaries", "private"])
def test_the_owner_reads_all_that_he_wrote(viewer: Viewer, visibility: Visibility) -> None:
    assert shown(stored(visibility), viewer) == stored(visibility)


@pytest.mark.parametrize("viewer", [ANONYMOUS, PUBLIC, Viewer("intermediary", OTHER), Viewer("admin", OTHER)], ids=str)
def test_others_read_a_public_record_without_contacts(viewer: Viewer) -> None:
    record = shown(stored("public"), viewer).record
    assert PHONE not in record.abstract
    assert MAIL not in record.abstract
    assert record.institution == NEED.institution
    assert "雾里菌品" in record.title


def test_an_intermediary_does_not_learn_whose_need_it_is() -> None:
    seen = shown(stored("intermediaries"), Viewer("intermediary", OTHER))
    assert seen.institution_id is None
    assert (seen.record.institution, seen.record.url, seen.record.city) == (None, None, "巴中市")
    told = "".join([seen.record.title, seen.record.abstract, *seen.record.keywords])
    for hidden in ("雾里", PHONE, MAIL):
        assert hidden not in told
    assert "燃煤烘房" in seen.record.abstract


def test_an_administrator_knows_whose_need_it_is() -> None:
    assert shown(stored("intermediaries"), Viewer("admin", OTHER)).record.institution == NEED.institution


@pytest.mark.parametrize(("visibility", "named"), [("public", True), ("intermediaries", False), ("private", False)])
def test_nobody_finds_a_hidden_need_by_its_enterprise_or_anybody_s_number(visibility: Visibility, named: bool) -> None:
    record = indexed(replace(NEED, visibility=visibility))
    text = record.title + record.abstract
    assert ("雾里菌品" in text) == named
    assert PHONE not in text
    assert "example" not in text
    assert "隐藏" not in text
