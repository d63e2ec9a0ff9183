"""Every serializer gives back what it was given, as the declared type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from strongback.cache import CompactSerializer, JSONSerializer, Serializer
from strongback.cache.serializer import adapter_of


class Tea(Enum):
    GREEN = "green"


class Cup(BaseModel):
    tea: Tea
    made_at: datetime
    size: Decimal = Field(alias="capacity", default=Decimal("0.25"))
    notes: set[str] = set()


@dataclass
class Pot:
    cups: list[Cup]
    leaves: bytes


CUP = Cup(tea=Tea.GREEN, made_at=datetime(2026, 1, 2, 3, 4, 5, 678, UTC), capacity=Decimal("0.30"))


@pytest.mark.parametrize("serializer", [JSONSerializer(), CompactSerializer()])
@pytest.mark.parametrize(
    "kind, value",
    [
        (str, "茶\n\x00"),
        (int, 2**40),
        (float, 0.1),
        (float, math.inf),
        (bool, True),
        (bytes, bytes(range(256))),
        (datetime, datetime(2026, 1, 2, tzinfo=UTC)),
        (date, date(2026, 1, 2)),
        (timedelta, timedelta(days=1, microseconds=5)),
        (UUID, UUID(int=5)),
        (Decimal, Decimal("1.10")),
        (Tea, Tea.GREEN),
        (list[int], [1, 2]),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (dict[int, str], {1: "a"}),
        (dict[str, Any], {"a": [1, None, {"b": 2.5}]}),
        (Cup, CUP),
        (list[Cup], [CUP]),
        (Pot, Pot([CUP], b"oolong")),
        (Cup | int, 5),
    ],
    ids=str,
)
def test_values_survive(serializer: Serializer, kind: Any, value: object) -> None:
    codec = serializer.codec(adapter_of(kind))

    back = codec.decode(codec.encode(value))

    assert back == value
    assert type(back) is type(value)


def test_an_adapter_is_made_once_for_a_type() -> None:
    assert adapter_of(list[Cup]) is adapter_of(list[Cup])


def test_a_type_that_has_no_hash_has_an_adapter() -> None:
    assert adapter_of(Annotated[int, Field(gt=1)]).validate_python(2) == 2
    assert adapter_of(Annotated[int, ["no hash"]]).validate_python(2) == 2


def test_equal_types_keep_their_own_order() -> None:
    number, text = adapter_of(int | str), adapter_of(str | int)
    choices = [adapter.core_schema["choices"][0]["type"] for adapter in (number, text)]
    assert choices == ["int", "str"]


def test_the_compact_one_is_smaller() -> None:
    adapter = adapter_of(list[dict[str, int]])
    value = [{"number": number} for number in range(100)]

    sizes = [
        len(serializer.codec(adapter).encode(value))
        for serializer in (CompactSerializer(), JSONSerializer())
    ]

    assert sizes[0] < sizes[1]
