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
    """Delete the keys that are no longer remembered; to be run daily."""
    click.echo(f"Deleted {keys.clean()} keys.")
