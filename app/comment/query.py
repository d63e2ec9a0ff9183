"""Order and index of lists of comments."""

from __future__ import annotations

from app.comment.model import Comment
from strongback.paging import Order

BY_AGE = Order(Comment.id, Comment.id, descending=False)
INDEX = "ix_comment_article_id_id"
