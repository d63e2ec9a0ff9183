"""Commands for sessions."""

from __future__ import annotations

import click

from strongback.auth.session_service import SessionService
from strongback.cli.command import DatabaseGroup
from strongback.web.injection import inject

group = DatabaseGroup("auth", help="Look after sessions.")
sessions = inject(SessionService)


@group.command("clean")
def clean() -> None:
    """Delete sessions and tokens that are over, a batch at a time."""
    with sessions.database.scope():
        count = sessions.clean()
    click.echo(f"Deleted {count} sessions and tokens.")
