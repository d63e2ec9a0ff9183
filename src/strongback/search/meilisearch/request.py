"""Searches as Meilisearch is asked, and its answers as ours.

Meilisearch escapes nothing. So it marks what it found with two signs that no text contains, the
text is escaped, and the signs become tags.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Mapping
from typing import Any

from strongback.search.index import Index
from strongback.search.meilisearch.document import decode
from strongback.search.meilisearch.filter import compile_filter
from strongback.search.query import (
    MARK,
    MAX_TEXT,
    Hit,
    Query,
    Result,
    Suggestion,
    check_query,
    most_first,
)

WORD_LENGTH = 6
"""Characters of a word and the space after it, to crop by words as Meilisearch does."""
SPARE_SUGGESTIONS = 4
"""Factor by which more texts are asked for than wanted, because several may be the same."""
# A minus before a word excludes it for Meilisearch; people who type one seldom mean that.
_MINUS = re.compile(r"(?:(?<=\s)|^)-+")

_NONCE = secrets.token_hex(6)
# From a private area of Unicode, with a number that nobody outside can know.
OPEN, CLOSE = f"\ue000{_NONCE}", f"\ue001{_NONCE}"

Body = dict[str, Any]


def search_body(index: Index, query: Query) -> tuple[str, Body]:
    """Return the text and the parameters of a search."""
    check_query(index, query)
    body: Body = {
        "page": query.page,
        "hitsPerPage": query.page_size,
        "attributesToRetrieve": [a.name for a in index.attributes if a.shown],
    }
    if query.filter is not None:
        body["filter"] = compile_filter(query.filter)
    if query.sort:
        body["sort"] = [
            f"{order.attribute}:{'desc' if order.descending else 'asc'}" for order in query.sort
        ]
    if query.facets:
        body["facets"] = list(query.facets)
    if query.highlight:
        body |= _highlighting(query.highlight)
        body |= {
            "attributesToCrop": list(query.highlight),
            "cropLength": max(1, query.crop // WORD_LENGTH),
            "cropMarker": "…",
        }
    return plain(query.text), body


def suggest_body(index: Index, text: str, limit: int) -> tuple[str, Body]:
    """Return the text and the parameters of a search for suggestions."""
    name = index.suggested.name
    return plain(text), {
        "limit": limit * SPARE_SUGGESTIONS,
        "attributesToSearchOn": [name],
        "attributesToRetrieve": [*{name, *(a.name for a in index.attributes if a.shown)}],
        **_highlighting((name,)),
    }


def read_result(index: Index, query: Query, answer: Mapping[str, Any], took_ms: float) -> Result:
    """Read an answer to a search."""
    counts = answer.get("facetDistribution", {})
    return Result(
        hits=[_hit(index, query, found) for found in answer["hits"]],
        total=answer["totalHits"],
        took_ms=took_ms,
        facets={index[name].label: most_first(counts.get(name, {})) for name in query.facets},
    )


def read_suggestions(index: Index, answer: Mapping[str, Any], limit: int) -> list[Suggestion]:
    """Read an answer to a search for suggestions: each text once."""
    name = index.suggested.name
    found: dict[str, Suggestion] = {}
    for hit in answer["hits"]:
        text = hit.get(name)
        if text and text not in found:
            marked = to_html(hit["_formatted"][name])
            found[text] = Suggestion(text, marked, decode(index, hit))
    return list(found.values())[:limit]


def to_html(formatted: Any) -> str:  # noqa: ANN401  a text or a list, at any depth of JSON
    """Return text, or a list of texts joined by commas, as HTML with the words found marked."""
    text = ", ".join(map(str, formatted)) if isinstance(formatted, list) else str(formatted)
    escaped = html.escape(text)
    return escaped.replace(OPEN, MARK[0]).replace(CLOSE, MARK[1])


def plain(text: str) -> str:
    """Return a text without what Meilisearch alone would see in it.

    Quotation marks around a phrase mean the same to every engine; one without a partner, nothing.

    >>> plain('server-side "events" -draft "')
    'server-side "events" draft  '
    """
    cleaned = _MINUS.sub("", text[:MAX_TEXT]).lstrip()
    if cleaned.count('"') % 2:
        before, _, after = cleaned.rpartition('"')
        cleaned = f"{before} {after}"
    return cleaned.encode("utf-8", "replace").decode()


def _highlighting(names: tuple[str, ...]) -> Body:
    return {
        "attributesToHighlight": list(names),
        "highlightPreTag": OPEN,
        "highlightPostTag": CLOSE,
    }


def _hit(index: Index, query: Query, found: Mapping[str, Any]) -> Hit:
    formatted = found.get("_formatted", {})
    highlight = {name: to_html(formatted[name]) for name in query.highlight if formatted.get(name)}
    return Hit(decode(index, found), highlight)
