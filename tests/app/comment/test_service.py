from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from app.comment.service import CommentService
from strongback.exceptions import NotFound
from strongback.schema import PageQuery

pytestmark = pytest.mark.speaks_sql


class OneArticle:
    """An article slice that has the article `known`, and no database."""

    def __init__(self, number: int) -> None:
        self.number = number

    def locate(self, slug: str) -> int:
        if slug == "known":
            return self.number
        raise NotFound

    def is_open(self, number: int) -> bool:
        return number == self.number

    def facts(self, number: int) -> tuple[str, dict[str, str]]:
        return "ada", {}

    def tell(self, number: int, event: Mapping[str, Any]) -> None:
        """Nobody is told."""

    def count(self, number: int, counter: Literal["comments"], step: int) -> None:
        """Nothing is counted here."""


@pytest.fixture
def comments(app, library):
    library.add_article("first")
    for body in ("One.", "Two.", "Three."):
        library.add_comment("first", body)
    with library.database.scope():
        from_view = app.services[CommentService].list("first", PageQuery(page_size=1))
        yield CommentService(library.database, OneArticle(from_view.items[0].article_id))


def test_lists_the_oldest_first(comments):
    window = comments.list("known", PageQuery())
    assert [comment.body for comment in window.items] == ["One.", "Two.", "Three."]


def test_asks_the_article_slice_who_is_meant(comments):
    with pytest.raises(NotFound):
        comments.list("first", PageQuery())
