"""`flask idempotency …`: look after idempotency keys."""

from __future__ import annotations

import click

from strongback.cli.command import DatabaseGroup
from strongback.idempotency import Idempotency
from strongback.web import inject

keys = inject(Idempotency)
group = DatabaseGroup("idempotency", help="Look after idempotency keys.")


@group.command("clean")
def clean() -> None:
    """Delete expired keys; run it daily where no tasks are registered."""
    click.echo(f"Deleted {keys.clean()} keys.")
