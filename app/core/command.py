"""Commands that use the database, and say in one line when it is not ready."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.exc import DBAPIError

from app.core.migration import pending

R = TypeVar("R")


class DatabaseGroup(AppGroup):
    """A group whose commands run only on a database that is there and up to date."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Register a command, as click does; its help needs no database."""
        if cmd.callback is not None:
            cmd.callback = with_appcontext(_checked(cmd.callback))
        super().add_command(cmd, name)


def _checked(function: Callable[..., R]) -> Callable[..., R]:
    @functools.wraps(function)
    def checked(*args: object, **options: object) -> R:
        require_schema()
        return function(*args, **options)

    return checked


def require_schema() -> None:
    """Refuse to go on without a database that this code fits.

    Raises:
        click.ClickException: The database does not answer, or lacks migrations.
    """
    try:
        lacking = pending(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001  Werkzeug's documented way to the object
    except DBAPIError as error:
        message = f"The database does not answer: {error.orig}"
        raise click.ClickException(message) from None
    if lacking:
        message = "The database lacks migrations. Apply them: flask --app app.main db upgrade"
        raise click.ClickException(message)
