"""Checks documents before any engine gets them."""

from __future__ import annotations

from typing import Any

from strongback.search.exceptions import SearchMisuse
from strongback.search.index import TYPES, Attribute, Document, Index, Kind


def check_document(index: Index, document: Document) -> None:
    """Check a document against the declaration of its index.

    Raises:
        SearchMisuse: It has no key, an attribute that is not declared, or a value of another kind.
    """
    for name, value in document.items():
        _check_value(index, index[name], value)
    if document.get(index.key) is None:
        raise SearchMisuse(f"a document of {index.name} has no {index.key}")


def _check_value(
    index: Index, attribute: Attribute, value: Any  # noqa: ANN401  what is to be checked
) -> None:
    if value is None:
        return
    is_list = isinstance(value, list | tuple)
    if is_list != attribute.multi_valued or not all(
        _fits(attribute, item) for item in (value if is_list else (value,))
    ):
        wanted = f"a list of {attribute.kind}" if attribute.multi_valued else attribute.kind
        raise SearchMisuse(f"{attribute.name} of {index.name} is {wanted}, not {value!r:.40}")


def _fits(attribute: Attribute, item: Any) -> bool:  # noqa: ANN401  the same
    # By its very type: a boolean is an integer to Python, and to nobody who filters.
    return type(item) in TYPES[attribute.kind] and (
        attribute.kind is not Kind.DATETIME or item.tzinfo is not None
    )
