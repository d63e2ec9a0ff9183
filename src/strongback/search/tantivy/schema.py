"""An index's declaration as a schema of tantivy, and documents as its fields have them.

text       every word of the document: what a search has to find
w_title    the words of one attribute, which weighs more than the others or is suggested
length     letters of the heaviest attribute, to tell whole titles from parts
f_tags     values for filters and sorting: text without case, datetimes in microseconds
c_tags     values for facets, as they were given
key        tells documents apart
stamp      key and version, and `content`, the whole document: as JSON
"""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import tantivy

from strongback.search.index import Attribute, Document, Index, Kind
from strongback.search.query import Stamp
from strongback.search.tantivy.word import split
from strongback.search.value import check_document, decode_value, to_microseconds, values_of

FORMAT = 2
"""Counts the changes of these fields and of how words are cut; another one needs a rebuild."""
TEXT, KEY, STAMP, CONTENT, LENGTH = "text", "key", "stamp", "content", "length"
_TANTIVY = version("tantivy")


def words_field(attribute: Attribute) -> str:
    """Name of the field with an attribute's words."""
    return f"w_{attribute.name}"


def value_field(attribute: Attribute) -> str:
    """Name of the field for filters and sorting."""
    return f"f_{attribute.name}"


def count_field(attribute: Attribute) -> str:
    """Name of the field for facets."""
    return f"c_{attribute.name}"


def has_words_field(index: Index, attribute: Attribute) -> bool:
    """Whether an attribute's words are looked for apart from the others, for ranking."""
    lightest = index.searchable[-1].weight
    return attribute.weight > lightest or attribute.name in {
        index.searchable[0].name,
        index.suggests,
    }


def _has_value_field(attribute: Attribute) -> bool:
    return attribute.filterable or attribute.facet or attribute.sortable


def structure_of(index: Index) -> str:
    """Tell apart what an index on disk may have been built for, by some letters and digits."""
    attributes = [
        (
            *(a.name, a.kind, a.multi_valued, a.weight > 0, a.facet),
            (has_words_field(index, a), _has_value_field(a)),
        )
        for a in index.attributes
    ]
    names = [index.key, index.version, index.searchable[0].name]
    structure = json.dumps([FORMAT, _TANTIVY, names, attributes])
    return sha256(structure.encode()).hexdigest()[:16]


def build_schema(index: Index) -> tantivy.Schema:
    """Build the schema for a declaration."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(KEY, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field(STAMP, stored=True)
    builder.add_bytes_field(CONTENT, stored=True)
    builder.add_text_field(TEXT, tokenizer_name="whitespace")
    builder.add_integer_field(LENGTH, indexed=True, fast=True)
    for attribute in index.attributes:
        if attribute.weight and has_words_field(index, attribute):
            builder.add_text_field(words_field(attribute), tokenizer_name="whitespace")
        name = value_field(attribute)
        if _has_value_field(attribute) and attribute.kind is Kind.TEXT:
            builder.add_text_field(name, fast=True, tokenizer_name="raw", index_option="basic")
        elif _has_value_field(attribute):
            add = {
                Kind.NUMBER: builder.add_float_field,
                Kind.BOOLEAN: builder.add_boolean_field,
            }.get(attribute.kind, builder.add_integer_field)
            add(name, indexed=True, fast=True)
        if attribute.facet:
            builder.add_text_field(
                count_field(attribute), fast=True, tokenizer_name="raw", index_option="basic"
            )
    return builder.build()


def encode_value(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401  of the attribute's kind
    """A value as filters compare it. tantivy's own dates have no microseconds."""
    match attribute.kind:
        case Kind.TEXT:
            return _valid(value.casefold())
        case Kind.NUMBER:
            return float(value)
        case Kind.DATETIME:
            return to_microseconds(value)
        case _:
            return value


def encode(index: Index, schema: tantivy.Schema, document: Document) -> tantivy.Document:
    """Check a document, and make it into tantivy's."""
    check_document(index, document)
    fields: dict[str, list[Any]] = {
        KEY: [encode_key(document[index.key])],
        STAMP: [_dump([document[index.key], document.get(index.version or "")])],
        CONTENT: [_dump(document)],
        TEXT: [],
    }
    more: list[str] = []  # words of the dictionary stand behind all that were written
    for attribute in index.attributes:
        values, own = list(values_of(document, attribute)), []
        for words, found in map(split, values if attribute.weight else ()):
            written = " ".join(words)
            fields[TEXT].append(written)
            own += [written, " ".join(found)]
            more += found
            if attribute is index.searchable[0]:
                fields[LENGTH] = [sum(map(len, words))]
        if attribute.weight and has_words_field(index, attribute):
            fields[words_field(attribute)] = own
        if values and _has_value_field(attribute):
            fields[value_field(attribute)] = [encode_value(attribute, v) for v in values]
        if values and attribute.facet:
            fields[count_field(attribute)] = [_valid(str(value)) for value in values]
    fields[TEXT].append(" ".join(more))
    return tantivy.Document.from_dict(fields, schema)


def encode_key(key: object) -> str:
    """A key as tantivy has it."""
    return _valid(str(key))


def decode(index: Index, found: tantivy.Document) -> dict[str, Any]:
    """A document as it was given; what it lacks is None."""
    values = json.loads(found[CONTENT][0])
    return {a.name: decode_value(a, values.get(a.name)) for a in index.attributes}


def decode_stamp(index: Index, found: tantivy.Document) -> Stamp:
    """A document's key and version."""
    key, version = json.loads(found[STAMP][0])
    return key, decode_value(index[index.version], version) if index.version else None


def _valid(text: str) -> str:
    """The text, as far as it can be encoded."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _dump(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, default=to_microseconds)
    return text.encode("utf-8", "replace")
