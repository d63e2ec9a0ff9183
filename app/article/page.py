"""Public pages: articles by list, tag, author and search, and what programs read of them."""

from __future__ import annotations

import json
from typing import Annotated, TypeVar
from urllib.parse import quote

from flask import redirect
from pydantic import BaseModel, Field, ValidationError
from werkzeug.wrappers import Response as AnyResponse

from app.article.exceptions import ArticleNotFound
from app.article.page_node import ArticleReading
from app.article.schema import ArticlePath, ArticleQuery
from app.article.search_node import SearchAnswers
from app.article.search_schema import SearchQuery
from app.article.view_count import ViewCounter
from strongback.exceptions import NotFound
from strongback.schema import MAX_PAGE, RequestQuery
from strongback.web import Response, inject, limited
from strongback.web.limit import principal as caller
from strongback.web.packed import HTML, PackedPage, packed_response
from strongback.web.page import (
    PageBlueprint,
    PageLanguage,
    address_of,
    page_language,
    pages_of_app,
    render,
)
from strongback.web.request import current_request
from strongback.web.validation import read

ATOM, XML = "application/atom+xml; charset=utf-8", "application/xml; charset=utf-8"
PAGE_SIZE = 20
RESULTS = 20
ROBOTS = """User-agent: *
Disallow: /api/
Disallow: /search

Sitemap: {address}/sitemap.xml
"""
Asked = Annotated[str, Field(max_length=1000)]
PageNumber = Annotated[int, Field(ge=1, le=MAX_PAGE)]
ModelT = TypeVar("ModelT", bound=BaseModel)

pages = PageBlueprint("reading", __name__)
reading = inject(ArticleReading)
answers = inject(SearchAnswers)
views = inject(ViewCounter)


class CommentsQuery(RequestQuery):
    """Page of the comments of an article."""

    page: PageNumber = 1


class SearchPageQuery(RequestQuery):
    """What is searched."""

    q: Asked = ""
    tag: Asked = ""
    language: Asked = ""
    sort: Asked = ""
    page: PageNumber = 1


def _query(model: type[ModelT], **given: object) -> ModelT:
    """Read the parameters that a page knows: others are of whoever made the link.

    Raises:
        ValidationFailed: One of them is invalid.
    """

    def reader(_: object) -> BaseModel:
        args = current_request().args
        known = {name: args[name] for name in model.model_fields if args.get(name)}
        return model.model_validate({**known, **given})

    return read(current_request(), [("query", reader)])["query"]  # type: ignore[return-value]  # of this model


def _respond(page: PackedPage, language: PageLanguage, kind: str = HTML) -> Response:
    by = "" if language.is_chosen else "Accept-Language"
    return packed_response(page, language.locale, by=by, kind=kind)


# Articles


@pages.get("/")
def show_articles() -> Response:
    """Show the latest articles."""
    return _list("/")


@pages.get("/tags/<path:tag>")
def show_tag(tag: str) -> Response:
    """Show the articles with a tag."""
    return _list(f"/tags/{quote(tag)}", tag=tag)


@pages.get("/authors/<name>")
def show_author(name: str) -> Response:
    """Show the articles of an author."""
    return _list(f"/authors/{quote(name)}", author=name)


def _list(path: str, **filters: str) -> Response:
    wanted = _query(ArticleQuery, page_size=PAGE_SIZE, cursor=None, **filters)
    language = page_language(current_request())
    page = reading.list(wanted, language, path)
    if page is None:
        raise NotFound
    return _respond(page, language)


@pages.get("/articles/<slug>")
def show_article(slug: str) -> Response:
    """Show an article with its comments."""
    try:
        path = ArticlePath(slug=slug)
    except ValidationError:
        raise ArticleNotFound from None
    request = current_request()
    number = _query(CommentsQuery).page if request.environ.get("QUERY_STRING") else 1
    found = reading.article(path.slug, number)
    if found is None:
        raise ArticleNotFound
    page, language, state = found
    if request.method == "GET":
        views.note(state)
    return packed_response(page, language.locale)


@pages.get("/tags")
def show_tags() -> Response:
    """Show all tags."""
    language = page_language(current_request())
    return _respond(reading.tags(language), language)


@pages.get("/authors")
def show_authors() -> Response:
    """Show all authors."""
    language = page_language(current_request())
    return _respond(reading.authors(language), language)


# Search


@pages.get("/search")
@limited("300/minute", key=caller, on_outage="process")
def search_page() -> Response:
    """Search articles."""
    asked = _query(SearchPageQuery)
    query = asked.model_dump(exclude={"page"})
    chosen = {"tag": asked.tag, "language": asked.language}
    conditions = [f'{name} = "{_quoted(value)}"' for name, value in chosen.items() if value]
    wanted = SearchQuery(
        q=asked.q,
        filter=" AND ".join(conditions),
        sort=asked.sort,
        highlight="title,summary,body",
        page=asked.page,
        page_size=RESULTS,
    )
    found = json.loads(answers.find(wanted))
    return render(
        "article/search.html",
        asked=asked,
        changed=lambda **other: address_of("/search", {**query, **other}),
        found=found,
        last=-(-found["total"] // RESULTS),
    )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


# For programs


@pages.get("/feed.xml")
def show_feed() -> Response:
    """Give an Atom feed, also of a tag, an author or a language."""
    wanted = _query(ArticleQuery, page=1, page_size=20, cursor=None, sort="-published_at")
    language = page_language(current_request())
    return _respond(reading.feed(wanted, language), language, kind=ATOM)


@pages.get("/sitemap.xml")
def show_sitemap_index() -> Response:
    """Give the parts of the sitemap."""
    return packed_response(reading.sitemap_index(), "en", kind=XML)


@pages.get("/sitemap/<int:part>.xml")
def show_sitemap(part: int) -> Response:
    """Give the addresses of articles."""
    if part >= reading.sitemap_parts():
        raise NotFound
    return packed_response(reading.sitemap(part), "en", kind=XML)


@pages.get("/robots.txt")
def show_robots() -> Response:
    """Tell crawlers what to leave alone, and where the sitemap is."""
    response = Response(ROBOTS.format(address=pages_of_app().address), mimetype="text/plain")
    response.is_taggable = True
    return response


@pages.get("/favicon.ico")
def show_favicon() -> AnyResponse:
    """Lead to the icon, which all pages name by its address."""
    return redirect(pages_of_app().static_files.url("strongback/icon.svg"))
