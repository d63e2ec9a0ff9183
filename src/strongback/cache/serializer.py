"""Serializers: they turn values into bytes for storages outside the process."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Protocol

import ormsgpack
from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticUserError

from strongback.cache.storage import Codec

_EXACT = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")


class Serializer(Protocol):
    """Makes the codec of a type."""

    def codec(self, adapter: TypeAdapter[Any]) -> Codec:
        """Return the codec of a type, which gives back values of the same type."""
        ...


def adapter_of(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401  any type expression
    """Return the adapter of a type, such that JSON loses nothing where the type allows that."""
    try:
        # `int | str` equals `str | int`, and is tried in another order.
        return _adapter(kind, repr(kind))
    except TypeError:  # annotated with something that has no hash
        return _adapter.__wrapped__(kind, "")


@lru_cache(maxsize=1024)
def _adapter(kind: Any, _written: str) -> TypeAdapter[Any]:  # noqa: ANN401  any type expression
    # Making one takes milliseconds, and a node asks when it is declared and when it is registered.
    try:
        return TypeAdapter(kind, config=_EXACT)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":  # models and dataclasses have their own
            raise
        return TypeAdapter(kind)


class JSONSerializer:
    """JSON by pydantic: readable in Redis, and by other languages. Bytes pass as they are."""

    def codec(self, adapter: TypeAdapter[Any]) -> Codec:
        """Return the codec of a type."""
        if adapter.core_schema["type"] == "bytes":
            return Codec(bytes, bytes)
        to_json, validate = adapter.serializer.to_json, adapter.validator.validate_json
        if not _may_have_aliases(adapter):
            return Codec(to_json, validate)
        return Codec(
            lambda value: to_json(value, by_alias=False, round_trip=True),
            lambda data: validate(data, by_alias=False, by_name=True),
        )


class CompactSerializer:
    """MessagePack by ormsgpack: smaller than JSON, and bytes inside a value stay bytes."""

    def codec(self, adapter: TypeAdapter[Any]) -> Codec:
        """Return the codec of a type."""
        to_python, validate = adapter.serializer.to_python, adapter.validator.validate_python

        def encode(value: Any) -> bytes:  # noqa: ANN401  any value
            plain = to_python(value, by_alias=False, round_trip=True)
            return ormsgpack.packb(plain, _plain, _OPTIONS)

        def decode(data: bytes) -> Any:  # noqa: ANN401  any value
            plain = ormsgpack.unpackb(data, option=ormsgpack.OPT_NON_STR_KEYS)
            return validate(plain, by_alias=False, by_name=True)

        return Codec(encode, decode)


_OPTIONS = ormsgpack.OPT_NON_STR_KEYS
_PLAIN_SCHEMAS = frozenset(
    {"bool", "bytes", "date", "datetime", "dict", "float", "int", "list", "str"}
)


def _may_have_aliases(adapter: TypeAdapter[Any]) -> bool:
    # Values of plain types are spared the arguments, which cost as much as a small value itself.
    schemas = [adapter.core_schema]
    while schemas:
        schema: Any = schemas.pop()
        if schema["type"] not in _PLAIN_SCHEMAS:
            return True
        parts = ("items_schema", "keys_schema", "values_schema")
        schemas += [schema[part] for part in parts if part in schema]
    return False


def _plain(value: object) -> Any:  # noqa: ANN401  what MessagePack knows
    if isinstance(value, set | frozenset | deque):
        return list(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | PurePath | complex):
        return str(value)
    raise TypeError(f"{type(value).__qualname__} cannot be written as MessagePack")
