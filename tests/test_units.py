import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matcher.units import AMOUNTS, MEASURES, PER, unify_units


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("25°C", "25℃"),
        ("25 摄氏度", "25 ℃"),
        ("25˚C", "25℃"),
        ("5um", "5μm"),
        ("10 微米以下", "10 μm以下"),
        ("50纳米以下", "50nm以下"),
        ("100m2", "100m²"),
        ("120平方米", "120m²"),
        ("100万平方米", "100万m²"),
        ("30公顷", "30hm²"),
        ("0.5Mpa", "0.5MPa"),
        ("1500转/分", "1500r/min"),
        ("20 ml", "20 mL"),
        ("3千瓦时", "3kWh"),
        ("3千瓦", "3kW"),
        ("60公里/小时", "60km/h"),
    ],
)
def test_a_measure_has_one_spelling(written: str, expected: str) -> None:
    assert unify_units(written) == expected


@pytest.mark.parametrize(
    "written", ["mg/l", "毫克/升", "毫克每升", "mg·L-1", "mg·L⁻¹", "mg⋅L-1", "mg / l", "mg/L", "毫克/L"]
)
def test_milligrams_a_litre_are_one_word_however_written(written: str) -> None:
    assert unify_units(written) == "mg/L"
    assert unify_units(f"低于50{written}的废水") == "低于50mg/L的废水"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5kg/m3", "5kg/m³"),
        ("ug/m3", "μg/m³"),
        ("12 kg·hm-2", "12 kg/hm²"),
        ("毫克/千克/天", "mg/kg/d"),
        ("5克/升", "5g/L"),
        ("8元/m2", "8元/m²"),
        ("5ug/mL", "5μg/mL"),
    ],
)
def test_a_quotient_of_units_has_one_spelling(written: str, expected: str) -> None:
    assert unify_units(written) == expected


@pytest.mark.parametrize(
    "text",
    [
        "aluminum 5",
        "M2螺栓",
        "CM2型",
        "A3m2",
        "型号X5um",
        "TiO2纳米",
        "20纳米颗粒",
        "77毫米波雷达",
        "2.0升级",
        "水平方米",
        "马克/升",
        "10千伏安",
        "5毫克A",
        "纳米/微米复合",
        "5G/4G",
        "l/d",
        "微米级",
        "m2",
    ],
)
def test_what_only_looks_like_a_unit_stays(text: str) -> None:
    assert unify_units(text) == text


def test_every_symbol_stands_for_itself() -> None:
    for symbol in {**MEASURES, **AMOUNTS}:
        assert unify_units(f"约7{symbol}左右") == f"约7{symbol}左右"
    for symbol in PER:
        assert unify_units(f"约7mg/{symbol}左右") == f"约7mg/{symbol}左右"


def test_no_spelling_stands_for_two_units() -> None:
    for table in (MEASURES, AMOUNTS, PER):
        forms = [form for symbol, others in table.items() for form in (symbol, *others)]
        assert len(forms) == len(set(forms))


_SPELLINGS = {
    form for table in (MEASURES, AMOUNTS, PER) for symbol, forms in table.items() for form in (symbol, *forms)
}
_BETWEEN = [
    "1",
    "2.5",
    "30",
    " ",
    "/",
    "每",
    "·",
    "-1",
    "-2",
    "⁻¹",
    "°C",
    "°",
    "摄氏度",
    "万",
    "水",
    "A",
    ".",
    "³",
]
_PIECES = [*sorted(_SPELLINGS), *_BETWEEN]


@settings(deadline=None, max_examples=600)
@example("1m^2uL")
@example("dm^3毫米2.5")
@example("mg/千克·d-1")
@given(st.lists(st.sampled_from(_PIECES), max_size=9).map("".join))
def test_unifying_again_changes_nothing(text: str) -> None:
    once = unify_units(text)
    assert unify_units(once) == once
