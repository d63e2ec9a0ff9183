"""Commands that use the database, and say in one line when it is not ready."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.exc import DBAPIError

from strongback.database.remedy import describe, remedy_for
from strongback.exceptions import ConfigurationError, StrongbackError
from strongback.migration.runner import pending
from strongback.web.wiring import modules_of

FLASK_COMMANDS = frozenset({"routes", "run", "shell"})
"""Commands of Flask, which finds them before those of an application."""


class Commands(AppGroup):
    """The commands of an application."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Register a command, as click does; `ConfigurationError` if its name is taken."""
        name = name or cmd.name or ""
        other = "flask.cli" if name in FLASK_COMMANDS else None
        if name in self.commands:
            other = _module_of(self.commands[name])
        if other is not None:
            raise ConfigurationError(
                f"command {name}: {other} has it, and {_module_of(cmd)} claims it too; rename one"
            )
        super().add_command(cmd, name)


def _module_of(command: click.Command) -> str:
    return next(modules_of(command), f"a group {command.name}")


class DatabaseGroup(AppGroup):
    """A group whose commands run only on a database that is there and up to date."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Register a command, as click does; its help needs no database."""
        if (function := cmd.callback) is not None:

            @functools.wraps(function)
            def checked(*args: object, **options: object) -> object:
                require_schema()
                return function(*args, **options)

            cmd.callback = with_appcontext(checked)
        super().add_command(cmd, name)


def command_line(*words: str) -> str:
    """Return how a command of the current application is typed."""
    return " ".join(("flask --app", current_app.import_name, *words))


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], object]]:
    """Show how many of a number of things are done, on a terminal alone; yields what counts on."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


def require_schema() -> None:
    """Raise `click.ClickException` if the database lacks migrations."""
    if pending(current_app):
        message = f"The database lacks migrations. Apply them: {command_line('db upgrade')}"
        raise click.ClickException(message)


def explain_errors(command: click.Command) -> None:
    """Let a command, and those below it, end in one line where a person can mend the cause.

    Groups belong to their modules and not to one application: a second one finds them explained.
    """
    for child in getattr(command, "commands", {}).values():
        explain_errors(child)
    if command.callback is not None and not isinstance(command.callback, _Explained):
        command.callback = _Explained(command.callback)


class _Explained:
    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: object, **options: object) -> object:
        try:
            return self._function(*args, **options)
        except StrongbackError as error:
            raise click.ClickException(str(error)) from None
        except DBAPIError as error:
            if (remedy := remedy_for(error)) is None:
                raise
            raise click.ClickException(f"{describe(error)}. {remedy}") from None
