"""Values of documents, as every engine takes and keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from strongback.search.exceptions import SearchMisuse
from strongback.search.index import TYPES, Attribute, Document, Index, Kind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def check_document(index: Index, document: Document) -> None:
    """Raise SearchMisuse unless a document has its key, and values as the index declares them."""
    for name, value in document.items():
        attribute = index[name]
        is_list = isinstance(value, list | tuple)
        items = value if is_list else () if value is None else (value,)
        is_one = value is None or is_list == attribute.multi_valued
        if not is_one or not all(_fits(attribute, item) for item in items):
            wanted = f"a list of {attribute.kind}" if attribute.multi_valued else attribute.kind
            raise SearchMisuse(f"{name} of {index.name} is {wanted}, not {value!r:.40}")
    if document.get(index.key) is None:
        raise SearchMisuse(f"a document of {index.name} has no {index.key}")


def _fits(attribute: Attribute, item: Any) -> bool:  # noqa: ANN401  what is to be checked
    # By its very type: a boolean is an integer to Python, and to nobody who filters.
    return type(item) in TYPES[attribute.kind] and (
        attribute.kind is not Kind.DATETIME or item.tzinfo is not None
    )


def values_of(document: Document, attribute: Attribute) -> Iterator[Any]:
    """The values of an attribute: all of a list, one or none else."""
    value = document.get(attribute.name)
    if attribute.multi_valued:
        yield from value or ()
    elif value is not None:
        yield value


def to_microseconds(value: datetime) -> int:
    """Turn a datetime into microseconds since 1970, which no engine rounds.

    Meilisearch has floats of 64 bits, which hold these exactly until the year 2255.
    """
    return (value - _EPOCH) // _MICROSECOND


def decode_value(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401  of the attribute's kind
    """Turn microseconds back into a datetime, and leave other values alone."""
    if attribute.kind is not Kind.DATETIME or value is None:
        return value
    if attribute.multi_valued:
        return [_EPOCH + one * _MICROSECOND for one in value]
    return _EPOCH + value * _MICROSECOND
