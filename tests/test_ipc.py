import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.ipc import falls_under, parse_ipc
from matcher.programs import programmes

WRITTEN = st.text("ABCH0123456789abc/ ();；,.|ＡＩ０１", max_size=40)
SYMBOLS = st.from_regex(r"[A-H][0-9]{2}([A-Z]([1-9][0-9]{0,3}(/[0-9]{2,6})?)?)?", fullmatch=True)


@pytest.mark.parametrize(
    ("written", "symbols"),
    [
        ("A01G 18/00(2018.01)I", ("A01G18/00",)),
        ("A01G 18/00 (2018.01)", ("A01G18/00",)),
        ("a01g18/00", ("A01G18/00",)),
        ("Ａ０１Ｇ　１８／００", ("A01G18/00",)),
        ("A01G  18/00 I", ("A01G18/00",)),
        ("A01B 001/02", ("A01B1/02",)),
        ("A01G0018000000", ("A01G18/00",)),
        ("G01N0033530000", ("G01N33/53",)),
        ("A01G 18/00(2018.01)I;C05F 17/00(2020.01)N", ("A01G18/00", "C05F17/00")),
        ("Int.Cl.8: A01G 1/04(2006.01)I  A01G 9/10", ("A01G1/04", "A01G9/10")),
        ("A01G18/00、A23L31/00；A01G18/00", ("A01G18/00", "A23L31/00")),
        ("A01G|A23L", ("A01G", "A23L")),
        ("H02K；H02P；3", ("H02K", "H02P")),
        ("C12N A61K", ("C12N", "A61K")),
        ("A01", ("A01",)),
        ("B65D88", ("B65D88",)),
        ("G01N33/6803", ("G01N33/6803",)),
    ],
)
def test_a_symbol_has_one_form(written: str, symbols: tuple[str, ...]) -> None:
    assert parse_ipc(written) == symbols


@pytest.mark.parametrize("written", ["", "无", "LOC(13)09-03", "S646", "Y02A40/10", "2018A", "A", "A-01", "TP391.41"])
def test_other_classifications_are_no_symbols(written: str) -> None:
    assert parse_ipc(written) == ()


@pytest.mark.parametrize(
    ("symbol", "prefix"),
    [
        ("A01G18/00", "A01"),
        ("A01G 18/00(2018.01)I", "A01G"),
        ("a01g18/20", "A01G18"),
        ("A01G18/20", "A01G18/00"),
        ("H02J3/38", "H02J3"),
        ("G01N33/531", "G01N33/53"),
        ("G01N33/53", "G01N33/53"),
        ("A01G", "A01G"),
    ],
)
def test_a_symbol_lies_under_its_class_group_and_subgroup(symbol: str, prefix: str) -> None:
    assert falls_under(symbol, ["B01D", prefix])


@pytest.mark.parametrize(
    ("symbol", "prefix"),
    [
        ("H02J30/00", "H02J3"),
        ("H02J37/00", "H02J3"),
        ("C04B28/04", "C04B2"),
        ("C04B20/00", "C04B2"),
        ("G01N33/68", "G01N33/53"),
        ("G01N330/53", "G01N33"),
        ("A01G", "A01G18/00"),
        ("A01", "A01G"),
        ("A01G18/00", "A23L"),
        ("无", "A01"),
        ("A01G", "无"),
    ],
)
def test_digits_that_look_alike_are_not_under_each_other(symbol: str, prefix: str) -> None:
    assert not falls_under(symbol, [prefix])


def test_every_prefix_of_the_programmes_is_a_symbol() -> None:
    for programme in programmes():
        for symbol in programme.ipc:
            assert parse_ipc(symbol) == (symbol,)
            assert falls_under(symbol, programme.ipc)


@given(SYMBOLS)
@settings(max_examples=200, deadline=None)
def test_every_symbol_survives_its_forms_and_lies_under_its_parts(symbol: str) -> None:
    for form in (symbol, symbol.lower(), f"{symbol} (2018.01)I"):
        assert parse_ipc(form) == (symbol,)
    if "/" in symbol:
        assert parse_ipc(f"{symbol[:4]} {symbol[4:]}") == (symbol,)
    for prefix in (symbol[:3], symbol[:4], symbol.split("/")[0], symbol):
        assert falls_under(symbol, [prefix])


@given(WRITTEN)
@settings(max_examples=300, deadline=None)
def test_what_was_read_reads_as_itself(text: str) -> None:
    symbols = parse_ipc(text)
    assert parse_ipc("；".join(symbols)) == symbols


@given(st.text(max_size=100), st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_text_breaks_it(text: str, prefix: str) -> None:
    parse_ipc(text)
    falls_under(text, [prefix])


@pytest.mark.parametrize("piece", ["A01G ", "A", "A01G1", " ", "A01G 18/", "(2018.01)", "A01G18/00;"])
def test_long_text_costs_no_time(piece: str) -> None:
    started = time.perf_counter()
    text = (piece * 100_000)[:100_000]
    parse_ipc(text)
    falls_under(text, ["A01"])
    assert time.perf_counter() - started < 0.5
