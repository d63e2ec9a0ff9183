"""`@transactional`, which makes a method of a service one transaction."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongback.database.session import Database

P = ParamSpec("P")
R = TypeVar("R")


class HasDatabase(Protocol):
    """An object with a database, such as a service."""

    @property
    def database(self) -> Database:
        """The database of its transactions."""
        ...


S = TypeVar("S", bound=HasDatabase)


def transactional(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Run a service's method in one transaction of `self.database`; see `Database.transact`."""
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        msg = f"{method.__qualname__}: a transaction ends before a coroutine or generator runs"
        raise TypeError(msg)

    @functools.wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.database.transact(lambda _: method(self, *args, **kwargs))

    return run
