"""Images in articles: files of their authors, kept as long as an article shows them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from sqlalchemy import exists, select

from app.article.model import ArticleImage
from app.core.permission import Permission
from strongback.database import Database, utc_now
from strongback.exceptions import NotFound
from strongback.file import FileKind, Files, Variant
from strongback.file.file_model import FileState, StoredFile
from strongback.file.type import readable_images

IMAGE = FileKind(
    "article-image",
    types=readable_images(),
    max_bytes=20_000_000,
    is_public=True,
    variants=(Variant("medium", 1280, 1280), Variant("small", 640, 640)),
    permission=Permission.ARTICLE_WRITE,
)
KEPT = timedelta(days=1)
"""Time that an author has to use an image."""
BATCH = 100


class ArticleImages:
    """Deletes images that no article shows.

    Args:
        database: Stores the articles.
        files: Keeps the images.
    """

    def __init__(self, database: Database, files: Files) -> None:
        self.database = database
        self.files = files

    def clean(self) -> int:
        """Delete some images that are a day old and in no article; returns their number."""
        is_shown = exists().where(ArticleImage.file == StoredFile.public_id)
        query = select(StoredFile.public_id).where(
            StoredFile.state == FileState.STORED,
            StoredFile.changed_at < utc_now() - KEPT,
            StoredFile.kind == IMAGE.name,
            ~is_shown,
        )
        with self.database.latest() as session:
            unused = session.scalars(query.limit(BATCH)).all()
        for public_id in unused:
            with suppress(NotFound):  # deleted by its owner meanwhile
                self.files.delete(public_id, None)
        return len(unused)
