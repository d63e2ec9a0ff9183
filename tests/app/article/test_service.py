from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.article.content import Draft
from app.article.exceptions import ArticleNotFound, SlugTaken
from app.article.schema import ArticleQuery
from app.article.service import ArticleService
from strongback.database import utc_now
from tests.app.article_library import LONG_AGO

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def articles(app):
    """The service, in a scope to read in."""
    service: ArticleService = app.services[ArticleService]
    with service.database.scope():
        yield service


def draft(slug="first", body="Text.", **facts):
    values: dict[str, Any] = {"language": "en", "author": "ada", "published_at": LONG_AGO}
    return Draft(slug=slug, body=body, **(values | facts))


@pytest.fixture(autouse=True)
def _author(library):
    library.ensure_user("ada")


class TestPut:
    def test_makes_an_article_of_version_one(self, articles):
        assert articles.put(draft()).version == 1

    def test_counts_its_changes(self, articles):
        articles.put(draft())
        assert articles.put(draft(body="Other.")).version == 2

    def test_takes_title_and_summary_from_the_text(self, articles):
        article = articles.put(draft(body="# A *title*\n\nFirst words.\n\nMore."))
        assert (article.title, article.summary) == ("A title", "First words.")

    def test_takes_the_slug_for_a_text_without_a_heading(self, articles):
        assert articles.put(draft(slug="some-page", body="Text.")).title == "some-page"

    def test_shortens_what_is_too_long(self, articles):
        article = articles.put(draft(body="# " + "a" * 300 + "\n\n" + "b" * 600))
        assert (len(article.title), len(article.summary)) == (200, 500)

    def test_prefers_what_is_said(self, articles):
        article = articles.put(draft(body="# A\n\nB", title="C", summary="D"))
        assert (article.title, article.summary) == ("C", "D")

    def test_keeps_the_first_publication(self, articles):
        first = articles.put(draft(published_at=None)).published_at
        assert articles.put(draft(published_at=None, body="Other.")).published_at == first

    def test_leaves_the_article_of_another_author_alone(self, articles, library):
        articles.put(draft())
        with pytest.raises(SlugTaken):
            articles.put(draft(author="eve", body="Other."))
        article = articles.get("first")
        assert (article.author, article.body) == ("ada", "Text.")

    @pytest.mark.parametrize("text", ["😀", "\x00", "a\r\nb", "x" * 200_000, "\u200b", "\\'%\""])
    def test_keeps_the_text(self, articles, text):
        articles.put(draft(body=text))
        articles.database.session.expire_all()
        assert articles.get("first").body == text


class TestRead:
    def test_an_unknown_slug_is_not_found(self, articles):
        with pytest.raises(ArticleNotFound):
            articles.get("unknown")
        with pytest.raises(ArticleNotFound):
            articles.locate("unknown")
        assert articles.validators("unknown") is None

    def test_what_is_not_yet_published_is_not_found(self, articles):
        articles.put(draft(published_at=utc_now() + timedelta(hours=1)))
        with pytest.raises(ArticleNotFound):
            articles.get("first")
        with pytest.raises(ArticleNotFound):
            articles.locate("first")
        assert articles.validators("first") is None
        assert articles.list(ArticleQuery()).total == 0

    def test_validators_are_the_articles_own(self, articles):
        stored = articles.put(draft())
        assert articles.validators("first") == stored.validators

    @pytest.mark.parametrize("slug", ["First", "fírst", "FIRST", "first\x00", "%", "f_rst"])
    def test_only_the_same_slug_is_the_article(self, articles, slug):
        articles.put(draft())
        with pytest.raises(ArticleNotFound):
            articles.get(slug)


class TestChange:
    @pytest.mark.parametrize(
        "change",
        [
            {"body": "Other."},
            {"title": "Other"},
            {"summary": "Other"},
            {"language": "fr"},
            {"tags": ("b",)},
            {"tags": ()},
            {"published_at": LONG_AGO + timedelta(days=1)},
        ],
    )
    def test_whatever_is_shown_changes_the_tag(self, articles, change):
        """A client with an old copy must not be told that it is current."""
        before = articles.put(draft(title="T", tags=("a",))).validators.etag
        after = articles.put(draft(**({"title": "T", "tags": ("a",)} | change)))
        assert after.validators.etag != before

    def test_nothing_changed_keeps_the_tag(self, articles):
        before = articles.put(draft(tags=("a",))).validators
        assert articles.put(draft(tags=("a",))).validators == before
