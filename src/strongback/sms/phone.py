"""Telephone numbers in E.164, with one spelling for each, as they are counted."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

PHONE_LENGTH = 16
PHONE_PATTERN = r"^\+[1-9][0-9]{6,14}$"
"""The format only; the numbering plans say which numbers exist."""
_PHONE = re.compile(PHONE_PATTERN)
_SEPARATOR = re.compile(r"[ ().-]")


def _check(text: str) -> str:
    if not _PHONE.fullmatch(text):
        message = "Send the number with its country and nothing else, such as +8613800138000."
        raise ValueError(message)
    if not _is_mobile(text):
        raise ValueError(
            "No mobile telephone has this number. Send all of its digits after the country's, and"
            " no zero before them, such as +8613800138000."
        )
    return text


def _is_mobile(text: str) -> bool:
    """Whether the numbering plan of the country has this number, as a mobile number."""
    # 30 ms and 3 MB.
    import phonenumbers as library  # noqa: PLC0415  above

    try:
        number = library.parse(text)
    except library.NumberParseException:
        return False
    # In some countries, as in North America, mobile and fixed lines share their numbers.
    kinds = (library.PhoneNumberType.MOBILE, library.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    # Corrections by the library, such as of a leading zero, would be a second spelling.
    one_spelling = library.format_number(number, library.PhoneNumberFormat.E164)
    return library.number_type(number) in kinds and one_spelling == text


Phone = Annotated[
    str,
    AfterValidator(_check),
    Field(examples=["+8613800138000"], json_schema_extra={"pattern": PHONE_PATTERN}),
]
"""A mobile number with country code (E.164)."""


def parse_phone(text: str) -> str | None:
    """The number in a form without spaces, hyphens and parentheses; None if invalid.

    In a form, an unencoded plus arrives as a space: a leading one counts as a plus.

    >>> parse_phone(" 86 138-0013-8000")
    '+8613800138000'
    """
    digits = _SEPARATOR.sub("", text)
    number = f"+{digits}" if text.startswith(" ") else digits
    return number if _PHONE.fullmatch(number) and _is_mobile(number) else None


def mask_phone(phone: str) -> str:
    """A number as logs and screens show it.

    >>> mask_phone("+8613800138000")
    '+86138****8000'
    """
    return f"{phone[:-8]}****{phone[-4:]}"
