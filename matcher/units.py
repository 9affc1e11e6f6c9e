"""One spelling for each unit of measure, so that 毫克/升, mg/l and mg·L⁻¹ are the same word.

Only what is surely a unit is touched: a short spelling counts when a number stands before it, a
quotient when both of its sides are units. `aluminum`, `M2` and `20纳米颗粒` stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

# Every spelling found after a number, by the SI symbol it becomes. Spellings are case-sensitive:
# a capital changes the meaning (Mg is magnesium, M2 a screw thread).
MEASURES: Final[Mapping[str, tuple[str, ...]]] = {
    "nm": ("纳米",),
    "μm": ("um", "微米"),
    "mm": ("毫米",),
    "cm": ("厘米",),
    "km": ("千米", "公里"),
    "mm²": ("mm2", "mm^2", "平方毫米"),
    "cm²": ("cm2", "cm^2", "平方厘米"),
    "m²": ("m2", "m^2", "平方米"),
    "hm²": ("hm2", "hm^2", "公顷"),
    "km²": ("km2", "km^2", "平方千米", "平方公里"),
    "mm³": ("mm3", "mm^3", "立方毫米"),
    "cm³": ("cm3", "cm^3", "立方厘米"),
    "dm³": ("dm3", "dm^3", "立方分米"),
    "m³": ("m3", "m^3", "立方米"),
    "μL": ("ul", "uL", "μl", "微升"),
    "mL": ("ml", "毫升"),
    "ng": ("纳克",),
    "μg": ("ug", "微克"),
    "mg": ("毫克",),
    "kg": ("Kg", "KG", "千克", "公斤"),
    "kV": ("KV", "Kv", "千伏"),
    "kW": ("KW", "Kw", "kw", "千瓦"),
    "MW": ("兆瓦",),
    "kWh": ("KWh", "KWH", "kwh", "Kwh", "kW·h", "千瓦时"),
    "kPa": ("KPa", "Kpa", "kpa", "千帕"),
    "MPa": ("Mpa", "MPA", "兆帕"),
    "kHz": ("KHz", "Khz", "khz", "千赫"),
    "MHz": ("Mhz", "兆赫"),
    "GHz": ("Ghz", "吉赫"),
    "r/min": ("rpm", "转/分钟", "转/分", "转每分钟", "转每分"),
}
# The two sides of a quotient. Single letters and single characters (克, 升, 分) are units only there.
AMOUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    **{symbol: MEASURES[symbol] for symbol in ("ng", "μg", "mg", "kg", "μL", "mL", "m³", "km", "kW")},
    "g": ("克",),
    "t": ("吨",),
    "L": ("升",),
    "m": ("米",),
    "μmol": ("umol", "微摩尔"),
    "mmol": ("毫摩尔",),
    "mol": ("摩尔",),
    "W": ("瓦",),
    "kJ": ("KJ", "千焦"),
    "CFU": ("cfu",),
}
PER: Final[Mapping[str, tuple[str, ...]]] = {
    **{symbol: MEASURES[symbol] for symbol in ("mL", "kg", "cm²", "m²", "hm²", "cm³", "m³")},
    "g": ("克",),
    "t": ("吨",),
    "L": ("l", "升"),
    "s": ("秒",),
    "min": ("分钟", "分"),
    "h": ("小时",),
    "d": ("天",),
}
# A Han length before one of these names a material or a wave, not a length: 20纳米颗粒, 77毫米波.
_NOT_A_LENGTH: Final = "(?![级颗粒线管棒片孔晶复材金粉碳银铜氧波技])"
# No letter, digit, power or accent goes on; for Han spellings too, as a Latin symbol takes their place.
_WORD_ENDS: Final = r"(?![A-Za-z0-9μΩ²³\u0300-\u036f])"
_SINGLE_HAN_NEEDS_NUMBER: Final = r"(?<=[0-9\s万亿])"


def _negative_powers(symbol: str) -> tuple[str, ...]:
    """Give the spellings of one unit below the line: L⁻¹ and L-1, m⁻² and m-2."""
    base, power = (symbol[:-1], symbol[-1]) if symbol[-1] in "²³" else (symbol, "¹")
    digit = {"¹": "1", "²": "2", "³": "3"}[power]
    return (f"{base}⁻{power}", f"{base}-{digit}", f"{base}⁻{digit}")


def _spellings(units: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {form: symbol for symbol, forms in units.items() for form in (symbol, *forms)}


def _alternatives(forms: Iterable[str]) -> str:
    """Write the pattern that matches any of the forms, longest first, as whole words."""
    parts = []
    for form in sorted(forms, key=lambda form: (-len(form), form)):
        pattern = re.escape(form) + _WORD_ENDS
        if form.endswith("米") and not form.startswith(("平方", "立方")):
            pattern += _NOT_A_LENGTH
        elif form in ("千伏", "千瓦"):
            pattern += "(?![安·])"
        parts.append(pattern)
    return "|".join(parts)


def _amounts(forms: Iterable[str]) -> str:
    """Write the pattern of a quotient's upper side; 克 alone counts only after a number (马克/升)."""
    forms = list(forms)
    single = [form for form in forms if len(form) == 1 and not form.isascii()]
    others = [form for form in forms if form not in single]
    return f"{_alternatives(others)}|{_SINGLE_HAN_NEEDS_NUMBER}(?:{_alternatives(single)})"


_MEASURE_SYMBOL: Final = _spellings(MEASURES)
_AMOUNT_SYMBOL: Final = _spellings(AMOUNTS)
_PER_SYMBOL: Final = _spellings(PER)
_POWER_SYMBOL: Final = {form: symbol for symbol in PER for form in _negative_powers(symbol)}

_CELSIUS: Final = re.compile(r"[°˚º]\s?C(?![A-Za-zμΩ])|摄氏度")
_QUOTIENT: Final = re.compile(
    rf"(?<![A-Za-zμΩ/·⋅∙每])(?P<amount>{_amounts(_AMOUNT_SYMBOL)})"
    rf"(?P<per>(?:\s?[/每]\s?(?:{_alternatives(_PER_SYMBOL)})|[·⋅∙](?:{_alternatives(_POWER_SYMBOL)}))+)"
)
_BETWEEN_UNITS: Final = re.compile("[/每·⋅∙]")
_PER_PART: Final = re.compile(rf"\s?[/每]\s?({_alternatives(_PER_SYMBOL)})|[·⋅∙]({_alternatives(_POWER_SYMBOL)})")
_MEASURE: Final = re.compile(
    rf"(?<![A-Za-z0-9μΩ.^])([0-9]+(?:\.[0-9]+)?\s?[万亿]?\s?)({_alternatives(_MEASURE_SYMBOL)})"
)
_PER_AREA: Final = re.compile(r"(?<=[/每])([cdhkm]?m)([23])" + _WORD_ENDS)
_SUPERSCRIPT: Final = {"2": "²", "3": "³"}

# A unit straight after a number, as `unify_units` writes it, or in lower case: what a tokenizer keeps whole.
UNIT_AFTER_NUMBER: Final = (
    r"(?:[%‰℃]|[A-Za-zμΩ]{1,4}[²³]?"
    rf"(?:/(?:{'|'.join(sorted({*PER, *map(str.lower, PER)}, key=lambda form: (-len(form), form)))}))*"
    rf"{_WORD_ENDS})"
)


def _quotient(match: re.Match[str]) -> str:
    per = (_PER_SYMBOL[part[1]] if part[1] else _POWER_SYMBOL[part[2]] for part in _PER_PART.finditer(match["per"]))
    return "/".join((_AMOUNT_SYMBOL[match["amount"]], *per))


def unify_units(text: str) -> str:
    """Write every unit of measure in `text` with its SI symbol; everything else stays.

    :param text: text in NFKC, superscripts and degree signs kept.
    """
    text = _CELSIUS.sub("℃", text)
    if _BETWEEN_UNITS.search(text):  # most texts have none, and looking for units at every letter takes long
        text = _QUOTIENT.sub(_quotient, text)
    text = _MEASURE.sub(lambda match: match[1] + _MEASURE_SYMBOL[match[2]], text)
    return _PER_AREA.sub(lambda match: match[1] + _SUPERSCRIPT[match[2]], text)
