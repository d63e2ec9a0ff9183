"""Routes of comments."""

from __future__ import annotations

from app.comment.model import Comment
from app.comment.schema import CommentedPath, CommentOut
from app.comment.service import CommentService
from app.core.paging import Window
from app.core.schema import Page, PageQuery
from app.core.web import APIBlueprint, provided, public

api = APIBlueprint("comments", __name__, url_prefix="/api/v1/articles/<slug>/comments")
comments = provided(CommentService)


@api.get("", responses={200: Page[CommentOut]})
@public
def list_comments(path: CommentedPath, query: PageQuery) -> Window[Comment]:
    """List an article's comments, oldest first."""
    return comments.list(path.slug, query)
