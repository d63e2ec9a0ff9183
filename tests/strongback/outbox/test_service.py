"""What is on its way: how it is counted, tried again, and kept from a clock that jumps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from strongback.database import Database, utc_now
from strongback.outbox import MAX_COUNTED, MessageState, Outbox, OutboxMessage, OutboxStatus
from strongback.outbox.service import BATCH

pytestmark = pytest.mark.speaks_sql

HOUR = timedelta(hours=1)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    outbox = Outbox(database)
    outbox.subscribe("thing:happened", "test:note")
    return outbox


def emit(outbox: Outbox, **options: Any) -> int:
    """Write a message; returns its id."""

    def write(session: Session) -> int:
        outbox.emit("thing:happened", {}, **options)
        return session.scalars(select(OutboxMessage.id).order_by(OutboxMessage.id.desc())).all()[0]

    return outbox.database.transact(write)


def add(outbox: Outbox, count: int, **values: Any) -> None:
    rows = [{"consumer": "test:note", "payload": {}, **values}] * count
    outbox.database.transact(lambda session: session.execute(insert(OutboxMessage), rows))


def age(outbox: Outbox, ago: timedelta) -> None:
    """Let everything be written so long ago; a negative time is a clock that was set back since."""

    def shift(session: Session) -> None:
        for message in session.scalars(select(OutboxMessage)):
            for name in ("created_at", "due_at", "updated_at", "available_at"):
                if (moment := getattr(message, name)) is not None:
                    setattr(message, name, moment - ago)

    outbox.database.transact(shift)


def claim(outbox: Outbox) -> list[int]:
    with outbox.database.scope():
        return [each.id for each in outbox.claim(100)]


def status(outbox: Outbox) -> OutboxStatus:
    with outbox.database.scope():
        outbox.database.session.rollback()
        return outbox.status()


@pytest.mark.parametrize("state", ["waiting", "sent", "running"])
def test_the_lag_is_the_age_of_what_is_not_done_in_whatever_state(outbox, state):
    """With no worker alive messages are with the broker, and nobody waits for it in the outbox."""
    emit(outbox)
    claim(outbox)
    age(outbox, HOUR)
    later = {"state": state, "available_at": utc_now() + HOUR}
    change = update(OutboxMessage).values(later)
    outbox.database.transact(lambda session: session.execute(change))
    assert 3600 <= status(outbox).lag < 3700


def test_what_is_given_up_is_not_late(outbox):
    add(outbox, 1, state=MessageState.DEAD, available_at=None)
    age(outbox, HOUR)
    assert status(outbox).lag == 0


def test_what_is_for_later_is_late_from_its_moment_on(outbox):
    emit(outbox, delay=HOUR)
    assert status(outbox).lag == 0
    age(outbox, 2 * HOUR)
    assert 3600 <= status(outbox).lag < 3700


def test_more_than_the_most_is_not_counted(outbox):
    add(outbox, MAX_COUNTED + 1, state=MessageState.DEAD, available_at=None)
    emit(outbox)
    assert (status(outbox).waiting, status(outbox).dead) == (1, MAX_COUNTED)


def test_everything_is_replayed_a_batch_at_a_time(outbox):
    add(outbox, 2 * BATCH + 1, state=MessageState.DEAD, available_at=None)
    batches: list[int] = []
    with outbox.database.scope():
        assert outbox.replay_all(batches.append) == 2 * BATCH + 1
    assert batches == [BATCH, BATCH, 1]
    assert status(outbox).dead == 0


def test_what_a_replay_that_is_cut_off_has_done_stays_done(outbox):
    add(outbox, 2 * BATCH, state=MessageState.DEAD, available_at=None)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with outbox.database.scope(), pytest.raises(KeyboardInterrupt):
        outbox.replay_all(interrupt)
    assert (status(outbox).waiting, status(outbox).dead) == (BATCH, BATCH)


def test_what_is_replayed_is_late_from_now_on(outbox):
    add(outbox, 1, state=MessageState.DEAD, available_at=None)
    age(outbox, HOUR)
    with outbox.database.scope():
        outbox.replay_all()
    assert status(outbox).lag < 60


def test_purging_says_how_far_it_is(outbox):
    add(outbox, BATCH + 1, state=MessageState.DEAD, available_at=None)
    batches: list[int] = []
    with outbox.database.scope():
        assert outbox.purge(timedelta(), batches.append) == BATCH + 1
    assert batches == [BATCH, 1]


def test_what_a_broker_has_lost_is_made_due_a_batch_at_a_time(outbox):
    add(outbox, BATCH + 1, state=MessageState.SENT, available_at=utc_now() + HOUR)
    with outbox.database.scope():
        assert outbox.recover() == BATCH + 1
    assert len(claim(outbox)) == 100


def test_a_clock_that_is_set_back_holds_up_nothing_that_is_due(outbox):
    number = emit(outbox)
    age(outbox, -HOUR)
    assert claim(outbox) == []
    assert outbox.rebase() == 1
    assert claim(outbox) == [number]
    assert outbox.rebase() == 0


def test_a_clock_that_is_set_back_leaves_what_waits_as_long_as_it_was_to_wait(outbox):
    emit(outbox, delay=timedelta(minutes=10))
    age(outbox, -HOUR)
    outbox.rebase()
    with outbox.database.scope():
        (message,) = outbox.list(None, 2)
        left = message.available_at - utc_now()
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)


def test_a_clock_that_is_adjusted_by_a_little_changes_nothing(outbox):
    emit(outbox, delay=HOUR)
    age(outbox, timedelta(milliseconds=-500))
    assert outbox.rebase() == 0


class TestASessionOfSomebodyElse:
    """An application with an engine and sessions of its own emits in its own transaction."""

    @pytest.fixture
    def sessions(self, database: Database) -> Iterator[sessionmaker[Session]]:
        engine = create_engine(database.engine.url)
        yield sessionmaker(engine)
        engine.dispose()

    def test_a_message_is_committed_with_it_and_told_of(self, outbox, sessions):
        told: list[int] = []
        outbox.on_commit(lambda: told.append(1))
        with sessions() as session:
            outbox.emit("thing:happened", {"id": 7}, session=session)
            outbox.emit("thing:happened", {"id": 8}, session=session)
            assert told == []
            session.commit()

        assert told == [1]
        assert len(claim(outbox)) == 2

    def test_a_message_is_undone_with_it(self, outbox, sessions):
        with sessions() as session:
            outbox.emit("thing:happened", {}, session=session)
            session.rollback()

        assert claim(outbox) == []

    def test_a_scoped_session_is_the_one_of_this_thread(self, outbox, sessions):
        scoped = scoped_session(sessions)
        told: list[int] = []
        outbox.on_commit(lambda: told.append(1))
        outbox.emit("thing:happened", {}, session=scoped)
        with sessions() as another:
            another.commit()
        assert told == []
        scoped.commit()
        scoped.remove()

        assert told == [1]
        assert len(claim(outbox)) == 1


def test_a_consumer_gets_as_many_messages_at_once_as_it_subscribed_for(database: Database):
    outbox = Outbox(database)
    outbox.subscribe("thing:happened", "test:note", 3)
    outbox.subscribe("thing:happened", "test:other")
    sizes = [outbox.batch_size(name) for name in ("test:note", "test:other", "test:unknown")]
    assert sizes == [3, 1, 1]


@pytest.mark.parametrize(
    "state, is_there",
    [
        (MessageState.WAITING, True),
        (MessageState.SENT, True),
        (MessageState.RUNNING, True),
        (MessageState.DEAD, False),
    ],
)
def test_it_is_known_whether_a_message_of_a_subject_is_not_done(outbox, state, is_there):
    emit(outbox, key="thing:7", delay=HOUR)
    outbox.database.transact(
        lambda session: session.execute(update(OutboxMessage).values(state=state))
    )
    with outbox.database.scope():
        asked = [("thing:happened", "thing:7"), ("thing:happened", "thing:8"), ("other", "thing:7")]
        assert [outbox.has(*each) for each in asked] == [is_there, False, False]
