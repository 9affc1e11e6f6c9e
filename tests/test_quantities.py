from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.quantities import quantities, without_figures, without_part_numbers
from matcher.text import normalize


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        ("处理量1.2 t/h", "每小时处理一千二百公斤"),
        ("脱净率96.3%", "脱净率百分之九十六点三"),
        ("含水率18％", "含水率百分之十八"),
        ("投资5万元", "投资50000元"),
        ("年产10万吨", "年产十万吨"),
        ("烘干2小时", "烘干120 min"),
        ("成本低两成", "成本低20%"),
        ("粒径500 nm", "粒径0.5微米"),
        ("二十台", "20台"),
    ],
)
def test_a_figure_is_the_same_however_it_is_written(written: str, otherwise: str) -> None:
    assert quantities(normalize(written)) == quantities(normalize(otherwise)) != frozenset()


@pytest.mark.parametrize(
    ("text", "other"),
    [("含水率1.5%", "含水率15%"), ("日产5吨", "日产10吨"), ("长3 m", "长3 mm"), ("五百公斤", "五百米")],
)
def test_another_figure_is_another(text: str, other: str) -> None:
    assert quantities(normalize(text)) != quantities(normalize(other))


@pytest.mark.parametrize(
    "text",
    [
        "第一步混合，第二步烘干",
        "一种烘干机，两个箱体",
        "支架(101)与电机（37、37'）相连",
        "由三成分组成",
        "万一千万要小心",
        "RD808",
    ],
)
def test_what_is_no_figure_is_none(text: str) -> None:
    assert quantities(normalize(text)) == frozenset()


def test_part_numbers_go_and_conditions_stay() -> None:
    assert without_part_numbers("支架(101)上的电机(2a,2b)，(60 ℃)下") == "支架上的电机，(60 ℃)下"


@given(st.text(alphabet="零一二两三四五六七八九十百千万亿点第0123456789.%t吨成分 "))
def test_any_run_of_numerals_is_read_without_an_error_and_leaves_no_figure_behind(text: str) -> None:
    assert all(value >= 0 for value, _ in quantities(text))
    assert len(without_figures(text)) <= len(text)
