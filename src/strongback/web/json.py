"""JSON by orjson, for all types that a view may return."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import orjson
from flask.json.provider import JSONProvider
from pydantic import BaseModel

from strongback.schema import utc

# Datetimes are passed to `encode`: orjson would keep offsets other than UTC.
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME

_ENCODERS: tuple[tuple[tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((datetime,), lambda value: utc(value).isoformat().replace("+00:00", "Z")),
    ((date, time), lambda value: value.isoformat()),
    ((BaseModel,), lambda value: value.model_dump(mode="json", by_alias=True)),
    ((Decimal, UUID, PurePath), str),
    ((timedelta,), lambda value: value.total_seconds()),
    ((set, frozenset, deque), list),
    ((Mapping,), dict),
    ((Enum,), lambda value: value.value),
    ((bytes, bytearray), lambda value: value.decode("utf-8", "replace")),
)


def encode(value: object) -> Any:  # noqa: ANN401  whatever JSON type fits the value
    """Convert a value to a type of JSON, or raise `TypeError`."""
    for kinds, encoder in _ENCODERS:
        if isinstance(value, kinds):
            return encoder(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for method in ("as_dict", "dict"):
        if callable(convert := getattr(value, method, None)):
            return convert()
    msg = f"{type(value).__qualname__} cannot be written as JSON; give it dict() or as_dict()"
    raise TypeError(msg)


def dump(value: object) -> bytes:
    """Write compact JSON as UTF-8."""
    try:
        return orjson.dumps(value, encode, _OPTIONS)
    except TypeError:
        # orjson supports neither integers above 64 bits nor lone surrogates; the standard library
        # does, at a tenth of the speed.
        return json.dumps(_plain(value), separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:  # noqa: ANN401  any value, and whatever JSON type fits it
    """Convert keys and non-finite numbers for the standard library, as orjson does by itself."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain(encode(value))


def _key(key: Any) -> str:  # noqa: ANN401  any hashable value
    if isinstance(key, str):
        return str(key)
    plain = _plain(key)
    return plain if isinstance(plain, str) else json.dumps(plain)


class OrJSONProvider(JSONProvider):
    """Flask's JSON by orjson: `flask.json`, `request.get_json`, `jsonify`, the test client."""

    def dumps(self, obj: Any, **_: Any) -> str:  # noqa: ANN401  Flask's own signature
        """Write compact JSON; formatting arguments have no effect."""
        return dump(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:  # noqa: ANN401  Flask's own signature
        """Read JSON strictly: no NaN, no lone surrogates, at most 1,024 levels."""
        return orjson.loads(s)
