"""The error of migrations."""

from __future__ import annotations

from strongback.exceptions import StrongbackError


class MigrationError(StrongbackError):
    """The schema cannot be read or migrated; the message has the remedy."""
