"""A sign of life for health checks: a file that is touched while a process can do its work.

Asking a worker through the broker starts an interpreter for each question, and is answered late by
one that is busy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps

from strongback.config import Settings

if TYPE_CHECKING:
    from celery.worker import WorkController

    from strongback.task.celery_app import TaskCelery

INTERVAL = 2.0
"""Seconds between two signs."""


def touch(settings: Settings) -> None:
    """Give a sign now, where a file is named."""
    if settings.task_alive_file is not None:
        settings.task_alive_file.touch()


class Alive(bootsteps.StartStopStep):
    """Has a worker give signs from its event loop, which stands still without the broker."""

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: WorkController) -> None:
        """Begin; the loop ends with the worker."""
        app: TaskCelery = parent.app
        timer: Any = parent.timer  # the stubs take it for threading's
        if app.work is not None:
            timer.call_repeatedly(INTERVAL, touch, (app.work.settings,))
