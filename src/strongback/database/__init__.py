"""The database: models' base, engine, session scope and transactions, on SQLAlchemy itself.

Entry points (requests, tasks, commands) open a scope; a service owns the transaction:

    class ArticleService:
        def __init__(self, database: Database) -> None:
            self.database = database

        def find(self, slug: str) -> Article | None:
            return self.database.session.scalar(select(Article).where(Article.slug == slug))

        @transactional
        def publish(self, slug: str) -> Article:
            article = self.database.session.scalars(select(Article).filter_by(slug=slug)).one()
            article.published_at = utc_now()
            self.database.after_commit(lambda: cache.remove(ArticleNode(slug)))
            return article
"""

from strongback.database.base import (
    Base,
    Identified,
    Identifier,
    Timestamps,
    UTCDateTime,
    Versioned,
    utc_now,
)
from strongback.database.database_error import (
    DatabaseMisuse,
    is_duplicate,
    is_retryable,
    is_transient,
)
from strongback.database.session import Database, HasDatabase, transactional
from strongback.database.statement import (
    changed_rows,
    count_within,
    delete_in_batches,
    insert_if_absent,
    lock_row,
)

__all__ = [
    "Base",
    "Database",
    "DatabaseMisuse",
    "HasDatabase",
    "Identified",
    "Identifier",
    "Timestamps",
    "UTCDateTime",
    "Versioned",
    "changed_rows",
    "count_within",
    "delete_in_batches",
    "insert_if_absent",
    "is_duplicate",
    "is_retryable",
    "is_transient",
    "lock_row",
    "transactional",
    "utc_now",
]
