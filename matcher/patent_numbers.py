"""Publication and application numbers of patents, whatever way they are written."""

from __future__ import annotations

import re
import unicodedata

# Publications of one Chinese application, from the application (A) to the grant (B, C; U and Y, S) and their
# corrections, share these nine digits. Older numbers have seven, and there A and C count apart.
_SHARED_DIGITS = 9
_PUBLICATION = re.compile(r"(?P<office>[A-Z]{2})?(?P<digits>\d{5,11})(?P<code>[A-Z]\d?)?", re.ASCII)
_APPLICATION = re.compile(r"(?:CN|ZL)?(?P<number>\d{12}|\d{8})(?P<check>[\dX])?", re.ASCII)
_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
# Years and kinds (invention, utility model, design; 8 and 9 came by the PCT) that there are.
_LONG_APPLICATION = re.compile(r"(?:19|20)\d\d[12389]\d{7}")
_SHORT_APPLICATION = re.compile(r"(?:8[5-9]|9\d|0[0-3])[12389]\d{5}")


def publication(number: str | None) -> str | None:
    """What all publications of one application have in common, such as ``CN109876543``.

    The kind code (A, B, U …) goes where the application and the grant have one number, as Chinese ones since
    2007 do; it stays in all other numbers.

    :returns: None if the text is no publication number, or names no office and has no nine digits.
    """
    found = _PUBLICATION.fullmatch(_solid(number))
    if not found:
        return None
    office, digits, code = found["office"], found["digits"], found["code"] or ""
    if office == "ZL":  # stands before application numbers
        return None
    if office in (None, "CN"):
        if len(digits) == _SHARED_DIGITS and digits[0] in "123":
            return f"CN{digits}"
        if office is None or len(digits) != 7 or not code:
            return None
    return f"{office}{digits}{code}"


def application(number: str | None) -> str | None:
    """A Chinese application number, or the patent number made of it, without prefix, point and check digit.

    :returns: None if the text is no such number, or its check digit says that it was mistyped.
    """
    found = _APPLICATION.fullmatch(_solid(number))
    if not found:
        return None
    digits, check = found["number"], found["check"]
    if not (_LONG_APPLICATION if len(digits) == 12 else _SHORT_APPLICATION).fullmatch(digits):
        return None
    if len(digits) == 12 and check and check != _check_digit(digits):
        return None
    return digits


def granted(number: str | None) -> bool:
    """Whether a publication number is that of a granted patent rather than of an application."""
    found = _PUBLICATION.fullmatch(_solid(number))
    return bool(found and (found["code"] or "A")[0] != "A")


def _check_digit(digits: str) -> str:
    rest = sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


def _solid(number: str | None) -> str:
    """The number in capitals and half-width, without blanks, points and dashes, and without what stands before it."""
    text = unicodedata.normalize("NFKC", number or "").upper()
    text = re.sub(r"^[^0-9A-Z]*(?:公开|公告|申请|专利|授权)*\(?(?:公告)?\)?号?[:：]?", "", text)
    return re.sub(r"[\s.,·\-—_/()]+", "", text)
