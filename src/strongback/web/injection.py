"""How views get at services."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from flask import current_app
from werkzeug.local import LocalProxy

ServiceT = TypeVar("ServiceT")


def inject(kind: type[ServiceT]) -> ServiceT:
    """Return a proxy for the application's one instance of a class, looked up at each use.

    A view module names the service that it needs once, at its top:

        articles = inject(ArticleService)
    """
    return cast("ServiceT", LocalProxy(lambda: cast("Any", current_app).services[kind]))
