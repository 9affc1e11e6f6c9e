from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.patent_numbers import application, granted, publication


@pytest.mark.parametrize(
    "number",
    [
        *("CN199876543A", "CN199876543B", "CN199876543U", "CN199876543A8", "199876543"),
        *("cn 199 876 543 b", "ＣＮ１９９８７６５４３Ａ", "CN-199876543-B1"),
        *("公开号：CN 199876543 A", "授权公告号:CN199876543B"),
    ],
)
def test_publications_of_one_application_have_one_number(number: str) -> None:
    assert publication(number) == "CN199876543"
    assert application(number) is None


def test_old_numbers_count_apart_by_their_kind() -> None:
    assert publication("CN1043567A") == "CN1043567A"
    assert publication("CN1043567C") == "CN1043567C"
    assert publication("CN1043567") is None


def test_other_offices_keep_their_kind_codes() -> None:
    assert publication("US 10,123,456 B2") == "US10123456B2"
    assert publication("WO2019/123456A1") == "WO2019123456A1"


@pytest.mark.parametrize(
    "number",
    [
        "CN200310102344.5",
        "200310102344.5",
        "ZL 2003 1 0102344.5",
        "ZL2003101023445",
        "CN200310102344",
        "专利号：ZL200310102344.5",
    ],
)
def test_an_application_has_one_number_with_prefix_point_and_check_digit_or_without(number: str) -> None:
    assert application(number) == "200310102344"
    assert publication(number) is None


@pytest.mark.parametrize("number", ["200310102344.6", "200340102344", "2003101023", "A-12", "", None, "暂无"])
def test_what_is_mistyped_or_no_number_says_nothing(number: str | None) -> None:
    assert application(number) is None
    assert publication(number) is None


def test_the_grant_is_told_from_the_application() -> None:
    assert granted("CN199876543B")
    assert granted("CN209876543 U")
    assert not granted("CN199876543A")
    assert not granted("CN199876543")
    assert not granted(None)


@given(st.text())
def test_any_text_is_a_number_or_none(text: str) -> None:
    assert not (publication(text) and application(text))
