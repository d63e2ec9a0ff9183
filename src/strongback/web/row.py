"""Writes rows as JSON, in the shape of their response model.

The values of a row were validated when they were written, and its columns have types. Validating
them again costs half of the time of a list of 50. This works for plain fields only: models with
validators, serializers, aliases or nested models are left to pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy.orm import DeclarativeBase

from strongback.paging import Window
from strongback.schema import TO_UTC, Page

_PLAIN = (str, int, float, bool, NoneType, datetime, Enum)


@dataclass(frozen=True, slots=True)
class RowWriter:
    """Writes rows in the shape of one response model."""

    names: tuple[str, ...]
    values: Callable[[Any], tuple[Any, ...]]
    instants: tuple[int, ...]
    """Positions of datetimes: orjson writes `Z` for UTC only."""

    def one(self, row: object) -> bytes | None:
        """Write a row; None if it is no row, or has a datetime that is not UTC."""
        kind: Any = type(row)
        if not is_row_type(kind):
            return None
        values = self.values(row)
        return _dump(self._named(values)) if self._is_utc([values]) else None

    def window(self, window: Window[Any]) -> bytes | None:
        """Write a part of a list in the shape of `Page`; None if that is not possible."""
        if not all(map(is_row_type, set(map(type, window.items)))):
            return None
        rows = list(map(self.values, window.items))
        if not self._is_utc(rows):
            return None
        page = {
            "items": [dict(zip(self.names, values)) for values in rows],  # noqa: B905  see _named
            "page": window.page,
            "page_size": window.page_size,
            "total": window.total,
            "total_is_bounded": window.total_is_bounded or None,
            "next_cursor": window.next_cursor,
        }
        return _dump({name: value for name, value in page.items() if value is not None})

    def _named(self, values: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(self.names, values))  # noqa: B905  as many, by construction

    def _is_utc(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        # Plain loops: a generator expression would cost as much as everything else here.
        for position in self.instants:
            for values in rows:
                instant = values[position]
                if instant is not None and instant.tzinfo is not UTC:
                    return False
        return True


def writer_of(model: type[BaseModel]) -> RowWriter | None:
    """The writer for a response model or a page of it; None if a field is not plain."""
    if issubclass(model, Page):
        (model,) = get_args(model.model_fields["items"].annotation)
    fields = model.model_fields
    if model.__pydantic_decorators__.field_serializers or not all(map(_is_plain, fields.values())):
        return None
    if len(fields) < 2:  # noqa: PLR2004  attrgetter gives a tuple for several names alone
        return None
    instants = tuple(
        position for position, field in enumerate(fields.values()) if _holds(field, datetime)
    )
    return RowWriter(tuple(fields), attrgetter(*fields), instants)


@cache
def is_row_type(kind: type[object]) -> bool:
    """Whether a type is a model of the database or a dataclass."""
    return issubclass(kind, DeclarativeBase) or is_dataclass(kind)


def _dump(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def _is_plain(field: FieldInfo) -> bool:
    has_alias = field.alias or field.serialization_alias or field.exclude or field.exclude_if
    return not has_alias and _is_plain_type(field.rebuild_annotation())


def _is_plain_type(annotation: Any) -> bool:  # noqa: ANN401  any annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, *metadata = arguments
        return _is_plain_type(inner) and all(map(_is_constraint, metadata))
    if origin in {Union, UnionType, list}:
        return all(map(_is_plain_type, arguments))
    return origin is Literal or (isinstance(annotation, type) and issubclass(annotation, _PLAIN))


def _is_constraint(metadata: object) -> bool:
    # A constraint was checked when the value was stored; anything else may change the value.
    kinds = (annotated_types.BaseMetadata, FieldInfo, str)
    return metadata is TO_UTC or isinstance(metadata, kinds)


def _holds(field: FieldInfo, kind: type) -> bool:
    def search(annotation: Any) -> bool:  # noqa: ANN401  any annotation
        return annotation is kind or any(map(search, get_args(annotation)))

    return search(field.annotation)
