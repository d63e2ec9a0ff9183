"""The comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from sqlalchemy import select

from app.comment.exceptions import CommentNotFound
from app.comment.model import Comment
from app.comment.query import BY_AGE, INDEX
from app.comment.schema import CommentOut
from app.core.permission import Permission
from strongback.auth.principal import Principal
from strongback.database import Database, delete_in_batches, transactional
from strongback.exceptions import Forbidden, ValidationFailed
from strongback.notification.kind import Kind
from strongback.notification.sender import Notifications
from strongback.paging import Window, read_page
from strongback.schema import PageQuery

COMMENTED = Kind(
    "comment:written",
    about="Somebody comments on an article of yours.",
    text="{actor} commented on “{title}”.",
)
REPLIED = Kind(
    "comment:replied",
    about="Somebody replies to a comment of yours.",
    text="{actor} replied to your comment on “{title}”.",
)

LIVE_LENGTH = 2000
"""Characters of a comment that is published as a whole."""


class Articles(Protocol):
    """The interface to articles."""

    def locate(self, slug: str) -> int:
        """The id of the published article with a slug; raises NotFound."""
        ...

    def is_open(self, number: int) -> bool:
        """Whether the article with an id is published."""
        ...

    def facts(self, number: int) -> tuple[str, dict[str, str]]:
        """The author of an article, and its `slug` and `title`."""
        ...

    def tell(self, number: int, event: Mapping[str, Any]) -> None:
        """Publish an event to the readers of an article, which is locked, after the commit."""
        ...

    def count(self, number: int, counter: Literal["comments"], step: int) -> None:
        """Change a counter of an article and lock it; raises NotFound."""
        ...


class CommentService:
    """Reads and writes comments.

    Args:
        database: Stores the comments.
        articles: Looks up articles.
        notifications: Notifies people; None to notify nobody.
    """

    def __init__(
        self, database: Database, articles: Articles, notifications: Notifications | None = None
    ) -> None:
        self.database = database
        self._articles = articles
        self._notifications = notifications

    def list(self, slug: str, wanted: PageQuery) -> Window[Comment]:
        """A part of the list of an article's comments, oldest first.

        Raises:
            NotFound: No published article has the slug.
        """
        query = select(Comment).where(Comment.article_id == self._articles.locate(slug))
        return read_page(self.database.session, query, BY_AGE, wanted, index=INDEX)

    def get(self, number: int) -> Comment:
        """A comment on a published article.

        Raises:
            CommentNotFound: The comment does not exist.
        """
        comment = self.database.session.get(Comment, number)
        if comment is None or not self._articles.is_open(comment.article_id):
            raise CommentNotFound
        return comment

    def commenters(self, article_id: int, after: str, limit: int) -> Sequence[str]:
        """The next usernames of an article's commenters, in alphabetical order."""
        query = select(Comment.author).where(
            Comment.article_id == article_id, Comment.author > after
        )
        query = query.distinct().order_by(Comment.author).limit(limit)
        return self.database.session.scalars(query).all()

    @transactional
    def create(self, slug: str, body: str, author: str, reply_to: int | None = None) -> Comment:
        """Comment on a published article.

        Raises:
            NotFound: No published article has the slug.
            ValidationFailed: The article has no comment with the id `reply_to`.
        """
        # The counter first: it locks the article, which gives all writers below it one order.
        article_id = self._articles.locate(slug)
        self._articles.count(article_id, "comments", 1)
        parent = None if reply_to is None else self._parent(article_id, reply_to)
        comment = Comment(article_id=article_id, author=author, body=body, reply_to=reply_to)
        self.database.session.add(comment)
        self.database.session.flush()
        self._notify(comment, parent)
        self._articles.tell(article_id, _written(comment))
        return comment

    def _parent(self, article_id: int, number: int) -> Comment:
        comment = self.database.session.get(Comment, number)
        if comment is None or comment.article_id != article_id:
            message = "The article has no such comment."
            raise ValidationFailed(
                errors=[{"field": "body.reply_to", "message": message, "type": "comment"}]
            )
        return comment

    def _notify(self, comment: Comment, parent: Comment | None) -> None:
        """Notify whoever is replied to, and the author of the article if that is another one."""
        if self._notifications is None:
            return
        author, facts = self._articles.facts(comment.article_id)
        told = {COMMENTED: author} | ({REPLIED: parent.author} if parent else {})
        if told.get(REPLIED) == author:
            del told[COMMENTED]
        for kind, name in told.items():
            self._notifications.send(
                kind,
                f"comment:{comment.id}",
                to=[name],
                data=facts | {"comment_id": comment.id},
                actor=comment.author,
            )

    def clear(self, article_id: int) -> int:
        """Delete the comments of an article, in batches; returns their number."""
        return delete_in_batches(self.database, Comment.id, Comment.article_id == article_id)

    @transactional
    def delete(self, number: int, by: Principal) -> None:
        """Delete a comment.

        Raises:
            CommentNotFound: The comment does not exist.
            Forbidden: The comment belongs to another account.
        """
        session = self.database.session
        comment = session.get(Comment, number)
        if comment is None:
            raise CommentNotFound
        if comment.author != by.username and not by.may(Permission.COMMENT_MANAGE):
            raise Forbidden
        self._articles.count(comment.article_id, "comments", -1)
        # Nobody else deletes it now, since the counter has locked the article.
        if session.get(Comment, number, populate_existing=True) is None:
            raise CommentNotFound  # somebody was faster; the counter's move is undone with this
        session.delete(comment)
        self._articles.tell(comment.article_id, {"type": "comment:deleted", "id": comment.id})


def _written(comment: Comment) -> dict[str, Any]:
    """The event of a new comment; of a long one without its body, which readers then ask for."""
    shown = CommentOut.model_validate(comment).model_dump(mode="json")
    if len(comment.body) > LIVE_LENGTH:
        shown["body"] = None
    return {"type": "comment", "comment": shown}
