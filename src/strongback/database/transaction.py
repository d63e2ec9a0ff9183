"""Commit, rollback and retry of transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from strongback.database.database_error import DatabaseMisuse, is_retryable

log = structlog.get_logger(__name__)

ATTEMPTS = 5
"""Maximum number of attempts."""
FIRST_WAIT = 0.02
"""Half of the longest first pause in seconds; doubles with each attempt."""

R = TypeVar("R")


@dataclass(slots=True)
class Transaction:
    """The state of a running transaction."""

    callbacks: list[Callable[[], object]] = field(default_factory=list)
    failure: BaseException | None = None
    """Why it must not be committed, even if the error was caught."""

    def run(self, session: Session, function: Callable[[Session], R]) -> R:
        """Run a function and commit, or roll back."""
        try:
            result = function(session)
            session.flush()
            self._refuse_half()
            session.commit()
        except Exception:
            roll_back(session)
            if self.failure is None or not is_retryable(self.failure):
                raise
            # Whatever the code raised instead, the cause was a deadlock.
            raise self.failure  # noqa: B904  its cause is the driver's error and stays so
        except BaseException:
            roll_back(session)
            raise
        return result

    def call_back(self) -> None:
        """Call the callbacks; their exceptions are logged."""
        for callback in self.callbacks:
            try:
                callback()
            except Exception:
                name = getattr(callback, "__qualname__", repr(callback))
                log.exception("after_commit_failed", callback=name)

    def forgive(self) -> None:
        """Clear a failure that a savepoint has rolled back, unless it was a deadlock."""
        if self.failure is not None and not is_retryable(self.failure):
            self.failure = None

    def _refuse_half(self) -> None:
        if self.failure is not None:
            msg = "a call inside failed and its error was caught: wrap it in database.savepoint()"
            raise DatabaseMisuse(msg) from self.failure


def retry(attempt: Callable[[], R], seconds: float, note: Callable[[], None]) -> R:
    """Run a transaction until it succeeds, fails permanently, or attempts or seconds are used up.

    `note` is called before each further attempt.
    """
    deadline = time.monotonic() + seconds
    for number in range(1, ATTEMPTS):
        try:
            return attempt()
        except Exception as error:
            if not is_retryable(error) or time.monotonic() >= deadline:
                raise
            note()
            # Random, so that two that collided do not collide again.
            wait = random.uniform(0, FIRST_WAIT * 2**number)  # noqa: S311  not a secret
            log.warning(
                "transaction_retried", attempt=number, wait=round(wait, 3), error=str(error)
            )
        time.sleep(wait)
    return attempt()


def roll_back(session: Session) -> None:
    """Roll back, whatever the state of the connection."""
    try:
        session.rollback()
    except DBAPIError:
        session.invalidate()  # The connection is beyond use, and the first error says why.
