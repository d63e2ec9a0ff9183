"""Commands for sessions."""

from __future__ import annotations

import click

from app.core.auth.session.service import SessionService
from app.core.command import DatabaseGroup
from app.core.web.app import provided

group = DatabaseGroup("auth", help="Look after sessions.")
sessions = provided(SessionService)


@group.command("clean")
def clean() -> None:
    """Delete sessions and tokens that are over, a batch at a time."""
    with sessions.database.scope():
        count = sessions.clean()
    click.echo(f"Deleted {count} sessions and tokens.")
