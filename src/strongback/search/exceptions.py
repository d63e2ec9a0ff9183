"""Errors of search.

ServiceUnavailable
└── SearchUnavailable    503 13001
ValidationFailed
├── BadFilter            422 13002
└── BadSort              422 13003
"""

from __future__ import annotations

from strongback.exceptions import ConfigurationError, ServiceUnavailable, ValidationFailed

RETRY_AFTER = "5"
"""Seconds that a client is asked to wait for the search engine."""
_SHOWN = 60


class SearchMisuse(ConfigurationError):
    """The code asks for something that the index does not declare: a defect of the application."""


class SearchUnavailable(ServiceUnavailable):
    """The search engine does not answer, or its index has to be built first.

    Args:
        message: Text for clients, if they can do anything about it.
        is_damage: Whether the stored index cannot be read any more, so that waiting does not help.
        reason: Cause and remedy, for operators; not shown to clients.
    """

    error_code = 13001
    message = "The search is temporarily unavailable."

    def __init__(
        self, message: str | None = None, *, is_damage: bool = False, reason: str = ""
    ) -> None:
        super().__init__(message, headers={"Retry-After": RETRY_AFTER})
        self.is_damage = is_damage
        self.reason = reason


class BadFilter(ValidationFailed):
    """A filter cannot be read, or asks for something that the index does not have.

    Args:
        message: Description of the error, with a placeholder `{position}`.
        text: The whole filter.
        offset: Position of the error in characters, starting at 0.
        params: Values for the message's other placeholders.
    """

    error_code = 13002
    message = "The filter is wrong at character {position}."

    def __init__(self, message: str, text: str, offset: int, **params: object) -> None:
        super().__init__(
            message,
            params=params | {"position": offset + 1},
            errors=[{"field": "query.filter", "message": message, "type": "filter"}],
        )
        self.offset = offset
        self.extra = {"position": offset + 1, "pointer": point_at(text, offset)}


class BadSort(ValidationFailed):
    """A list of results cannot be put into this order."""

    error_code = 13003
    message = "Results cannot be sorted by {name}; choose one of {names}."

    def __init__(self, name: str, names: str) -> None:
        super().__init__(
            params={"name": name, "names": names},
            errors=[{"field": "query.sort", "message": self.message, "type": "sort"}],
        )


def point_at(text: str, offset: int) -> str:
    """The part of a text around a place, with a caret below the place.

    >>> print(point_at("tag = [async", 6))
    tag = [async
          ^
    """
    start = max(0, offset - _SHOWN // 2)
    part = "".join(letter if letter.isprintable() else " " for letter in text[start:][:_SHOWN])
    return f"{part}\n{' ' * (offset - start)}^"
