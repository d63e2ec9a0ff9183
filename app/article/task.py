"""Tasks of articles."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from app.article.archive import ArchiveImports
from app.article.event import CHANGED, REMOVED
from app.article.exceptions import ArchiveRefused
from app.article.index import ARTICLE
from app.article.removal import ArticleRemoval
from app.article.source import Encoding
from app.article.tag import TagCounts
from app.article.view_count import ViewCounter
from strongback.exceptions import Forbidden
from strongback.search import Need, Search
from strongback.task import Leases, PermanentFailure, TaskContext, TaskGroup
from strongback.upload import UploadGone
from strongback.web import inject

group = TaskGroup("article")
views = inject(ViewCounter)
tags = inject(TagCounts)
removal = inject(ArticleRemoval)
imports = inject(ArchiveImports)
search = inject(Search)
leases = inject(Leases)

BUILDING = "search:article"
"""The lease of whoever builds the index because it is lacking."""
BUILDING_SECONDS = 60.0
"""After its last batch a build that was killed is begun anew."""
INDEX_TRIES = 300
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


@group.consumer(
    "index", on=CHANGED, queue="search", transactional=False, batch=500, max_attempts=INDEX_TRIES
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


@group.periodic("index-build", every=timedelta(seconds=5), time_limit=timedelta(minutes=30))
def build_index(_: TaskContext) -> None:
    """Build the index where it is lacking: at a start, after a change of it, after its loss."""
    need = search.need(ARTICLE.name)
    if need is Need.BUILD:
        _alone(lambda progress: search.reindex(ARTICLE.name, progress))
    elif need is Need.SETTINGS:
        _alone(lambda _: search.send_settings(ARTICLE.name))


@group.periodic("index-check", every=timedelta(hours=1), time_limit=timedelta(minutes=30))
def check_index(_: TaskContext) -> None:
    """Repair what the index has otherwise than the database, and build it where it must be."""
    _alone(lambda _: search.maintain(ARTICLE.name))


def _alone(do: Callable[[Callable[[int], object]], object]) -> None:
    """Do it unless somebody is at it: of two builds at once one is in vain."""
    holder = uuid.uuid4().hex

    def keep(_: int = 0) -> bool:
        return leases.take(BUILDING, holder, BUILDING_SECONDS)

    if keep():
        try:
            do(keep)
        finally:
            leases.give_up(BUILDING, holder)
