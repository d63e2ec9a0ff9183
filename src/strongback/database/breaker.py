"""A circuit breaker: nobody waits for a database that is known to hang.

A server that is frozen, or behind a broken network, takes connections and answers nothing, so that
each request holds a thread until a time-out. After the first one who finds out, the others are
refused at once, and one thread asks until the database answers again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

log = structlog.get_logger(__name__)

PAUSE = 1.0
"""Seconds between two times that a database which hangs is asked."""


class DatabaseHangs(SQLAlchemyError):
    """The database is known not to answer, so that it was not asked."""


class Breaker:
    """Stands between those who use a database and one that hangs.

    Args:
        ping: Asks the database; gives up by itself within a few seconds.
    """

    def __init__(self, ping: Callable[[], object]) -> None:
        self._ping = ping
        self._lock = threading.Lock()
        self._is_asking = False
        self.is_open = False
        """Whether the database hangs, as far as is known."""

    def check(self) -> None:
        """Let the caller go on to the database.

        Raises:
            DatabaseHangs: It would only wait.
        """
        if self.is_open:
            raise DatabaseHangs("the database hangs; it is asked in the background")

    def suspect(self, *, is_certain: bool) -> None:
        """Tell that the database has let somebody wait for too long.

        Args:
            is_certain: It let a ping or a new connection wait; else it may be one slow statement,
                and the database is asked before anybody is refused.
        """
        with self._lock:
            if is_certain and not self.is_open:
                self._open()
            if self._is_asking:
                return
            self._is_asking = True
        threading.Thread(target=self._ask, name="database-breaker", daemon=True).start()

    def _open(self) -> None:
        self.is_open = True
        log.warning("database_hangs")

    def _ask(self) -> None:
        while not self._is_answered():
            with self._lock:
                if not self.is_open:
                    self._open()
            time.sleep(PAUSE)
        with self._lock:
            if self.is_open:
                log.info("database_answers")
            self.is_open = self._is_asking = False

    def _is_answered(self) -> bool:
        try:
            self._ping()
        except DBAPIError as error:
            # Whoever refuses at once (it restarts, say) does not hang: each may find out.
            return not is_hang(error)
        return True


def is_hang(error: BaseException) -> bool:
    """Whether a driver has waited in vain, and did not merely meet a server that is gone."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return True
        cause = getattr(cause, "orig", None) or cause.__cause__ or cause.__context__
    return False
