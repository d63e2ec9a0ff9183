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
from datetime import datetime
from typing import Any

from strongback.search.index import Document, Index, Key
from strongback.search.separator import UNSPACED
from strongback.search.value import check_document, decode_value, to_microseconds, values_of

PRIMARY = "_key"
FORM = "_form"
CHARACTERS = "_characters"
MAX_BATCH = 2_000
"""Documents that are sent at once."""
MAX_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes that are sent at once, unless one document alone is larger; Meilisearch takes 100 MB."""
_RUN = re.compile(f"[{UNSPACED}]+")
_SAFE = re.compile(r"(?!x-)[A-Za-z0-9_-]{1,200}")


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
    """Turn a datetime into a number, which Meilisearch can order."""
    return to_microseconds(value) if isinstance(value, datetime) else value


def encode(index: Index, document: Document) -> dict[str, Any]:
    """Check a document, and write it for Meilisearch; what is None is left out."""
    check_document(index, document)
    encoded: dict[str, Any] = {PRIMARY: primary_key(document[index.key]), FORM: fingerprint(index)}
    for attribute in index.attributes:
        if document.get(attribute.name) is not None:
            values = [encode_value(value) for value in values_of(document, attribute)]
            encoded[attribute.name] = values if attribute.multi_valued else values[0]
    texts = (text for attribute in index.searchable for text in values_of(document, attribute))
    if characters := " ".join(" ".join(run) for text in texts for run in _RUN.findall(text)):
        encoded[CHARACTERS] = characters
    return encoded


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
