"""Commands for sessions."""

from __future__ import annotations

import click

from strongback.auth.session_service import SessionService
from strongback.cli.command import DatabaseGroup
from strongback.web.injection import inject

group = DatabaseGroup("auth", help="Maintain sessions.")
sessions = inject(SessionService)


@group.command("clean")
def clean() -> None:
    """Delete ended sessions and used tokens, in batches."""
    with sessions.database.scope():
        count = sessions.clean()
    click.echo(f"Deleted {count} sessions and tokens.")
