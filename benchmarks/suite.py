"""A group of commands, each of which is imported when it is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click


class Suite(click.Group):
    """Imports a command only when it is asked for: each needs packages of its own.

    Args:
        modules: Name and module of each; a module has a click command named `command`.
    """

    def __init__(self, *args: Any, modules: dict[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._modules = modules

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        return import_module(self._modules[name]).command if name in self._modules else None
