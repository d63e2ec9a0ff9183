"""Telephone numbers in their one spelling (E.164): what is counted must not have a second one."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

PHONE_LENGTH = 16
PHONE_PATTERN = r"^\+[1-9][0-9]{6,14}$"
"""The form alone; which numbers there are, each country's plan says."""
_PHONE = re.compile(PHONE_PATTERN)
_SEPARATOR = re.compile(r"[ ().-]")


def _check(text: str) -> str:
    if not _PHONE.fullmatch(text):
        message = "Send the number with its country and nothing else, such as +8613800138000."
        raise ValueError(message)
    if not _is_mobile(text):
        message = (
            "No mobile telephone has this number. Send all of its digits after the country's, and"
            " no zero before them, such as +8613800138000."
        )
        raise ValueError(message)
    return text


def _is_mobile(text: str) -> bool:
    """Whether the country's numbering plan has this number, for telephones that get messages."""
    # 30 ms and 3 MB, for those who use it.
    import phonenumbers as library  # noqa: PLC0415  above

    try:
        number = library.parse(text)
    except library.NumberParseException:
        return False
    # Where the two share their numbers, as in North America, nobody can tell them apart.
    kinds = (library.PhoneNumberType.MOBILE, library.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    # What the library mends, such as a zero in front, would be a second spelling.
    one_spelling = library.format_number(number, library.PhoneNumberFormat.E164)
    return library.number_type(number) in kinds and one_spelling == text


Phone = Annotated[
    str,
    AfterValidator(_check),
    Field(examples=["+8613800138000"], json_schema_extra={"pattern": PHONE_PATTERN}),
]
"""A number with its country that can get messages (E.164)."""


def parse_phone(text: str) -> str | None:
    """The number that a form names, without spaces, hyphens, brackets; None if it is none.

    In a form an unencoded plus arrives as a space: one in front is taken for what it was.

    >>> parse_phone(" 86 138-0013-8000")
    '+8613800138000'
    """
    digits = _SEPARATOR.sub("", text)
    number = f"+{digits}" if text.startswith(" ") else digits
    return number if _PHONE.fullmatch(number) and _is_mobile(number) else None


def mask_phone(phone: str) -> str:
    """What a log or a screen may show of a number.

    >>> mask_phone("+8613800138000")
    '+86138****8000'
    """
    return f"{phone[:-8]}****{phone[-4:]}"
