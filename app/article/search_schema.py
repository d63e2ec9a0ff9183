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
    """What is searched for."""

    q: Annotated[str, Field(max_length=QUERY_LENGTH)] = ""
    """Words, the last of which may be unfinished; "quoted words" follow one another. Everything
    is found without."""
    filter: Annotated[str, Field(max_length=QUERY_LENGTH)] = ""
    """Such as `language = zh AND tag IN [async, sql] AND published_at > 2026-01-01`."""
    sort: Annotated[str, Field(max_length=QUERY_LENGTH)] = ""
    """`published_at` or `updated_at`, with a hyphen for the newest first; several separated by
    commas. The best first where left out."""
    highlight: Annotated[str, Field(pattern=HIGHLIGHT_PATTERN)] = "true"
    """What is shown with the found words marked: some of title, tags, summary and body separated
    by commas, or `true` for all of them, or `false`."""
    page: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 1
    """Number of the page, from 1."""
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 20
    """Results on a page."""

    @property
    def highlighted(self) -> tuple[str, ...]:
        """`highlight`, read."""
        if self.highlight in {"true", "1", "*"}:
            return HIGHLIGHTED
        return tuple(name for name in self.highlight.split(",") if name in HIGHLIGHTED)


class SuggestQuery(RequestQuery):
    """What somebody is typing."""

    q: Annotated[str, Field(max_length=QUERY_LENGTH)] = ""
    """The text so far."""


class SearchItem(Schema):
    """An article that was found."""

    id: int
    """Number of the article."""
    slug: str
    """Name in addresses."""
    title: str
    """Title."""
    summary: str
    """A sentence or two of plain text."""
    tags: list[str]
    """Tags, sorted."""
    language: str
    """Language of the text (BCP 47)."""
    author: str
    """Name of the account that wrote it."""
    version: int
    """Counts the changes of the text."""
    published_at: Timestamp
    """From when on readers see it."""
    updated_at: Timestamp
    """When it last changed."""
    highlight: dict[str, str]
    """HTML by name of the field: escaped, with the words found in `<mark>`, long texts cut to
    where most of them are."""


class SearchResults(Schema):
    """A page of what was found, best first."""

    items: list[SearchItem]
    """The articles."""
    page: int
    """Number of this page, from 1."""
    page_size: int
    """Results asked for; the last page may have fewer."""
    total: int
    """Articles on all pages."""
    took_ms: float
    """Milliseconds that the search engine took."""
    facets: dict[str, dict[str, int]]
    """How many articles have each `tag` and each `language`, over all pages."""


class SuggestionItem(Schema):
    """A title that somebody may be about to type."""

    text: str
    """The title."""
    highlight: str
    """The same as HTML, with the words found in `<mark>`."""
    slug: str
    """The article's name in addresses."""
    language: str
    """Language of the article (BCP 47)."""


class Suggestions(Schema):
    """Titles, best first."""

    items: list[SuggestionItem]
    """The titles, each once."""
