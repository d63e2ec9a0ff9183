"""The errors of the cache, and checks that raise them."""

from __future__ import annotations

from strongback.exceptions import ConfigurationError, StrongbackError


class CacheMisuse(ConfigurationError):
    """A declaration or a call cannot work; raised as early as it can be known."""


class CacheUnavailable(StrongbackError):
    """The shared storage does not answer; outdated values are to be removed later."""


class RebuildRefused(StrongbackError):
    """Another process rebuilds the filter, or its memory was lost meanwhile: try again later."""


def require_count(name: str, value: object) -> None:
    """Raise `CacheMisuse` unless a value is an integer above zero."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CacheMisuse(f"{name} is {value!r}; give a whole number, 1 or more")


def require_text(name: str, value: object) -> None:
    """Raise `CacheMisuse` unless a value is a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise CacheMisuse(f"{name} is {value!r}; give a text that is not empty")


def require_methods(role: str, value: object, *names: str) -> None:
    """Raise `CacheMisuse` for a class, and for an object that lacks one of the methods."""
    if isinstance(value, type):
        raise CacheMisuse(f"{value!r} is a class; give an object, such as {value.__name__}()")
    lacking = [name for name in names if not callable(getattr(value, name, None))]
    if lacking:
        raise CacheMisuse(f"{value!r} is no {role}; it lacks {', '.join(lacking)}")
