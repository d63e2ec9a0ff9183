"""Checks that an application has what its routes, tasks and commands ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import click

from strongback.auth.permission import Permission
from strongback.collision import Names, path_of
from strongback.database import Base
from strongback.migration.branch import PREFIX
from strongback.web.guard import requirement_of
from strongback.web.http_app import HTTPApp
from strongback.web.injection import injected

_PARAMETER = re.compile(r"<(?:([^<>:]*):)?[^<>]*>")


def problems(app: HTTPApp, modules: Iterable[str]) -> Iterator[str]:
    """Yield what the application lacks, a line for each.

    Services are injected by the modules of routes and commands, and by these.

    Raises:
        ConfigurationError: Two permissions have one value, or two routes one address.
    """
    _claim_permissions(app)
    _claim_routes(app)
    yield from _missing_services(app, modules)
    yield from _unheld_permissions(app)
    yield from _reserved_tables()


def _missing_services(app: HTTPApp, modules: Iterable[str]) -> Iterator[str]:
    asking = {
        *modules,
        *(blueprint.import_name for blueprint in app.blueprints.values()),
        *(view.__module__ for view in app.view_functions.values()),
        *modules_of(app.cli),
    }
    for module in sorted(asking):
        for kind in injected(module):
            if kind not in app.services:
                yield (
                    f"{module} asks for {path_of(kind)}, which nothing provides: register the part"
                    " or slice that has it"
                )


def modules_of(command: click.Command) -> Iterator[str]:
    """Yield the modules of a command and of those below it."""
    if command.callback is not None:
        yield command.callback.__module__
    for child in getattr(command, "commands", {}).values():
        yield from modules_of(child)


def _unheld_permissions(app: HTTPApp) -> Iterator[str]:
    for endpoint, permission in _needed_permissions(app):
        if permission not in app.permissions:
            cause = f"needs the permission {permission}, which no role has"
            yield f"{endpoint} {cause}: add it to the roles"


def _reserved_tables() -> Iterator[str]:
    for mapper in Base.registry.mappers:
        table, model = str(mapper.local_table), mapper.class_
        if table.startswith(PREFIX) and not model.__module__.startswith("strongback."):
            yield (
                f"{path_of(model)}: tables that begin with {PREFIX} are the framework's, and"
                f" autogenerate leaves them alone: call {table} otherwise"
            )


def _needed_permissions(app: HTTPApp) -> Iterator[tuple[str, Permission]]:
    for endpoint, view in app.view_functions.items():
        permission = requirement_of(view).permission if hasattr(view, "__requirement__") else None
        if permission is not None:
            yield endpoint, permission


def _claim_permissions(app: HTTPApp) -> None:
    # Two of one value are equal: whoever has one would have the other.
    names = Names("permission")
    needed = (permission for _, permission in _needed_permissions(app))
    for kind in sorted({type(each) for each in (*app.permissions, *needed)}, key=path_of):
        for name, permission in kind.__members__.items():  # with aliases, unlike iteration
            names.claim(permission, f"{path_of(kind)}.{name}")


def _claim_routes(app: HTTPApp) -> None:
    # Of two, the second would never be asked.
    names = Names("route")
    for rule in app.url_map.iter_rules():
        address = _PARAMETER.sub(r"<\1>", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            names.claim(f"{method} {address}", rule.endpoint)
