"""Routes of articles."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

from app.article.archive import ArchiveImports
from app.article.content import Fields
from app.article.exceptions import ArticleNotFound
from app.article.model import Article
from app.article.node import ArticlePages
from app.article.schema import (
    ArticleChange,
    ArticleEntry,
    ArticleIn,
    ArticleOut,
    ArticlePath,
    ArticleQuery,
    LikeOut,
    TagList,
    TagQuery,
)
from app.article.service import ArticleService
from app.article.source import Encoding
from app.article.view_count import ViewCounter
from app.core.permission import Permission
from strongback.auth.principal import Principal
from strongback.schema import Page, RequestForm
from strongback.task.view import JobOut, job_out
from strongback.web import (
    APIBlueprint,
    IfMatch,
    Response,
    UploadedFile,
    cached_page,
    cached_response,
    conditional,
    idempotent,
    inject,
    limited,
    needs,
    public,
    tag_headers,
)
from strongback.web.limit import principal as principal_key
from strongback.web.request import current_request

api = APIBlueprint("articles", __name__, url_prefix="/api/v1/articles")
tags_api = APIBlueprint("tags", __name__, url_prefix="/api/v1/tags")
articles = inject(ArticleService)
pages = inject(ArticlePages)
views = inject(ViewCounter)
imports = inject(ArchiveImports)


class ArchiveForm(RequestForm):
    """An archive of articles."""

    file: UploadedFile
    """Zip of Markdown files, whose paths determine their slugs and languages."""
    encoding: Encoding | None = None
    """Encoding of file names and texts that are not in UTF-8."""


@api.get("", responses={200: Page[ArticleEntry]})
@public
def list_articles(query: ArticleQuery) -> Response:
    """List published articles, without their texts."""
    return cached_page(pages.list(query))


@tags_api.get("", responses={200: TagList})
@public
def list_tags(query: TagQuery) -> TagList:
    """List the most used tags of published articles, up to half a minute old."""
    return TagList(items=list(pages.top_tags(query.limit)))


@api.post("", responses={201: ArticleOut})
@needs(Permission.ARTICLE_WRITE)
@limited("60/minute", key=principal_key, on_outage="process", name="article")
@idempotent
def create_article(body: ArticleIn, principal: Principal) -> tuple[Article, int, dict[str, str]]:
    """Create an article; a draft unless `published` is true."""
    # What was left out is not written: the service makes a slug and a summary.
    fields = {"summary": None} | body.model_dump(exclude_none=True)
    article = articles.create(cast("Fields", fields), principal.username)
    return article, 201, tag_headers(article) | {"Location": _address(article)}


@api.post("/import", responses={202: JobOut})
@needs(Permission.ARTICLE_WRITE)
@limited("20/hour", key=principal_key, on_outage="process")
@idempotent
def import_articles(form: ArchiveForm, principal: Principal) -> tuple[JobOut, int, dict[str, str]]:
    """Import a zip of Markdown files as your articles; unchanged files are skipped.

    An invalid archive is rejected at once. The result of the task lists the files that could not
    be imported, each with the reason.
    """
    locale = current_request().locale
    record = imports.start(
        form.file.filename or "",
        form.file.stream,
        principal,
        encoding=form.encoding,
        locale=locale,
    )
    return (
        job_out(record, locale),
        202,
        {"Location": f"/api/v1/tasks/{record.id}"},
    )


@api.get("/<slug>", responses={200: ArticleOut})
@public
def read_article(path: ArticlePath, principal: Principal | None) -> Article | Response:
    """Get an article with its text; drafts are visible to their author."""
    if page := pages.article(path.slug):
        return cached_response(page.body, page.state, seen=views.note)
    if principal is None:
        raise ArticleNotFound
    return conditional(
        lambda: articles.get(path.slug, principal),
        validators=lambda: articles.validators(path.slug, principal),
        seen=views.note,
    )


@api.patch("/<slug>", responses={200: ArticleOut})
@needs(Permission.ARTICLE_WRITE)
@limited("60/minute", key=principal_key, on_outage="process", name="article")
def change_article(
    path: ArticlePath, header: IfMatch, body: ArticleChange, principal: Principal
) -> tuple[Article, dict[str, str]]:
    """Change one of your articles, in the state named by If-Match."""
    fields = cast("Fields", body.model_dump(exclude_unset=True))
    article = articles.change(path.slug, fields, header.expected, principal)
    return article, tag_headers(article) | {"Content-Location": _address(article)}


@api.delete("/<slug>", responses={204: None})
@needs(Permission.ARTICLE_WRITE)
@limited("60/minute", key=principal_key, on_outage="process", name="article")
def delete_article(path: ArticlePath, header: IfMatch, principal: Principal) -> None:
    """Delete one of your articles with its comments and likes, in the state named by If-Match."""
    articles.delete(path.slug, header.expected, principal)


@api.get("/<slug>/like", responses={200: LikeOut})
@needs(Permission.LIKE_WRITE)
def read_like(path: ArticlePath, principal: Principal) -> LikeOut:
    """Get whether you like an article."""
    return LikeOut(liked=articles.is_liked(path.slug, principal.username))


@api.put("/<slug>/like", responses={204: None})
@needs(Permission.LIKE_WRITE)
@limited("120/minute", key=principal_key, on_outage="process", name="like")
def like_article(path: ArticlePath, principal: Principal) -> None:
    """Like an article; repeating it has no effect."""
    articles.like(path.slug, principal.username)


@api.delete("/<slug>/like", responses={204: None})
@needs(Permission.LIKE_WRITE)
@limited("120/minute", key=principal_key, on_outage="process", name="like")
def unlike_article(path: ArticlePath, principal: Principal) -> None:
    """Remove your like; without one it has no effect."""
    articles.unlike(path.slug, principal.username)


def _address(article: Article) -> str:
    return f"{api.url_prefix}/{quote(article.slug)}"
