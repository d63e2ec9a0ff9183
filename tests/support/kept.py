"""Applications that the tests of a module share: making one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from app.core.config import Settings
from strongback.app import Strongback
from strongback.auth.session_service import SessionService
from strongback.testing import empty
from strongback.web import init_limits

before_reset: list[Callable[[Strongback], object]] = []
"""What slices have done before; their tests add it."""


def reset(app: Strongback) -> None:
    """Empty an application's database, and have it forget what it has cached and counted."""
    for each in before_reset:
        each(app)
    empty(app.database)
    app.cache.clear()
    app.services[SessionService].cache.forget()
    init_limits(app, app.settings, app.redis)


class Closable(Protocol):
    """Has an application."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Kept:
    """What the tests of a module have made, by how and of which settings."""

    def __init__(self) -> None:
        self._made: dict[object, Any] = {}

    def get(self, make: Callable[[Settings], T], settings: Settings) -> T:
        """Return what was made of these settings, in the place of the first test that asked."""
        anywhere = settings.model_copy(update={"app_var_dir": None, "database_url": None})
        key = (make, settings.is_sqlite, anywhere)
        if key not in self._made:
            settings.app_var_dir.mkdir(parents=True, exist_ok=True)
            self._made[key] = make(settings)
        made: T = self._made[key]
        return made

    def close(self) -> None:
        """Close all."""
        for each in self._made.values():
            each.close()
