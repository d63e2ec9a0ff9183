"""Searches as Meilisearch is asked, and its answers as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from strongback.search.exceptions import SearchMisuse
from strongback.search.index import Attribute, Index, Order
from strongback.search.meilisearch.document import decode
from strongback.search.meilisearch.filter import compile_filter
from strongback.search.meilisearch.highlight import CLOSE, ELLIPSIS, OPEN, to_html
from strongback.search.query import MAX_TEXT, Hit, Query, Result, Suggestion

WORD_LENGTH = 6
"""Characters of a word and the space after it, to crop by words as Meilisearch does."""
SPARE_SUGGESTIONS = 4
"""How many times more texts are asked for than wanted, because several may be the same."""
# A minus before a word excludes it for Meilisearch; people who type one seldom mean that.
_MINUS = re.compile(r"(?:(?<=\s)|^)-+")

Body = dict[str, Any]


def search_body(index: Index, query: Query) -> tuple[str, Body]:
    """Return the text and the parameters of a search."""
    body: Body = {
        "page": query.page,
        "hitsPerPage": query.page_size,
        "attributesToRetrieve": [a.name for a in index.attributes if a.shown],
    }
    if query.filter is not None:
        body["filter"] = compile_filter(query.filter)
    if query.sort:
        body["sort"] = [_sorted(index, order) for order in query.sort]
    if query.facets:
        body["facets"] = [_faceted(index, name).name for name in query.facets]
    if query.highlight:
        body |= _highlighting(query.highlight)
        body |= {
            "attributesToCrop": list(query.highlight),
            "cropLength": max(1, query.crop // WORD_LENGTH),
            "cropMarker": ELLIPSIS,
        }
    return plain(query.text), body


def suggest_body(index: Index, text: str, limit: int) -> tuple[str, Body]:
    """Return the text and the parameters of a search for suggestions."""
    name = _suggested(index).name
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
        facets={
            attribute.label: _most_first(counts.get(attribute.name, {}))
            for attribute in (_faceted(index, name) for name in query.facets)
        },
    )


def read_suggestions(index: Index, answer: Mapping[str, Any], limit: int) -> list[Suggestion]:
    """Read an answer to a search for suggestions: each text once."""
    name = _suggested(index).name
    found: dict[str, Suggestion] = {}
    for hit in answer["hits"]:
        text = hit.get(name)
        if text and text not in found:
            marked = to_html(hit["_formatted"][name])
            found[text] = Suggestion(text, marked, decode(index, hit))
    return list(found.values())[:limit]


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


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _faceted(index: Index, name: str) -> Attribute:
    if not index[name].facet:
        raise SearchMisuse(f"index {index.name} does not count by {name}; declare it as a facet")
    return index[name]


def _sorted(index: Index, order: Order) -> str:
    if not index[order.attribute].sortable:
        raise SearchMisuse(f"index {index.name} is not sorted by {order.attribute}")
    return f"{order.attribute}:{'desc' if order.descending else 'asc'}"


def _suggested(index: Index) -> Attribute:
    if index.suggests is None:
        raise SearchMisuse(f"index {index.name} suggests nothing; declare an attribute for it")
    return index[index.suggests]
