"""Routes of comments."""

from __future__ import annotations

from app.comment.model import Comment
from app.comment.node import CommentPages
from app.comment.schema import CommentedPath, CommentOut, CommentPath, NewComment
from app.comment.service import CommentService
from app.core.permission import Permission
from strongback.auth.principal import Principal
from strongback.paging import Window
from strongback.schema import Page, PageQuery
from strongback.web import (
    APIBlueprint,
    Response,
    cached_page,
    idempotent,
    inject,
    limited,
    needs,
    public,
)
from strongback.web.limit import principal as principal_key

api = APIBlueprint("comments", __name__, url_prefix="/api/v1")
comments = inject(CommentService)
pages = inject(CommentPages)


@api.get("/articles/<slug>/comments", responses={200: Page[CommentOut]})
@public
def list_comments(path: CommentedPath, query: PageQuery) -> Response | Window[Comment]:
    """List an article's comments, oldest first."""
    if page := pages.list(path.slug, query):
        return cached_page(page)
    return comments.list(path.slug, query)  # says better than we could that there are none


@api.post("/articles/<slug>/comments", responses={201: CommentOut})
@needs(Permission.COMMENT_WRITE)
@limited("30/minute", key=principal_key, on_outage="process", name="comment")
@idempotent
def create_comment(
    path: CommentedPath, body: NewComment, principal: Principal
) -> tuple[Comment, int, dict[str, str]]:
    """Comment on an article, or reply to one of its comments."""
    comment = comments.create(path.slug, body.body, principal.username, body.reply_to)
    return comment, 201, {"Location": f"{api.url_prefix}/comments/{comment.id}"}


@api.get("/comments/<id>", responses={200: CommentOut})
@public
def read_comment(path: CommentPath) -> Comment:
    """Get a comment."""
    return comments.get(path.id)


@api.delete("/comments/<id>", responses={204: None})
@needs(Permission.COMMENT_WRITE)
@limited("30/minute", key=principal_key, on_outage="process", name="comment")
def delete_comment(path: CommentPath, principal: Principal) -> None:
    """Delete one of your comments; administrators may delete any."""
    comments.delete(path.id, principal)
