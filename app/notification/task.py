"""Tasks that announce articles."""

from __future__ import annotations

from app.notification.service import CONTINUED, Announcements
from strongback.task import TaskContext, TaskGroup
from strongback.web import inject

# Messages that wait for a moment have these names, also those of earlier releases.
group = TaskGroup("notification")
announcements = inject(Announcements)


@group.consumer("announce", on="article:published")
def announce(_: TaskContext, *, article_id: int) -> None:
    """Notify the audience of a published article."""
    announcements.announce(article_id)


@group.consumer("continue", on=CONTINUED, queue="low")
def continue_announcing(_: TaskContext, *, article_id: int, after: str) -> None:
    """Notify the next part of a large audience."""
    announcements.announce(article_id, after)
