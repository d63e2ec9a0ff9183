"""Injection of services into views, commands and tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, TypeVar, cast

from flask import current_app
from werkzeug.local import LocalProxy

ServiceT = TypeVar("ServiceT")


class Injected(LocalProxy[Any]):
    """A proxy for a service of the current application."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type) -> None:
        super().__init__(lambda: cast("Any", current_app).services[kind])
        object.__setattr__(self, "_kind", kind)


def inject(kind: type[ServiceT]) -> ServiceT:
    """Return a proxy for the current application's service of a class, looked up at each use.

    A module declares the services that it needs at its top:

        articles = inject(ArticleService)

    `Strongback.checked` refuses an application that lacks the service.
    """
    return cast("ServiceT", Injected(kind))


def injected(module: str) -> Iterator[type]:
    """The classes of the services that a module injects."""
    for value in vars(sys.modules[module]).values():
        if type(value) is Injected:  # not isinstance: that would ask the service
            yield object.__getattribute__(value, "_kind")
