"""Tasks of images, where the part `file` is registered."""

from __future__ import annotations

from datetime import timedelta

from app.article.image import ArticleImages
from strongback.task import TaskContext, TaskGroup
from strongback.web import inject

group = TaskGroup("article-image")
images = inject(ArticleImages)


@group.periodic("clean", every=timedelta(hours=1))
def clean_images(_: TaskContext) -> None:
    """Delete images that no article shows."""
    while images.clean():
        pass
