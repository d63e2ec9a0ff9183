"""The outbox: stores messages in the caller's transaction, and knows which are due."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, event, func, insert, select, union_all, update
from sqlalchemy.orm import Session, aliased, scoped_session
from structlog.contextvars import get_contextvars

from strongback.collision import Names
from strongback.database import Database, delete_in_batches, transactional, utc_now
from strongback.exceptions import StrongbackError
from strongback.outbox.model import KEY_LENGTH, InboxEntry, MessageState, OutboxMessage

MAX_PAYLOAD = 16 * 1024
"""Bytes of a payload as JSON: messages carry ids and names, not documents."""
RESEND_AFTER = timedelta(seconds=30)
"""Time after which a message is sent again when its consumer has not begun; doubles each time."""
MAX_RESEND_AFTER = timedelta(hours=1)
MAX_COUNTED = 1_000
"""Messages of a state are counted up to here: counting a million takes a third of a second."""
BATCH = 500
"""Rows that one transaction changes: SQLite is locked for a few milliseconds."""
SLACK = timedelta(seconds=1)
"""Time by which a clock may be set back without consequence; clocks are adjusted all the time."""
INBOX_KEPT = timedelta(days=7)
"""Time for which an effect is remembered, longer than any broker holds a message."""


Progress = Callable[[int], object]
"""Gets the number of further messages that are done."""


class InvalidMessage(StrongbackError):
    """A message that cannot be stored or delivered."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to send to the broker now."""

    id: int
    consumer: str
    request_id: str | None
    is_first_attempt: bool


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """Messages by state; `MAX_COUNTED` means that many or more."""

    waiting: int
    """Messages whose consumer has not begun, due ones and later ones."""
    running: int
    """Messages whose consumer runs."""
    dead: int
    """Messages that have failed for good."""
    lag: float
    """Seconds for which the oldest unfinished message has been due; 0 if there is none."""


class Outbox:
    """Stores messages in the caller's transaction, and knows which are due."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._consumers: dict[str, list[str]] = {}
        self._batches: dict[str, int] = {}
        self._topics = Names("topic")
        self._on_commit: list[Callable[[], object]] = []

    # Writing

    def declare(self, owner: str, *topics: str) -> None:
        """Say which topics a part or slice emits, so that no other takes their names.

        Raises:
            ConfigurationError: Another module emits one of this name.
        """
        for topic in topics:
            self._topics.claim(topic, owner)

    def undeclared(self) -> Iterator[str]:
        """Consumers that would wait for ever, each with the reason, in one line."""
        for topic, consumers in self._consumers.items():
            if topic not in self._topics:
                yield (
                    f"{', '.join(consumers)} waits for {topic}, which nothing emits: register the"
                    " part or slice that does, and let it declare the topic"
                )

    def subscribe(self, topic: str, consumer: str, batch: int = 1) -> None:
        """Send every further message of a topic to a consumer, at most `batch` at once."""
        self._consumers.setdefault(topic, []).append(consumer)
        self._batches[consumer] = batch

    def batch_size(self, consumer: str) -> int:
        """Most messages that a consumer gets at once."""
        return self._batches.get(consumer, 1)

    def on_commit(self, notify: Callable[[], object]) -> None:
        """Call a function after each commit of a transaction that emitted something."""
        self._on_commit.append(notify)

    def emit(  # noqa: PLR0913  what a message has, and whose it is
        self,
        topic: str,
        payload: dict[str, Any],
        *,
        key: str | None = None,
        delay: timedelta | None = None,
        job_id: str | None = None,
        session: Session | scoped_session[Any] | None = None,
        limit: int = MAX_PAYLOAD,
    ) -> None:
        """Send a message to the consumers of a topic, once the current transaction is committed.

        Args:
            topic: Event, such as `article:published`.
            payload: Keyword arguments of the consumers: ids and names, at most 16 KiB of JSON.
            key: Subject. Each consumer gets the messages of one key in their order, so the caller
                must hold a lock on the subject.
            delay: Time to wait after the commit.
            job_id: Job that it starts.
            session: Another session of SQLAlchemy on the same database, whose transaction it is;
                the caller commits it.
            limit: Bytes that the payload may have.

        Raises:
            DatabaseMisuse: No transaction is open, and no session given.
            InvalidMessage: The payload is no JSON or too long, or the key too long.
        """
        _check(payload, key, limit)
        due = utc_now() + (delay or timedelta())
        rows = [
            {
                "consumer": consumer,
                "key": key,
                "payload": payload,
                "available_at": due,
                "due_at": due,
                "request_id": get_contextvars().get("request_id"),
                "job_id": job_id,
            }
            for consumer in self._consumers.get(topic, ())
        ]
        if session is None:
            # Also without a consumer: a caller outside of a transaction must get an error.
            self.database.after_commit(self.notify if rows and not delay else lambda: None)
            writer = self.database.session
        else:
            writer = session() if isinstance(session, scoped_session) else session
            if not event.contains(writer, "after_commit", self.notify):
                event.listen(writer, "after_commit", self.notify)
        if rows:
            writer.execute(insert(OutboxMessage), rows)

    def has(self, topic: str, key: str) -> bool:
        """Whether a message of a topic and subject is not done yet.

        The caller holds a lock on the subject, as the consumer does before it reads: what comes
        while the message waits can then be left to it.
        """
        query = select(OutboxMessage.id).where(
            OutboxMessage.consumer.in_(self._consumers.get(topic, ())),
            OutboxMessage.key == key,
            OutboxMessage.state != MessageState.DEAD,
        )
        return self.database.session.scalar(query.limit(1)) is not None

    def withdraw(self, topic: str, keys: Collection[str]) -> None:
        """Delete messages of a topic by their keys, unless they are due; in the transaction."""
        query = delete(OutboxMessage).where(
            OutboxMessage.consumer.in_(self._consumers.get(topic, ())),
            OutboxMessage.key.in_(keys),
            OutboxMessage.available_at > utc_now(),
        )
        self.database.session.execute(query, execution_options={"synchronize_session": False})

    def notify(self, _: object = None) -> None:
        """Tell the relays that messages are due; also as a listener of a session."""
        for notify in self._on_commit:
            notify()

    # Delivering

    def claim(self, limit: int) -> list[Claimed]:
        """Take due messages to send them to the broker, the oldest first.

        No two callers get the same one: on MySQL and MariaDB they skip each other's rows, on
        SQLite they take turns.
        """
        if self.database.session.scalar(_due().limit(1)) is None:
            return []  # the usual case costs a read and no write
        return self._claim(limit)

    @transactional
    def _claim(self, limit: int) -> list[Claimed]:
        message = OutboxMessage
        query = _due().limit(limit).with_for_update(skip_locked=True, of=message)
        rows = self.database.session.execute(
            query.with_only_columns(
                message.id, message.consumer, message.request_id, message.attempts, message.sendings
            )
        ).all()
        # One statement for all that were sent equally often.
        sent = attrgetter("sendings")
        for sendings, group in groupby(sorted(rows, key=sent), key=sent):
            self._set(
                message.id.in_([row.id for row in group]),
                state=MessageState.SENT,
                available_at=utc_now() + _patience(sendings),
                sendings=sendings + 1,
            )
        return [Claimed(row.id, row.consumer, row.request_id, row.attempts == 0) for row in rows]

    @transactional
    def release(self, ids: Collection[int]) -> None:
        """Return claimed messages that the broker did not accept; they are due."""
        given = OutboxMessage.id.in_(ids) & (OutboxMessage.state == MessageState.SENT)
        self._set(given, state=MessageState.WAITING, available_at=utc_now(), sendings=0)

    @transactional
    def keep(self, ids: Collection[int], until: datetime) -> None:
        """Reserve running messages until a moment."""
        running = OutboxMessage.id.in_(ids) & (OutboxMessage.state == MessageState.RUNNING)
        self._set(running, available_at=until)

    def _set(self, chosen: ColumnElement[bool], **values: object) -> None:
        self.database.session.execute(update(OutboxMessage).where(chosen).values(values))

    def recover(self) -> int:
        """Make the messages due that a broker has lost; returns how many.

        Running ones are left alone: they end, or are due again after their time limit.
        """
        began = utc_now()
        return sum(iter(lambda: self._recover_batch(began), 0))

    @transactional
    def _recover_batch(self, began: datetime) -> int:
        # Messages that other processes send meanwhile stay with the broker.
        message = OutboxMessage
        is_old = message.updated_at.is_(None) | (message.updated_at < began)
        lost = (message.state == MessageState.SENT) & is_old
        ids = self.database.session.scalars(select(message.id).where(lost).limit(BATCH)).all()
        self._set(message.id.in_(ids) & lost, state=MessageState.WAITING, available_at=utc_now())
        return len(ids)

    def rebase(self) -> int:
        """Bring messages forward after the clock was set back; returns how many.

        A waiting message waits for its original duration, from now on.
        """
        total = 0
        with self.database.scope():
            while self.database.session.scalar(_ahead().limit(1)) is not None:
                total += self._rebase_batch()
        return total

    @transactional
    def _rebase_batch(self) -> int:
        rows = self.database.session.scalars(_ahead().limit(BATCH)).all()
        now = utc_now()
        for message in rows:
            due, reckoned = message.available_at, message.updated_at
            if due is None or reckoned is None:  # for the type checker: both were compared
                continue
            due = now + (due - reckoned)
            message.available_at, message.due_at = due, min(due, message.due_at or due)
            message.updated_at = now
        return len(rows)

    # Looking after it

    def status(self) -> OutboxStatus:
        """Count the messages, in a time that does not depend on their number."""
        session = self.database.session
        some = {
            state: select(OutboxMessage.id).where(OutboxMessage.state == state).limit(MAX_COUNTED)
            for state in MessageState
        }
        counted = (
            select(func.count()).select_from(ids.subquery()).label(state)
            for state, ids in some.items()
        )
        counts = session.execute(select(*counted)).one()
        undone = (MessageState.WAITING, MessageState.SENT, MessageState.RUNNING)
        first = select(func.min(OutboxMessage.due_at))
        oldest = union_all(*(first.where(OutboxMessage.state == state) for state in undone))
        since, now = [due for due in session.scalars(oldest) if due is not None], utc_now()
        return OutboxStatus(
            waiting=min(counts.waiting + counts.sent, MAX_COUNTED),
            running=counts.running,
            dead=counts.dead,
            lag=max(0.0, (now - min(since)).total_seconds()) if since else 0.0,
        )

    def list(self, state: MessageState | None, limit: int) -> Sequence[OutboxMessage]:
        """Return the oldest messages, of one state or of all."""
        query = select(OutboxMessage).limit(limit)
        if state is not None:
            query = query.where(OutboxMessage.state == state).order_by(OutboxMessage.due_at)
        return self.database.session.scalars(query.order_by(OutboxMessage.id)).all()

    def count(self, state: MessageState) -> int:
        """Count all messages of a state, for the progress of commands."""
        query = select(func.count()).select_from(OutboxMessage).where(OutboxMessage.state == state)
        return self.database.session.scalar(query) or 0

    @transactional
    def replay(self, ids: Collection[int] | None = None, limit: int | None = None) -> Sequence[int]:
        """Try dead messages again, as if they were new: these, or the oldest; returns their ids."""
        query = select(OutboxMessage.id).where(OutboxMessage.state == MessageState.DEAD)
        if ids is not None:
            query = query.where(OutboxMessage.id.in_(ids))
        query = query.order_by(OutboxMessage.due_at, OutboxMessage.id).limit(limit)
        found, now = self.database.session.scalars(query.with_for_update()).all(), utc_now()
        new = {"available_at": now, "due_at": now, "attempts": 0, "sendings": 0}
        self._set(OutboxMessage.id.in_(found), state=MessageState.WAITING, **new)
        self.database.after_commit(self.notify)
        return found

    def replay_all(self, progress: Progress = lambda _: None) -> int:
        """Try every dead message again, `BATCH` in each transaction; returns how many."""
        # No more than there are now: some may be dead again before the turn of the last one.
        total, most = 0, self.count(MessageState.DEAD)
        while total < most and (count := len(self.replay(limit=min(BATCH, most - total)))):
            total += count
            progress(count)
        return total

    def purge(self, older_than: timedelta, progress: Progress = lambda _: None) -> int:
        """Delete old dead messages; returns how many."""
        before = OutboxMessage.created_at < utc_now() - older_than
        old = (OutboxMessage.state == MessageState.DEAD) & before
        return delete_in_batches(self.database, OutboxMessage.id, old, progress=progress)

    def forget_handled(self) -> int:
        """Delete old inbox entries; returns how many."""
        old = InboxEntry.handled_at < utc_now() - INBOX_KEPT
        return delete_in_batches(self.database, InboxEntry.message_id, old)


def _due() -> Select[OutboxMessage]:
    """Select messages that are due, and that no earlier one with their key holds up."""
    earlier = aliased(OutboxMessage)
    blocking = select(earlier.id).where(
        earlier.consumer == OutboxMessage.consumer,
        earlier.key == OutboxMessage.key,
        earlier.id < OutboxMessage.id,
        earlier.state != MessageState.DEAD,
    )
    is_first = OutboxMessage.key.is_(None) | ~blocking.exists()
    return (
        select(OutboxMessage)
        .where(OutboxMessage.available_at <= utc_now(), is_first)
        .order_by(OutboxMessage.available_at, OutboxMessage.id)
    )


def _ahead() -> Select[OutboxMessage]:
    """Select messages whose moment was set before the clock was set back."""
    now = utc_now()
    return select(OutboxMessage).where(
        OutboxMessage.available_at > now, OutboxMessage.updated_at > now + SLACK
    )


def _patience(sendings: int) -> timedelta:
    return min(RESEND_AFTER * int(2 ** min(sendings, 10)), MAX_RESEND_AFTER)


def _check(payload: dict[str, Any], key: str | None, limit: int) -> None:
    try:
        size = len(json.dumps(payload, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidMessage(f"the payload is not JSON: {error}") from None
    if size > limit:
        raise InvalidMessage(
            f"the payload has {size} bytes of JSON, and {limit} are allowed:"
            " store the data and send its id"
        )
    if key is not None and len(key) > KEY_LENGTH:
        raise InvalidMessage(f"the key has {len(key)} characters, and {KEY_LENGTH} are allowed")
