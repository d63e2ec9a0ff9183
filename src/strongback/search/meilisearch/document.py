"""Documents as Meilisearch keeps them, and back.

Three attributes are added, whose names no declaration can have: `_key`, because Meilisearch takes
few characters in a primary key; `_form`, which tells for which declaration the document was made;
and `_characters`, the Chinese of the searched texts with a space after each character.

Meilisearch cuts Chinese into words, a query as well as a text, and not alike: a part of a sentence
may become words that its text does not have. Single characters it leaves alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from strongback.search.index import Attribute, Document, Index, Key, Kind
from strongback.search.separator import UNSPACED
from strongback.search.value import check_document

PRIMARY = "_key"
FORM = "_form"
CHARACTERS = "_characters"
MAX_BATCH = 2_000
"""Documents that are sent at once."""
MAX_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes that are sent at once, unless one document alone is larger; Meilisearch takes 100 MB."""
_RUN = re.compile(f"[{UNSPACED}]+")
_SAFE = re.compile(r"(?!x-)[A-Za-z0-9_-]{1,200}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def fingerprint(index: Index) -> str:
    """Tell apart declarations that need documents of another form; settings do not count."""
    form = [index.key, CHARACTERS, [(a.name, a.kind, a.multi_valued) for a in index.attributes]]
    return hashlib.sha256(json.dumps(form).encode()).hexdigest()[:16]


def primary_key(key: Key) -> str:
    """Return the key in Meilisearch's alphabet; a key in any other is known by its hash."""
    text = str(key)
    if _SAFE.fullmatch(text):
        return text
    return f"x-{hashlib.sha256(text.encode()).hexdigest()}"


def encode_value(value: Any) -> Any:  # noqa: ANN401  any value of a document
    """Turn a datetime into microseconds since 1970.

    Meilisearch orders numbers, as floats of 64 bits: they hold these exactly until the year 2255.
    """
    return (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value


def decode_value(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401  the same
    """Turn microseconds back into a datetime."""
    if attribute.kind is not Kind.DATETIME or value is None:
        return value
    if attribute.multi_valued:
        return [_EPOCH + one * _MICROSECOND for one in value]
    return _EPOCH + value * _MICROSECOND


def encode(index: Index, document: Document) -> dict[str, Any]:
    """Write a document for Meilisearch; what is None is left out.

    Raises:
        SearchMisuse: It is not what the index declares.
    """
    check_document(index, document)
    encoded: dict[str, Any] = {
        PRIMARY: primary_key(document[index.key]),
        FORM: fingerprint(index),
    }
    for attribute in index.attributes:
        value = document.get(attribute.name)
        if value is None:
            continue
        if attribute.multi_valued:
            encoded[attribute.name] = [encode_value(one) for one in value]
        else:
            encoded[attribute.name] = encode_value(value)
    if characters := " ".join(map(" ".join, _runs(index, document))):
        encoded[CHARACTERS] = characters
    return encoded


def _runs(index: Index, document: Document) -> Iterator[str]:
    for attribute in index.searchable:
        found = document.get(attribute.name) or ()
        for text in [found] if isinstance(found, str) else found:
            yield from _RUN.findall(text)


def phrases(text: str) -> str | None:
    """Return a query for the characters of its Chinese, in their order; None without Chinese.

    >>> phrases('FastAPI 教程')
    'FastAPI  "教 程" '
    """
    found, count = _RUN.subn(lambda run: f' "{" ".join(run[0])}" ', text.replace('"', " "))
    return found if count else None


def decode(index: Index, found: Mapping[str, Any]) -> dict[str, Any]:
    """Read what an index shows of a document."""
    return {
        attribute.name: decode_value(attribute, found.get(attribute.name))
        for attribute in index.attributes
        if attribute.shown
    }


def batches(documents: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Write documents as lines of JSON, in batches by count and bytes."""
    lines: list[bytes] = []
    size = 0
    for document in documents:
        line = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        if lines and (len(lines) == MAX_BATCH or size + len(line) > MAX_BATCH_BYTES):
            yield b"\n".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield b"\n".join(lines)
