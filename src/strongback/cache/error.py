"""The cache's errors: it was used in a way that cannot work, or a filter is not to be rebuilt."""

from __future__ import annotations

from strongback.exceptions import StrongbackError


class CacheMisuse(StrongbackError):
    """A declaration or a call cannot work; raised as early as it can be known."""


class RebuildRefused(StrongbackError):
    """Another process rebuilds the filter, or its memory was lost meanwhile: try again later."""


def require_count(name: str, value: object) -> None:
    """Refuse what is not a number of things.

    Raises:
        CacheMisuse: It is not an integer above zero.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CacheMisuse(f"{name} is {value!r}; give a whole number, 1 or more")


def require_text(name: str, value: object) -> None:
    """Refuse what is not a text, or empty.

    Raises:
        CacheMisuse: It is not a text of one character or more.
    """
    if not isinstance(value, str) or not value:
        raise CacheMisuse(f"{name} is {value!r}; give a text that is not empty")
