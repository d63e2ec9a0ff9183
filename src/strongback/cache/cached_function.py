"""The function cache: what a function returns, kept by its arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, ParamSpec, Protocol, TypeVar, cast, get_type_hints
from uuid import UUID

from strongback.cache.error import CacheMisuse
from strongback.cache.node import short_key
from strongback.cache.plan import Plan
from strongback.cache.s3_fifo import MOST_USES
from strongback.cache.stats import Stats

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

KEYS = 16_384
"""Calls of each function whose keys are remembered."""

_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
_NOTHING: Any = object()
_PLAIN = (bool, int, float, str, bytes, type(None))
_NAMED = (datetime, date, time, timedelta, Decimal, UUID, PurePath)


class CachedFunction(Protocol[P, R_co]):
    """A function that remembers what it has returned."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """What the function returns for these arguments, or has returned before."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, and keep what it returns in place of what is kept."""
        ...

    def remove(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget what it has returned for these arguments, in every process."""
        ...

    def stats(self) -> Stats:
        """What has been asked of it in this process."""
        ...


class Operations(Protocol):
    """What a cached function does by way of its manager."""

    def read_key(
        self, plan: Plan, key: str, load: Callable[[], Any]
    ) -> Any:  # noqa: ANN401  any value
        """The value of a key, from a storage or loaded."""
        ...

    def refresh_key(
        self, plan: Plan, key: str, load: Callable[[], Any]
    ) -> Any:  # noqa: ANN401  any value
        """The value of a key, loaded now."""
        ...

    def remove_key(self, key: str) -> None:
        """Forget the value of a key."""
        ...


def result_type(function: Callable[..., Any]) -> Any:  # noqa: ANN401  any type expression
    """The declared type of what a function returns.

    Raises:
        CacheMisuse: It cannot be cached, or does not say what it returns.
    """
    name = getattr(function, "__qualname__", repr(function))
    if not inspect.isfunction(function):
        raise CacheMisuse(f"{name} is no function; decorate one made by def")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise CacheMisuse(f"{name} is asynchronous; cache a synchronous function that it calls")
    if inspect.isgeneratorfunction(function):
        raise CacheMisuse(f"{name} is a generator, which is spent by one reader; return a list")
    if next(iter(inspect.signature(function).parameters), "") in {"self", "cls"}:
        message = "is a method, whose object is no part of a key; cache a function or use a node"
        raise CacheMisuse(f"{name} {message}")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise CacheMisuse(f"{name}: {error}, in its annotations; import what they name") from error
    if "return" not in hints:
        raise CacheMisuse(f"{name} does not say what it returns; annotate it, such as -> list[str]")
    return hints["return"]


def wrap(plan: Plan, function: Callable[P, R], operations: Operations) -> CachedFunction[P, R]:
    """The function with a cache in front of it."""
    known, key_of = _key_makers(plan.prefix, function)
    call = _caller(plan, function, operations, known, key_of)
    if len(inspect.signature(function).parameters) == 1:
        call = _caller_of_one(plan, call, key_of)

    def refresh(*args: P.args, **kwargs: P.kwargs) -> R:
        load = functools.partial(function, *args, **kwargs)
        return cast("R", operations.refresh_key(plan, key_of(*args, **kwargs), load))

    def remove(*args: P.args, **kwargs: P.kwargs) -> None:
        operations.remove_key(key_of(*args, **kwargs))

    cached: Any = functools.update_wrapper(call, function)
    cached.refresh, cached.remove, cached.stats = refresh, remove, plan.counts.snapshot
    return cast("CachedFunction[P, R]", cached)


def _caller(
    plan: Plan,
    function: Callable[..., Any],
    operations: Operations,
    known: Callable[..., str],
    key_of: Callable[..., str],
) -> Callable[..., Any]:
    peek, clock, counts = plan.peek, plan.clock, plan.counts

    def call(*args: object, **kwargs: object) -> Any:  # noqa: ANN401  any value
        # Passing no keywords on is faster than passing none of them.
        try:
            key = known(*args, **kwargs) if kwargs else known(*args)
        except (TypeError, _OddArgument):
            key = key_of(*args, **kwargs)
        entry = peek(key)
        if entry is not None and clock() < entry.due:
            counts.hits_before += 1
            if entry.uses < MOST_USES:
                entry.uses += 1
            return entry.value
        # A lambda would capture the arguments, and that makes every hit slower.
        return operations.read_key(plan, key, functools.partial(function, *args, **kwargs))

    return call


def _caller_of_one(
    plan: Plan, call: Callable[..., Any], key_of: Callable[..., str]
) -> Callable[..., Any]:
    """The same for functions of one parameter, a quarter faster for a number, a text or none."""
    peek, clock, counts = plan.peek, plan.clock, plan.counts
    known: dict[object, str] = {}

    def learn(argument: object) -> str:
        key = key_of() if argument is _NOTHING else key_of(argument)
        if len(known) >= KEYS:
            known.clear()
        known[argument] = key
        return key

    def call_with_one(
        first: object = _NOTHING, /, *rest: object, **kwargs: object
    ) -> Any:  # noqa: ANN401  any value
        kind = type(first)
        # No number equals a text; but 1, True and 1.0 are equal, so it is exactly these types.
        if (kind is int or kind is str or first is _NOTHING) and not rest and not kwargs:
            entry = peek(known.get(first) or learn(first))
            if entry is not None and clock() < entry.due:
                counts.hits_before += 1
                if entry.uses < MOST_USES:
                    entry.uses += 1
                return entry.value
        args = rest if first is _NOTHING else (first, *rest)
        return call(*args, **kwargs)

    return call_with_one


class _OddArgument(Exception):
    """A key that must not be remembered by its arguments, with the key."""


def _key_makers(
    prefix: str, function: Callable[..., Any]
) -> tuple[Callable[..., str], Callable[..., str]]:
    """Two functions that make a key of arguments: a fast one that may refuse, and one for all."""
    signature = inspect.signature(function)
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    places = len(kinds) if set(kinds) <= _POSITIONAL else -1

    def make(*args: object, **kwargs: object) -> str:
        if not kwargs and len(args) == places:  # the usual call, at a quarter of the price
            return join(args)
        bound = signature.bind(*args, **kwargs)  # raises TypeError as the call itself would
        bound.apply_defaults()
        return join(bound.arguments.values())

    def join(values: Iterable[object]) -> str:
        return prefix + short_key(",".join(map(_write, values)))

    # The typed lookup is C and tells 1 from True and 1.0, but not inside a container: those, and
    # what cannot be hashed, are written out each time.
    @functools.lru_cache(KEYS, typed=True)
    def known(*args: object, **kwargs: object) -> str:
        key = make(*args, **kwargs)
        if all(type(value) in _PLAIN for value in (*args, *kwargs.values())):
            return key
        raise _OddArgument(key)

    def key_of(*args: object, **kwargs: object) -> str:
        try:
            return known(*args, **kwargs)
        except _OddArgument as odd:
            return str(odd)
        except TypeError:
            return make(*args, **kwargs)

    return known, key_of


def _write(value: object) -> str:
    """An argument as part of a key: different for different values, the same in every process."""
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if isinstance(value, Enum):
        return f"{kind.__qualname__}.{value.name}"
    if isinstance(value, _NAMED):
        return f"{kind.__name__}({str(value)!r})"
    if isinstance(value, tuple | list):
        return f"{kind.__name__}[{','.join(map(_write, value))}]"
    if isinstance(value, set | frozenset):
        return f"{kind.__name__}[{','.join(sorted(map(_write, value)))}]"
    if isinstance(value, Mapping):
        pairs = sorted((_write(key), _write(item)) for key, item in value.items())
        return f"{kind.__name__}[{','.join(f'{key}:{item}' for key, item in pairs)}]"
    message = "make a key of; pass numbers, texts, moments or containers of these"
    raise CacheMisuse(f"an argument is a {kind.__qualname__}, which there is no way to {message}")
