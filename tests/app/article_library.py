"""Articles and comments that a test reads, written by the services themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from app.article.content import Draft
from app.article.service import ArticleService
from app.comment.model import Comment
from app.user.service import UserService
from strongback.web.http_app import HTTPApp
from tests.web_fixture import Library

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ArticleLibrary(Library):
    """Writes articles and comments too."""

    def ensure_user(self, name: str = "ada") -> None:
        with self.database.scope():
            self.app.services[UserService].ensure_system_account(name)

    def add_article(self, slug: str = "first", body: str = "Text.", **facts: Any) -> None:
        """Add an article, or change the one with this slug."""
        values: dict[str, Any] = {"language": "en", "author": "ada", "published_at": LONG_AGO}
        draft = Draft(slug=slug, body=body, **(values | facts))
        self.ensure_user(draft.author)
        articles: ArticleService = self.app.services[ArticleService]
        with self.database.scope():
            articles.put(draft)

    def add_comment(self, slug: str, body: str, author: str = "ada") -> None:
        articles: ArticleService = self.app.services[ArticleService]
        with self.database.scope():
            comment = Comment(article_id=articles.locate(slug), author=author, body=body)
            self.database.transact(lambda session: session.add(comment))


@pytest.fixture
def library(app: HTTPApp) -> ArticleLibrary:
    """What the whole application has in its database."""
    return ArticleLibrary(app)
