from __future__ import annotations

import pytest
from sqlalchemy import insert

from app.comment.model import Comment
from app.comment.query import INDEX
from app.comment.service import CommentService
from strongback.paging import encode_cursor
from strongback.schema import PageQuery
from tests.support.plan import analyze, explain

pytestmark = pytest.mark.speaks_sql

COUNT = 3000


def test_a_deep_part_of_the_comments_begins_at_its_cursor(api):
    """Not at the article's first comment, nor among those of other articles."""
    first, second = (api.article(title=title)["id"] for title in ("Tea", "Milk"))
    rows = [
        {"id": number, "article_id": first if number % 3 else second, "author": "eve", "body": "."}
        for number in range(1, COUNT + 1)
    ]
    api.database.transact(lambda session: session.execute(insert(Comment), rows))
    engine, comments = api.database.engine, api.app.services[CommentService]
    analyze(engine, "comment")
    wanted = PageQuery(cursor=encode_cursor(COUNT // 2, COUNT // 2))
    with api.database.scope():
        lines = explain(engine, lambda: comments.list("tea", wanted))
    place, *_ = [line for line in lines if INDEX in line]
    if engine.dialect.name == "sqlite":
        assert "COVERING INDEX" in place
        assert "article_id=? AND id>?" in place
    else:
        assert place.startswith("comment range")
        assert "Using index" in place
