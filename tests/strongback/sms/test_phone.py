from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from strongback.sms.phone import PHONE_PATTERN, Phone, mask_phone, parse_phone
from strongback.web.translation import FOLDER, Translations

WRONG = [
    "",
    "+",
    "13800138000",
    "8613800138000",
    "+0813800138000",
    "+1234567890123456",
    "+123",
    "+86１３８００１３８０００",
    "+861380013800٠",
    "+8613800138000\n",
    "tel:+8613800138000",
]


IMPOSSIBLE = [
    "+86013800138000",  # what a provider would mend is a second spelling
    "+861380013800",
    "+86138001380001",
    "+8612800138000",
    "+861065529988",  # of a telephone on a wire
    "+4407911123456",
    "+330612345678",
    "+610412345678",
    "+9991234567",
    "+210123456789",
    "+10000000000",
    "+19005550123",  # that its caller pays for
    "+80012345678",
    "+97150123456",
    "+999999999999999",
]


@pytest.mark.parametrize(
    "phone",
    [
        "+8613800138000",
        "+8619212345678",
        "+85291234567",
        "+12025550123",
        "+819012345678",
        "+447911123456",
        "+393123456789",
        "+33612345678",
        "+5491123456789",
    ],
)
def test_number_in_its_one_spelling_is_taken(phone):
    assert TypeAdapter(Phone).validate_python(phone) == phone == parse_phone(phone)


def test_the_document_shows_what_is_taken():
    schema = TypeAdapter(Phone).json_schema()
    assert (schema["type"], schema["pattern"]) == ("string", PHONE_PATTERN)


@pytest.mark.parametrize("phone", WRONG)
def test_anything_else_is_refused(phone):
    with pytest.raises(ValidationError, match=r"with its country and nothing else, such as \+86"):
        TypeAdapter(Phone).validate_python(phone)
    assert parse_phone(phone) is None


@pytest.mark.parametrize("phone", IMPOSSIBLE)
def test_a_number_that_no_mobile_telephone_can_have_is_refused(phone):
    with pytest.raises(ValidationError, match=r"No mobile telephone .* such as \+86"):
        TypeAdapter(Phone).validate_python(phone)
    assert parse_phone(phone) is None


@pytest.mark.parametrize(
    "phone, reason", [("13800138000", "请发送带国家代码"), ("+9991234567", "没有手机使用这个号码")]
)
def test_refusal_is_told_in_chinese_too(phone, reason):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Phone).validate_python(phone)
    message = caught.value.errors()[0]["msg"].removeprefix("Value error, ")
    assert Translations(FOLDER).translate(message, "zh").startswith(reason)


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
