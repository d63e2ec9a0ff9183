"""What is done about articles after the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.article.archive import ArchiveImports
from app.article.event import CHANGED
from app.article.exceptions import ArchiveRefused
from app.article.index import ARTICLE
from app.article.view_count import ViewCounter
from app.core.search import Search
from app.core.task import Refused, Run, TaskGroup
from app.core.upload import UploadGone
from app.core.web import provided

group = TaskGroup("article")
views = provided(ViewCounter)
imports = provided(ArchiveImports)
search = provided(Search)

INDEX_TRIES = 300
"""For some two days: a search engine that is gone for a night finds everything afterwards."""


@group.job("import", queue="low", time_limit=timedelta(minutes=10))
def import_archive(task: Run, *, upload_id: int, author: str) -> dict[str, Any]:
    """Import an uploaded archive."""
    try:
        return imports.run(upload_id, author, task.progress)
    except (UploadGone, ArchiveRefused) as error:
        raise Refused(str(error)) from error


@group.periodic("views", every=timedelta(seconds=10))
def add_up_views(_: Run) -> None:
    """Add what the processes have counted to the articles."""
    views.add_up()


@group.consumer("index", on=CHANGED, queue="search", outside=True, batch=500, tries=INDEX_TRIES)
def index_articles(_: Run, payloads: list[dict[str, Any]]) -> None:
    """Bring the search index up to date with articles that are new, other or gone."""
    search.update(ARTICLE.name, [payload["article_id"] for payload in payloads])


@group.periodic("index-check", every=timedelta(hours=1), time_limit=timedelta(minutes=30))
def check_index(_: Run) -> None:
    """Repair what the index has otherwise than the database, and build it where it must be."""
    search.maintain(ARTICLE.name)
