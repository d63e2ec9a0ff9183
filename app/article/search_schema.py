"""What is asked and said when articles are searched."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strongback.schema import MAX_PAGE, MAX_PAGE_SIZE, RequestQuery, Schema, Timestamp

QUERY_LENGTH = 10_000
"""Characters of a parameter: as many as fit into an address. Less of it is looked at."""
HIGHLIGHTED = ("title", "tags", "summary", "body")
HIGHLIGHT_PATTERN = r"^(?:true|false|1|0|\*|(?:(?:title|tags|summary|body)(?:,|$))*)$"


class SearchQuery(RequestQuery):
    """Query of a search."""

    q: Annotated[str, Field(max_length=QUERY_LENGTH)] = ""
    """Search words. The last one may be incomplete; "quoted words" match as a phrase. Without any,
    all articles match."""
    filter: Annotated[str, Field(max_length=QUERY_LENGTH)] = ""
    """Filter, such as `language = zh AND tag IN [async, sql] AND published_at > 2026-01-01`."""
    sort: Annotated[str, Field(max_length=QUERY_LENGTH)] = ""
    """`published_at` or `updated_at`, with a leading hyphen for descending order; several separated
    by commas. Default: best match first."""
    highlight: Annotated[str, Field(pattern=HIGHLIGHT_PATTERN)] = "true"
    """Fields to return with the matches marked: any of title, tags, summary and body, separated by
    commas; `true` for all of them, `false` for none."""
    page: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 1
    """Page number, starting at 1."""
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 20
    """Results per page."""

    @property
    def highlighted(self) -> tuple[str, ...]:
        """The names in `highlight`."""
        if self.highlight in {"true", "1", "*"}:
            return HIGHLIGHTED
        return tuple(name for name in self.highlight.split(",") if name in HIGHLIGHTED)


class SuggestQuery(RequestQuery):
    """Query of a suggestion."""

    q: Annotated[str, Field(max_length=QUERY_LENGTH)] = ""
    """Text typed so far."""


class SearchItem(Schema):
    """A search result."""

    id: int
    """Id of the article."""
    slug: str
    """Slug of the article."""
    title: str
    """Title."""
    summary: str
    """Plain text of a sentence or two."""
    tags: list[str]
    """Tags in alphabetical order."""
    language: str
    """Language of the text (BCP 47)."""
    author: str
    """Username of the author."""
    version: int
    """Version of the text; grows with each change."""
    published_at: Timestamp
    """Publication date."""
    updated_at: Timestamp
    """Time of the last change."""
    highlight: dict[str, str]
    """Escaped HTML by field name, with the matches in `<mark>`; long texts are cut to the passage
    with most of them."""


class SearchResults(Schema):
    """A page of search results."""

    items: list[SearchItem]
    """Articles, best match first unless `sort` is given."""
    page: int
    """Page number, starting at 1."""
    page_size: int
    """Requested results per page; the last page may have fewer."""
    total: int
    """Number of results on all pages."""
    took_ms: float
    """Time spent by the search engine, in milliseconds."""
    facets: dict[str, dict[str, int]]
    """Number of results for each `tag` and each `language`, over all pages."""


class SuggestionItem(Schema):
    """A suggested title."""

    text: str
    """Title of the article."""
    highlight: str
    """Title as escaped HTML, with the matches in `<mark>`."""
    slug: str
    """Slug of the article."""
    language: str
    """Language of the article (BCP 47)."""


class Suggestions(Schema):
    """Suggested titles."""

    items: list[SuggestionItem]
    """Titles without duplicates, best match first."""
