"""What a fresh clone shows: the project's own documentation as articles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.article.cli import import_path
from app.article.index import ARTICLE
from app.core.config import ROOT
from strongback.app import Strongback
from strongback.outbox import Batch, Outbox, Relay
from strongback.search import Search
from strongback.task import Runner


def add_samples(app: Strongback, author: str) -> None:
    """Import and index docs/, as far as that is not done already."""
    import_path(ROOT / "docs", author=author, has_folder_tags=True, label="Importing docs/")
    app.services[Search].maintain(ARTICLE.name)
    _catch_up(app)


@dataclass
class _Here:
    """Keeps messages for this process instead of a worker."""

    batches: list[Batch] = field(default_factory=list)

    def publish(self, batches: Sequence[Batch]) -> None:
        self.batches += batches


def _catch_up(app: Strongback) -> None:
    # The server would cut all texts into words again, for which it reads a dictionary of 50 MB.
    here, runner = _Here(), app.services[Runner]
    relay = Relay(app.services[Outbox], here)
    while relay.deliver():
        while here.batches:
            batch = here.batches.pop(0)
            runner.run(batch.consumer, batch.ids)
