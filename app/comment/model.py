"""Table of comments."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import Base, Identified, Identifier, Timestamps


class Comment(Identified, Timestamps, Base):
    """A comment on an article, as plain text."""

    __tablename__ = "comment"
    # The first reads the comments of an article, the second who has written them.
    __table_args__ = (Index(None, "article_id", "id"), Index(None, "article_id", "author"))

    article_id: Mapped[int] = mapped_column(ForeignKey("article.id", ondelete="CASCADE"))
    author: Mapped[str] = mapped_column(ForeignKey("user.username"), index=True)
    body: Mapped[str] = mapped_column(Text())
    reply_to: Mapped[int | None] = mapped_column(Identifier)
    """Id of the comment that it replies to, which may be deleted by now."""
