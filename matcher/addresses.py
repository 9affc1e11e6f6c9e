"""Addresses of electronic mail as people type them."""

from __future__ import annotations

import unicodedata

from matcher.errors import InvalidSubscription

_FIELD = "邮箱"
_WRONG = "不是可用的邮箱地址；应形如 name@example.cn，只用英文字母、数字和常见符号"
# As wide as the store's column, and as long as SMTP takes (RFC 5321, section 4.5.3.1.3).
ADDRESS_LIMIT = 254


def check_address(text: str) -> str:
    """The form in which an address is kept: its domain in lower case and ASCII, the part before the @ as it was typed.

    Nobody is asked whether it exists. Quoted parts, comments, bare host names and letters that only SMTPUTF8
    carries are refused: most mail servers do not take them.

    :raises InvalidSubscription: if it is no address.
    """
    from email_validator import EmailNotValidError, validate_email

    typed = unicodedata.normalize("NFKC", text).strip()
    try:
        # The domains of tests and examples cannot receive mail, but are addresses.
        found = validate_email(
            typed, check_deliverability=False, allow_smtputf8=False, strict=True, test_environment=True
        )
    except EmailNotValidError as error:
        raise InvalidSubscription(_FIELD, _WRONG) from error
    return f"{found.local_part}@{found.ascii_domain}"


def same_address(address: str) -> str:
    """What all forms of one address share: no mail server in use tells two boxes apart by case."""
    return address.lower()
