"""Commands for accounts."""

from __future__ import annotations

import click

from app.core.permission import Role
from app.user.service import UserService
from strongback.cli.command import DatabaseGroup
from strongback.exceptions import APIException
from strongback.web import inject

group = DatabaseGroup("user", help="Make accounts.")
users = inject(UserService)


@group.command("create")
@click.argument("username")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    default=[Role.USER.value],
    show_default=True,
    help="What the account is trusted with; may be given several times.",
)
@click.password_option(help="Asked for when left out, so that it stays out of the shell's history.")
def create(username: str, roles: tuple[str, ...], password: str) -> None:
    """Create the account USERNAME."""
    try:
        with users.database.scope():
            user = users.create(username, password, [Role(role) for role in roles])
    except APIException as error:
        reasons = [problem["message"] for problem in error.errors] or [error.message]
        raise click.ClickException(" ".join(reasons)) from None
    click.echo(f"Created {user.username} ({', '.join(user.roles)}).")
