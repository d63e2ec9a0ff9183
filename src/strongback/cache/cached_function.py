"""Cached functions: what a function returns, kept by its arguments."""

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
from strongback.cache.plan import Plan
from strongback.cache.policy import short_key
from strongback.cache.s3_fifo import MOST_USES
from strongback.cache.stats import Stats

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Read = Callable[[Plan, str, Callable[[], Any]], Any]
"""Returns the value of a key, from a storage or by a call, or by a call in any case."""

KEYS = 16_384
"""Calls of each function whose keys are remembered."""

_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
_NOTHING: Any = object()
_PLAIN = (bool, int, float, str, bytes, type(None))
_NAMED = (datetime, date, time, timedelta, Decimal, UUID, PurePath)


class CachedFunction(Protocol[P, R_co]):
    """A function whose results are cached."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the function's result, from a storage or by a call."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, and keep its result in place of what is kept."""
        ...

    def remove(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget the result for these arguments, in every process."""
        ...

    def stats(self) -> Stats:
        """Return the counts of this process."""
        ...


def result_type(function: Callable[..., Any]) -> Any:  # noqa: ANN401  any type expression
    """Return the declared type of a function's result; `CacheMisuse` if there is none."""
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


def wrap(
    plan: Plan,
    function: Callable[P, R],
    read: Read,
    reload: Read,
    remove_keys: Callable[[list[str]], object],
) -> CachedFunction[P, R]:
    """Return the function with a cache in front of it."""
    known, key_of = _key_makers(plan.prefix, function)
    peek, clock, counts, load = plan.peek, plan.clock, plan.counts, functools.partial

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
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
            value: R = entry.value
            return value
        # A lambda would capture the arguments, and that makes every hit slower.
        return cast("R", read(plan, key, load(function, *args, **kwargs)))

    def refresh(*args: P.args, **kwargs: P.kwargs) -> R:
        key = key_of(*args, **kwargs)
        return cast("R", reload(plan, key, load(function, *args, **kwargs)))

    def remove(*args: P.args, **kwargs: P.kwargs) -> None:
        remove_keys([key_of(*args, **kwargs)])

    cached: Any = call
    if len(inspect.signature(function).parameters) == 1:
        cached = functools.wraps(function)(_with_one(plan, call, key_of))
    cached.refresh, cached.remove, cached.stats = refresh, remove, plan.counts.snapshot
    return cast("CachedFunction[P, R]", cached)


def _with_one(plan: Plan, call: Callable[..., R], key_of: Callable[..., str]) -> Callable[..., R]:
    """Return the same for functions of one parameter: a third faster for a number or a text."""
    peek, clock, counts = plan.peek, plan.clock, plan.counts
    names: dict[object, str] = {}

    def call_with_one(first: object = _NOTHING, /, *rest: object, **kwargs: object) -> R:
        # No number equals a text; but 1, True and 1.0 are equal, so it is exactly these types.
        if (type(first) is int or type(first) is str) and not rest and not kwargs:
            key = names.get(first)
            if key is None:
                if len(names) >= KEYS:
                    names.clear()
                key = names[first] = key_of(first)
            entry = peek(key)
            if entry is not None and clock() < entry.due:
                counts.hits_before += 1
                if entry.uses < MOST_USES:
                    entry.uses += 1
                value: R = entry.value
                return value
        return call(*(rest if first is _NOTHING else (first, *rest)), **kwargs)

    return call_with_one


class _OddArgument(Exception):
    """A key that must not be remembered by its arguments, with the key."""


def _key_makers(
    prefix: str, function: Callable[..., Any]
) -> tuple[Callable[..., str], Callable[..., str]]:
    """Return two makers of keys: a fast one that may refuse the arguments, and one for all."""
    signature = inspect.signature(function)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    places = len(signature.parameters) if kinds <= _POSITIONAL else -1

    def make(*args: object, **kwargs: object) -> str:
        values: Iterable[object] = args
        if kwargs or len(args) != places:  # else the usual call, at a quarter of the price
            bound = signature.bind(*args, **kwargs)  # raises TypeError as the call itself would
            bound.apply_defaults()
            values = bound.arguments.values()
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
    """Write an argument as part of a key: different for different values, the same everywhere."""
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
    raise CacheMisuse(
        f"an argument is a {kind.__qualname__}, of which no key can be made; pass numbers, texts,"
        " moments or containers of these"
    )
