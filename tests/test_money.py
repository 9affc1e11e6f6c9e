import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.money import Money, parse_money

WRITTEN = st.text("0123456789.,-~至万亿千百十五拾元整约以上内下不超过低于￥人民币面议美余 （）/年", max_size=24)


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [
        ("50-100万元", 500_000, 1_000_000),
        ("50万-100万", 500_000, 1_000_000),
        ("50～100 万元", 500_000, 1_000_000),
        ("50 ~ 100（万元）", 500_000, 1_000_000),
        ("50至100万元", 500_000, 1_000_000),
        ("50万~80万元左右", 500_000, 800_000),
        ("五十万至一百万", 500_000, 1_000_000),
        ("50万-1亿", 500_000, 100_000_000),
        ("1-2亿", 100_000_000, 200_000_000),
        ("5000-1万元", 5_000, 10_000),
        ("100-50万", 500_000, 1_000_000),
        ("500-1000元", 500, 1000),
        ("80 万元", 800_000, 800_000),
        ("约30万", 300_000, 300_000),
        ("30万左右", 300_000, 300_000),
        ("1.2亿元", 120_000_000, 120_000_000),
        ("50.5万元", 505_000, 505_000),
        ("50w", 500_000, 500_000),
        ("3千万", 30_000_000, 30_000_000),
        ("人民币伍拾万元整", 500_000, 500_000),
        ("壹佰贰拾叁万肆仟伍佰元", 1_234_500, 1_234_500),
        ("￥500,000.00", 500_000, 500_000),
        ("500000元", 500_000, 500_000),
        ("RMB 30万", 300_000, 300_000),
        ("拟投入资金：200万元", 2_000_000, 2_000_000),
        ("300万元（含税）", 3_000_000, 3_000_000),
        ("0元", 0, 0),
        ("100万以上", 1_000_000, None),
        ("100万元及以上", 1_000_000, None),
        ("不低于100万元", 1_000_000, None),
        ("≥100万", 1_000_000, None),
        ("100万起", 1_000_000, None),
        ("30余万元", 300_000, None),
        ("100万以内", None, 1_000_000),
        ("不超过50万元", None, 500_000),
        ("50万元以下", None, 500_000),
    ],
)
def test_a_sum_is_read_in_yuan(written: str, low: int | None, high: int | None) -> None:
    assert parse_money(written) == Money(low, high)


@pytest.mark.parametrize(
    ("written", "money"),
    [
        ("面议", Money(negotiable=True)),
        ("双方协商", Money(negotiable=True)),
        ("面议（50万以内）", Money(None, 500_000, True)),
        ("50万元，可面议", Money(500_000, 500_000, True)),
    ],
)
def test_what_is_to_be_talked_about_says_so(written: str, money: Money) -> None:
    assert parse_money(written) == money


@pytest.mark.parametrize(
    "written",
    [
        *("50", "100-200", "1000", "几十万", "无", ""),
        *("100万美元", "$100万", "USD 10万", "50万欧元"),
        *("10万元/年", "每年10万元", "5000元/吨"),
        *("总投资5000万元，其中研发500万元", "500,50万元", "9" * 15 + "亿元", "万元"),
    ],
)
def test_no_unit_no_rate_of_exchange_and_no_total_is_guessed(written: str) -> None:
    assert parse_money(written) == Money()


@given(WRITTEN)
@settings(max_examples=400, deadline=None)
def test_what_was_read_reads_as_itself(text: str) -> None:
    low, high, _ = parse_money(text)
    if low is not None and high is not None:
        assert 0 <= low <= high
        assert parse_money(f"{low}元-{high}元")[:2] == (low, high)
    elif low is not None:
        assert parse_money(f"{low}元以上")[:2] == (low, None)
    elif high is not None:
        assert parse_money(f"{high}元以内")[:2] == (None, high)


@given(st.text(max_size=100))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_it(text: str) -> None:
    assert isinstance(parse_money(text), Money)


@pytest.mark.parametrize("piece", ["5", "万", "5万", "-", "50-", "一", "至", " ", ","])
def test_long_text_costs_no_time(piece: str) -> None:
    started = time.perf_counter()
    for length in (60, 100_000):
        parse_money((piece * length)[:length])
    assert time.perf_counter() - started < 0.5
