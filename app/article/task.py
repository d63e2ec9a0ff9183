"""Tasks of articles."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app.article.archive import ArchiveImports
from app.article.event import CHANGED, LIKED, REMOVED
from app.article.exceptions import ArchiveRefused
from app.article.index import ARTICLE
from app.article.removal import ArticleRemoval
from app.article.service import ArticleService
from app.article.source import Encoding
from app.article.tag import TagCounts
from app.article.view_count import ViewCounter
from strongback.exceptions import Forbidden
from strongback.search import Search
from strongback.task import PermanentFailure, TaskContext, TaskGroup
from strongback.upload import UploadGone
from strongback.web import inject

group = TaskGroup("article")
articles = inject(ArticleService)
views = inject(ViewCounter)
tags = inject(TagCounts)
removal = inject(ArticleRemoval)
imports = inject(ArchiveImports)
search = inject(Search)

INDEX_ATTEMPTS = 300
"""For some two days: a search engine that is gone for a night finds everything afterwards."""


@group.job("import", queue="low", time_limit=timedelta(minutes=10))
def import_archive(
    task: TaskContext,
    *,
    upload_id: int,
    author: str,
    encoding: Encoding | None = None,
    locale: str = "en",
) -> dict[str, Any]:
    """Import an uploaded archive."""
    try:
        return imports.run(upload_id, author, task.progress, encoding=encoding, locale=locale)
    except (UploadGone, ArchiveRefused, Forbidden) as error:
        raise PermanentFailure(str(error)) from error


@group.periodic("views", every=timedelta(seconds=10))
def add_up_views(_: TaskContext) -> None:
    """Add the views counted by the processes to the articles."""
    views.add_up()


@group.periodic("tags", every=timedelta(seconds=10))
def add_up_tags(_: TaskContext) -> None:
    """Add recorded changes to the counts of tags."""
    tags.add_up()


@group.consumer("tell-likes", on=LIKED)
def tell_likes(_: TaskContext, *, article_id: int, since: str) -> None:
    """Notify an author of the likes of an hour."""
    articles.tell_likes(article_id, datetime.fromisoformat(since))


@group.consumer(
    "index", on=CHANGED, queue="search", transactional=False, batch=500, max_attempts=INDEX_ATTEMPTS
)
def index_articles(_: TaskContext, payloads: list[dict[str, Any]]) -> None:
    """Update the search index for new, changed and deleted articles."""
    search.update(ARTICLE.name, [payload["article_id"] for payload in payloads])


@group.consumer(
    "remove", on=REMOVED, queue="low", transactional=False, time_limit=timedelta(minutes=30)
)
def remove_article(_: TaskContext, *, article_id: int) -> None:
    """Delete what belongs to an article that is gone, in many short transactions."""
    removal.finish(article_id)
