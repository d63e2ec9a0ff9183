"""Telephone numbers in their one spelling (E.164): what is counted must not have a second one."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

PHONE_LENGTH = 16
# China's numbers have a national part of fixed length; what a provider would mend, such as a zero
# in front of it, would be a second spelling of the same telephone.
PHONE_PATTERN = r"^\+(?:861[3-9][0-9]{9}|[1-79][0-9]{6,14}|8[0-57-9][0-9]{5,13})$"
_PHONE = re.compile(PHONE_PATTERN)
_SEPARATOR = re.compile(r"[ ().-]")


def _check(text: str) -> str:
    if not _PHONE.fullmatch(text):
        message = "Send the number with its country and nothing else, such as +8613800138000."
        raise ValueError(message)
    return text


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
    return number if _PHONE.fullmatch(number) else None


def mask_phone(phone: str) -> str:
    """What a log or a screen may show of a number.

    >>> mask_phone("+8613800138000")
    '+86138****8000'
    """
    return f"{phone[:-8]}****{phone[-4:]}"
