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


class Emptiable(Closable, Protocol):
    """Can be as it was at first."""

    def empty(self) -> None: ...


T = TypeVar("T", bound=Closable)
E = TypeVar("E", bound=Emptiable)


class Kept:
    """What the tests of a module have made, by how and of which settings."""

    def __init__(self) -> None:
        self._made: dict[object, Any] = {}

    def get(
        self, make: Callable[[Settings], T], settings: Settings, database_url: str | None = None
    ) -> T:
        """Return what was made of these settings, in the place of the first test that asked."""
        if database_url is not None:
            settings = settings.model_copy(update={"database_url": database_url})
        anywhere = settings.model_copy(update={"app_var_dir": None, "database_url": None})
        key = (make, settings.is_sqlite, anywhere)
        if key not in self._made:
            settings.app_var_dir.mkdir(parents=True, exist_ok=True)
            self._made[key] = make(settings)
        made: T = self._made[key]
        return made

    def emptied(
        self, make: Callable[[Settings], E], settings: Settings, database_url: str | None = None
    ) -> E:
        """As `get`, with nothing left of an earlier test."""
        made = self.get(make, settings, database_url)
        made.empty()
        return made

    def close(self) -> None:
        """Close all."""
        for each in self._made.values():
            each.close()
