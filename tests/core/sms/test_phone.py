from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from app.core.sms.phone import Phone, mask_phone, parse_phone

WRONG = [
    "",
    "+",
    "13800138000",
    "8613800138000",
    "+86013800138000",  # what a provider would mend is a second spelling
    "+861380013800",
    "+86138001380001",
    "+8612800138000",
    "+0813800138000",
    "+1234567890123456",
    "+123",
    "+86１３８００１３８０００",
    "+861380013800٠",
    "+8613800138000\n",
    "tel:+8613800138000",
]


@pytest.mark.parametrize(
    "phone", ["+8613800138000", "+85291234567", "+12025550123", "+819012345678"]
)
def test_number_in_its_one_spelling_is_taken(phone):
    assert TypeAdapter(Phone).validate_python(phone) == phone == parse_phone(phone)


@pytest.mark.parametrize("phone", WRONG)
def test_anything_else_is_refused(phone):
    with pytest.raises(ValidationError):
        TypeAdapter(Phone).validate_python(phone)
    assert parse_phone(phone) is None


@pytest.mark.parametrize(
    "text",
    [" 8613800138000", "+86 138-0013-8000", "+86 (138) 0013 8000", "+86.138.0013.8000 "],
)
def test_form_may_separate_digits_and_lose_its_plus(text):
    assert parse_phone(text) == "+8613800138000"


@pytest.mark.parametrize(
    "phone, masked", [("+8613800138000", "+86138****8000"), ("+1234567", "****4567")]
)
def test_mask_leaves_too_little_to_call(phone, masked):
    assert mask_phone(phone) == masked
