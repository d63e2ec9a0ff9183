"""What a fresh clone shows: the project's own documentation as articles."""

from __future__ import annotations

from app.article.cli import import_path
from app.article.importing import Outcome
from app.article.index import ARTICLE
from app.core.config import ROOT
from strongback.app import Strongback
from strongback.search import Search
from strongback.task import Runner


def add_samples(app: Strongback, author: str) -> None:
    """Import and index docs/, as far as that is not done already."""
    report = import_path(
        ROOT / "docs", author=author, has_folder_tags=True, label="Importing docs/"
    )
    app.services[Search].maintain(ARTICLE.name)
    if report.counts[Outcome.CREATED] or report.counts[Outcome.UPDATED]:
        # Else the server would cut the texts into words again, by a dictionary that takes 57 MB.
        app.services[Runner].run_due()
