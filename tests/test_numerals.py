from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.numerals import NUMERAL_CHARACTERS, parse_digits, parse_numeral

DIGITS = "零一二三四五六七八九"


def spelt(number: int) -> str:
    """A number as a school book writes it."""
    if number == 0:
        return "零"
    parts: list[str] = []
    sections = [(number // 10**8, "亿"), (number // 10**4 % 10**4, "万"), (number % 10**4, "")]
    for section, name in sections:
        if section:
            text = ""
            for unit, word in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
                digit = section // unit % 10
                if digit:
                    text += DIGITS[digit] + word
                elif (text or parts) and not text.endswith("零") and section % unit:
                    text += "零"
            parts.append(text + name)
    return "".join(parts)


@given(st.integers(0, 10**12 - 1))
@settings(max_examples=300, deadline=None)
def test_every_number_is_read_as_it_is_spelt(number: int) -> None:
    assert parse_numeral(spelt(number)) == number
    assert parse_numeral(str(number)) == number
    formal = spelt(number).translate(str.maketrans("一二三四五六七八九十百千", "壹贰叁肆伍陆柒捌玖拾佰仟"))
    assert parse_numeral(formal) == number


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("十", 10),
        ("十二", 12),
        ("两千零三十", 2030),
        ("三百五", 350),
        ("三百零五", 305),
        ("一万二", 12_000),
        ("一万零二", 10_002),
        ("一亿五", 150_000_000),
        ("3千5百", 3500),
        ("3千万", 30_000_000),
        ("1亿2000万", 120_000_000),
        ("1.2亿", 120_000_000),
        ("50.5万", 505_000),
    ],
)
def test_spoken_and_mixed_forms_are_read(written: str, number: int) -> None:
    assert parse_numeral(written) == number


@pytest.mark.parametrize(
    "written", ["", "万", "亿", "十千", "一千万亿", "五五", "1.2.3", "百五", "元", "几十", "三百五万", "一" * 50]
)
def test_what_is_no_numeral_is_none(written: str) -> None:
    assert parse_numeral(written) is None


def test_a_year_is_read_digit_by_digit() -> None:
    assert [parse_digits(text) for text in ("二〇二四", "二零二四", "二○二四")] == [2024] * 3
    assert parse_digits("二十") is parse_digits("") is None


@given(st.text(f"{NUMERAL_CHARACTERS}0123456789.", max_size=60))
@settings(max_examples=300, deadline=None)
def test_a_number_that_was_read_reads_as_itself(text: str) -> None:
    number = parse_numeral(text)
    assert number is None or number >= 0
    if number is not None and number == number.to_integral_value() and number < Decimal(10) ** 15:
        assert parse_numeral(str(int(number))) == number
