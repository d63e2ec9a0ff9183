"""Routes of articles."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

from app.article.content import Fields
from app.article.model import Article
from app.article.schema import (
    ArticleChange,
    ArticleIn,
    ArticleOut,
    ArticlePath,
    ArticleQuery,
    ArticleSummary,
)
from app.article.service import ArticleService
from app.core.auth.permission import Permission
from app.core.auth.principal import Principal
from app.core.paging import Window
from app.core.schema import Page
from app.core.web import (
    APIBlueprint,
    IfMatch,
    Response,
    conditional,
    idempotent,
    needs,
    provided,
    public,
    tag_headers,
)

api = APIBlueprint("articles", __name__, url_prefix="/api/v1/articles")
articles = provided(ArticleService)


@api.get("", responses={200: Page[ArticleSummary]})
@public
def list_articles(query: ArticleQuery) -> Window[Article]:
    """List published articles, without their texts."""
    return articles.list(query)


@api.post("", responses={201: ArticleOut})
@needs(Permission.ARTICLE_WRITE)
@idempotent
def create_article(body: ArticleIn, principal: Principal) -> tuple[Article, int, dict[str, str]]:
    """Write an article; it is a draft unless `published` is true."""
    # What was left out is not written: the service makes a slug and a summary.
    fields = {"summary": None} | body.model_dump(exclude_none=True)
    article = articles.create(cast("Fields", fields), principal.username)
    return article, 201, tag_headers(article) | {"Location": _address(article)}


@api.get("/<slug>", responses={200: ArticleOut})
@public
def read_article(path: ArticlePath, principal: Principal | None) -> Article | Response:
    """Read one article with its text; its author also reads a draft."""
    return conditional(
        lambda: articles.get(path.slug, principal),
        validators=lambda: articles.validators(path.slug, principal),
    )


@api.patch("/<slug>", responses={200: ArticleOut})
@needs(Permission.ARTICLE_WRITE)
def change_article(
    path: ArticlePath, header: IfMatch, body: ArticleChange, principal: Principal
) -> tuple[Article, dict[str, str]]:
    """Change an article of one's own, as it was read."""
    fields = cast("Fields", body.model_dump(exclude_unset=True))
    article = articles.change(path.slug, fields, header.expected, principal)
    return article, tag_headers(article) | {"Content-Location": _address(article)}


@api.delete("/<slug>", responses={204: None})
@needs(Permission.ARTICLE_WRITE)
def delete_article(path: ArticlePath, header: IfMatch, principal: Principal) -> None:
    """Delete an article of one's own, as it was read, with its comments and likes."""
    articles.delete(path.slug, header.expected, principal)


@api.put("/<slug>/like", responses={204: None})
@needs(Permission.LIKE_WRITE)
def like_article(path: ArticlePath, principal: Principal) -> None:
    """Like an article; a second time changes nothing."""
    articles.like(path.slug, principal.username)


@api.delete("/<slug>/like", responses={204: None})
@needs(Permission.LIKE_WRITE)
def unlike_article(path: ArticlePath, principal: Principal) -> None:
    """Take a like back; without one nothing changes."""
    articles.unlike(path.slug, principal.username)


def _address(article: Article) -> str:
    return f"{api.url_prefix}/{quote(article.slug)}"
