"""Idempotency keys: a request that is sent twice has one effect, and both get its response.

A key is a row in the effect's own transaction. Whatever happens in between, either both are there
or neither is, and there is nothing to clean up after a crash. The transaction begins with the
effect's first write, so that a key makes no lock last longer.

    Conflict
    └── RequestInFlight           409 10030
    ValidationFailed
    └── IdempotencyKeyReused      422 10031
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import JSON, ColumnElement, LargeBinary, String, UniqueConstraint, delete, select
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from strongback.database import (
    Base,
    Database,
    Identified,
    delete_in_batches,
    is_duplicate,
    is_retryable,
    transactional,
    utc_now,
)
from strongback.exceptions import Conflict, StrongbackError, ValidationFailed

KEPT = timedelta(hours=24)
"""How long a key is remembered."""
ROUNDS = 3
"""How often a key that was taken and given back meanwhile is tried again."""
RETRY_AFTER = "1"
KEY_LENGTH = 255
LOCKED = frozenset({1205, 3572})
"""Error codes of NOWAIT at a locked row: MariaDB's and MySQL's."""

# MySQL's BLOB ends at 64 KiB, its MEDIUMBLOB at 16 MiB.
LongBinary = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")


class RequestInFlight(Conflict):
    """A request with this `Idempotency-Key` is still being processed; see `Retry-After`."""

    error_code = 10030
    message = "A request with this Idempotency-Key is still being processed."


class IdempotencyKeyReused(ValidationFailed):
    """The `Idempotency-Key` belongs to another request: another address or another body."""

    error_code = 10031
    message = "This Idempotency-Key was used for another request. Use a new key."


class IdempotencyKey(Identified, Base):
    """A key, the request that it was used for, and the response."""

    __tablename__ = "sb_idempotency_key"
    __table_args__ = (UniqueConstraint("caller", "key"),)

    caller: Mapped[str] = mapped_column(String(64))
    """Whose key it is: keys of different callers never meet."""
    key: Mapped[str] = mapped_column(String(KEY_LENGTH))
    operation: Mapped[str] = mapped_column(String(255))
    """Method and route, for people who look at the table."""
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Hash of everything that makes this request another than the next."""
    status: Mapped[int] = mapped_column(default=0)
    headers: Mapped[list[list[str]]] = mapped_column(JSON, default=list)
    body: Mapped[bytes] = mapped_column(LongBinary, default=b"")
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that wants to be the only one with its key."""

    caller: str
    key: str
    operation: str
    fingerprints: tuple[str, ...]
    """Hashes of the request, keyed by each of the application's secrets, the current one first."""


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """The part of a response that is repeated."""

    status: int
    headers: list[list[str]]
    body: bytes
    is_replayed: bool = False


class _Taken(StrongbackError):
    """Another request has written the key first."""


class Idempotency:
    """Lets one request per key act."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def run(self, claim: Claim, act: Callable[[], RecordedResponse]) -> RecordedResponse:
        """Act and record the response, or repeat the recorded one.

        The writes of `act` are part of the key's transaction; its work before the first write is
        not. If it raises, both are rolled back and the key is free. Of two that act at once, the
        second one to write finds the key taken and repeats the response of the first.

        Args:
            claim: The key and its request.
            act: Does the work and returns the response. It may run again, like any transaction.

        Raises:
            IdempotencyKeyReused: The key belongs to another request.
            RequestInFlight: Another request with this key is in progress.
        """
        for _ in range(ROUNDS):
            if recorded := self._recall(claim):
                return recorded
            try:
                return self._perform(claim, act)
            except _Taken:
                continue
        raise RequestInFlight(headers={"Retry-After": RETRY_AFTER})

    def _recall(self, claim: Claim) -> RecordedResponse | None:
        row = self._find(claim)
        if row is None:
            return None
        if row.created_at < utc_now() - KEPT:
            self._forget(claim)
            return None
        if row.fingerprint not in claim.fingerprints:
            raise IdempotencyKeyReused
        return RecordedResponse(row.status, row.headers, row.body, is_replayed=True)

    def _find(self, claim: Claim) -> IdempotencyKey | None:
        session = self.database.session
        session.rollback()  # to see what other transactions have committed meanwhile
        query = select(IdempotencyKey).where(_is_of(claim))
        row = session.scalar(query)
        if row is not None or self.database.engine.dialect.name == "sqlite":
            return row  # SQLite's writers queue, so that nobody sees a request in flight
        try:
            return session.scalar(query.with_for_update(nowait=True))
        except DBAPIError as error:
            if error.orig is not None and error.orig.args[0] in LOCKED:
                raise RequestInFlight(headers={"Retry-After": RETRY_AFTER}) from None
            raise

    def _perform(self, claim: Claim, act: Callable[[], RecordedResponse]) -> RecordedResponse:
        row: IdempotencyKey
        is_claiming = False

        def take_key(session: Session) -> None:
            nonlocal row, is_claiming
            is_claiming = True
            row = _write_claim(session, claim)
            is_claiming = False

        def keep(response: RecordedResponse) -> None:
            row.status, row.headers, row.body = response.status, response.headers, response.body

        try:
            return self.database.transact_late(act, first=take_key, last=keep)
        except DBAPIError as error:
            if is_claiming and is_retryable(error):
                raise RequestInFlight(headers={"Retry-After": RETRY_AFTER}) from error
            raise

    # Cleaning up

    @transactional
    def _forget(self, claim: Claim) -> None:
        """Delete an expired key that is not cleaned up yet."""
        is_old = IdempotencyKey.created_at < utc_now() - KEPT
        self.database.session.execute(delete(IdempotencyKey).where(_is_of(claim), is_old))

    def clean(self) -> int:
        """Delete expired keys; returns their number."""
        old = IdempotencyKey.created_at < utc_now() - KEPT
        return delete_in_batches(self.database, IdempotencyKey.id, old)


def _is_of(claim: Claim) -> ColumnElement[bool]:
    return (IdempotencyKey.caller == claim.caller) & (IdempotencyKey.key == claim.key)


def _write_claim(session: Session, claim: Claim) -> IdempotencyKey:
    """Insert the key; a second request waits here for the transaction of the first."""
    facts = {"caller": claim.caller, "key": claim.key, "operation": claim.operation}
    row = IdempotencyKey(**facts, fingerprint=claim.fingerprints[0])
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        if is_duplicate(error):
            raise _Taken from None
        raise
    return row
