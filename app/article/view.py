"""Routes of articles."""

from __future__ import annotations

from app.article.model import Article
from app.article.schema import ArticleOut, ArticlePath, ArticleQuery, ArticleSummary
from app.article.service import ArticleService
from app.core.paging import Window
from app.core.schema import Page
from app.core.web import APIBlueprint, Response, conditional, provided, public

api = APIBlueprint("articles", __name__, url_prefix="/api/v1/articles")
articles = provided(ArticleService)


@api.get("", responses={200: Page[ArticleSummary]})
@public
def list_articles(query: ArticleQuery) -> Window[Article]:
    """List published articles, without their texts."""
    return articles.list(query)


@api.get("/<slug>", responses={200: ArticleOut})
@public
def read_article(path: ArticlePath) -> Article | Response:
    """Read one article with its text."""
    return conditional(
        lambda: articles.get(path.slug), validators=lambda: articles.validators(path.slug)
    )
