import datetime
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matcher.dates import Period, parse_date, parse_period

# What dates and periods are written with.
WRITTEN = st.text("0123456789年月日./-~ T:号至到起止前今第季度上下半底旬Q一二三四十〇有效期", max_size=24)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024年3月5日", "2024-03-05"),
        ("2024 年 3 月 5 日", "2024-03-05"),
        ("２０２４年３月５日", "2024-03-05"),
        ("2024.3.5", "2024-03-05"),
        ("2024. 3. 5", "2024-03-05"),
        ("2024/3/5", "2024-03-05"),
        ("2024-03-05", "2024-03-05"),
        ("20240305", "2024-03-05"),
        ("2024 03 05", "2024-03-05"),
        ("2024-03-05T10:00:00", "2024-03-05"),
        ("2024-03-05T10:00:00.123+08:00", "2024-03-05"),
        ("2024-03-05 10:00", "2024-03-05"),
        ("20240305103000", "2024-03-05"),
        ("2024年3月5日（星期二）", "2024-03-05"),
        ("2024年3月5日 24时", "2024-03-05"),
        ("2024-02-29", "2024-02-29"),
        ("2024-03", "2024-03"),
        ("2024年3月", "2024-03"),
        ("2024年3月份", "2024-03"),
        ("2024年3月上旬", "2024-03"),
        ("2024年12月", "2024-12"),
        ("202403", "2024-03"),
        ("2024年", "2024"),
        ("2024年度", "2024"),
        (" 2024 ", "2024"),
        ("1998", "1998"),
        ("2024年底", "2024-12"),
        ("2024年3月底", "2024-03"),
        ("2024年第一季度", "2024-03"),
        ("2024年四季度", "2024-12"),
        ("2024Q2", "2024-06"),
        ("2024年上半年", "2024-06"),
        ("2024年下半年", "2024-12"),
    ],
)
def test_a_date_is_read_in_every_usual_form_and_as_precisely_as_it_was_written(written: str, meant: str) -> None:
    assert parse_date(written) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("二〇二四年三月五日", "2024-03-05"),
        ("二零二四年三月", "2024-03"),
        ("二○二四年十二月二十一日", "2024-12-21"),
        ("二〇二四年三月廿三日", "2024-03-23"),
        ("二〇二四年三月三十一日", "2024-03-31"),
        ("二〇二四年元月", "2024-01"),
        ("二〇二四年", "2024"),
    ],
)
def test_a_date_in_chinese_numerals_is_read(written: str, meant: str) -> None:
    assert parse_date(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        *("2024-13", "2024-02-30", "2023-02-29", "202413", "20240230", "2024年13月1日", "2024年4月31日"),
        *("2024-00-05", "2024-3-0", "202400", "20240300", "20240005", "2024 1 32"),
        *("1899", "3024-01-01", "24-03-05", "5/3/2024", "三月五日", "2024-2025", "2024年左右", "近期", ""),
    ],
)
def test_what_is_no_date_or_does_not_exist_is_none(written: str) -> None:
    assert parse_date(written) is None


@given(st.dates(datetime.date(1970, 1, 1), datetime.date(2099, 12, 31)))
@settings(max_examples=60, deadline=None)
def test_the_day_number_of_a_cell_that_lost_its_format_is_the_day(day: datetime.date) -> None:
    # What Excel shows for 5 March 2024 in a cell of the format General.
    assert parse_date("45356") == "2024-03-05"
    serial = 45356 + (day - datetime.date(2024, 3, 5)).days
    assert parse_date(str(serial)) == parse_date(f"{serial}.5") == day.isoformat()


@pytest.mark.parametrize("written", ["20241", "20249", "1", "99999", "453567"])
def test_other_numbers_are_no_days(written: str) -> None:
    assert parse_date(written) is None


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)))
@settings(max_examples=60, deadline=None)
def test_every_day_survives_every_way_of_writing_it(day: datetime.date) -> None:
    iso = day.isoformat()
    forms = [f"{day.year}年{day.month}月{day.day}日", f"{day.year}.{day.month}.{day.day}", f"{day:%Y%m%d}"]
    assert {parse_date(form) for form in [iso, *forms]} == {iso}
    for part in (iso[:4], iso[:7], iso):
        assert parse_date(part) == part


@pytest.mark.parametrize(
    ("written", "period"),
    [
        ("2024年3月5日至2025年", ("2024-03-05", "2025")),
        ("2024年3月5日至2025年3月4日", ("2024-03-05", "2025-03-04")),
        ("2020.01-2022.12", ("2020-01", "2022-12")),
        ("2020-01-01 - 2022-12-31", ("2020-01-01", "2022-12-31")),
        ("2024-03-05 00:00:00～2024-06-01 00:00:00", ("2024-03-05", "2024-06-01")),
        ("2024-2025", ("2024", "2025")),
        ("2024年3月5日至4月8日", ("2024-03-05", "2024-04-08")),
        ("2024年3月5日至8日", ("2024-03-05", "2024-03-08")),
        ("2024年3-5月", ("2024-03", "2024-05")),
        ("2024.3-5", ("2024-03", "2024-05")),
        ("2024.3.5-8", ("2024-03-05", "2024-03-08")),
        ("二〇二四年三月至五月", ("2024-03", "2024-05")),
        ("2024年第一季度", ("2024-01", "2024-03")),
        ("2024年上半年", ("2024-01", "2024-06")),
        ("2020年1月至今", ("2020-01", None)),
        ("自2024年3月起", ("2024-03", None)),
        ("自2024年3月起长期有效", ("2024-03", None)),
        ("截至2024年3月5日", (None, "2024-03-05")),
        ("有效期至2025年12月31日", (None, "2025-12-31")),
        ("即日起至2024年12月", (None, "2024-12")),
        ("2024年12月31日前", (None, "2024-12-31")),
        ("2024年内", (None, "2024")),
        ("2024-03-05", ("2024-03-05", "2024-03-05")),
    ],
)
def test_a_period_has_the_ends_that_were_written(written: str, period: tuple[str | None, str | None]) -> None:
    assert parse_period(written) == Period(*period)


@pytest.mark.parametrize(
    "written", ["2025年至2024年", "2022-2020", "长期有效", "至今", "2024年左右", "2024-02-30至2024-03-01"]
)
def test_what_ends_before_it_begins_or_names_no_date_is_no_period(written: str) -> None:
    assert parse_period(written) is None


@given(WRITTEN)
@example("2024年底至2024年")
@settings(max_examples=300, deadline=None)
def test_what_was_read_reads_as_itself(text: str) -> None:
    date = parse_date(text)
    assert date is None or parse_date(date) == date
    period = parse_period(text)
    if period:
        assert period.start or period.end
        for end in period:
            assert end is None or parse_date(end) == end
        if period.start and period.end:
            assert parse_period(f"{period.start}至{period.end}") == period


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_it(text: str) -> None:
    parse_date(text)
    parse_period(text)


@pytest.mark.parametrize("piece", ["2024年", "-", "至", "一", " ", "2024-", "前", "第", "T1"])
def test_long_text_costs_no_time(piece: str) -> None:
    started = time.perf_counter()
    for length in (99, 100_000):
        assert parse_date((piece * length)[:length]) is None
        parse_period((piece * length)[:length])
    assert time.perf_counter() - started < 0.5
