"""What can be wrong with a schema."""

from __future__ import annotations

from strongback.exceptions import StrongbackError


class MigrationError(StrongbackError):
    """The schema could not be read, or brought up to date; the message tells what to do."""
