from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from strongback.database import Database
from strongback.outbox import Batch, MessageState, Outbox, PublishFailed, Relay

pytestmark = pytest.mark.speaks_sql


class Broker:
    """Takes messages, or refuses them while it is told to."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.asked: list[int] = []
        """How many messages it was given at each attempt."""
        self.is_down = False
        self.surprise: Exception | None = None
        """What it raises next."""
        self.has_taken = threading.Condition()
        self.has_asked = threading.Condition()

    def publish(self, batches: Sequence[Batch]) -> None:
        numbers = [number for each in batches for number in each.ids]
        surprise, self.surprise = self.surprise, None
        with self.has_asked:
            self.asked.append(len(numbers))
            self.has_asked.notify_all()
        if surprise:
            raise surprise
        if self.is_down:
            raise PublishFailed("down")
        with self.has_taken:
            self.taken += numbers
            self.has_taken.notify_all()

    def wait(self, count: int, seconds: float = 20) -> None:
        with self.has_taken:
            assert self.has_taken.wait_for(lambda: len(self.taken) >= count, seconds)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def outbox(database: Database) -> Outbox:
    outbox = Outbox(database)
    outbox.subscribe("thing:happened", "test:note")
    return outbox


@pytest.fixture
def relay(outbox: Outbox, broker: Broker) -> Iterator[Relay]:
    relay = Relay(outbox, broker)
    relay.start()
    yield relay
    relay.stop()


def emit(outbox: Outbox, count: int = 1, **options: Any) -> None:
    def write(_: object) -> None:
        for number in range(count):
            outbox.emit("thing:happened", {"number": number}, **options)

    outbox.database.transact(write)


def states(outbox: Outbox) -> list[str]:
    with outbox.database.scope():
        return [message.state for message in outbox.list(None, 1000)]


def test_delivers_what_is_committed_and_nothing_of_what_is_undone(outbox, broker, relay):
    with pytest.raises(LookupError):
        outbox.database.transact(fail_after(lambda: outbox.emit("thing:happened", {})))
    emit(outbox, 3)
    broker.wait(3)
    assert states(outbox) == [MessageState.SENT] * 3


def fail_after(act: Callable[[], object]) -> Callable[[object], None]:
    def fail(_: object) -> None:
        act()
        raise LookupError

    return fail


def test_delivers_what_another_process_has_left(outbox, broker, database):
    other = Outbox(database)
    other.subscribe("thing:happened", "test:note")
    emit(other)  # nobody is told of it
    relay = Relay(outbox, broker)
    relay.start()
    broker.wait(1)
    relay.stop()


def test_two_relays_never_take_one_message_both(outbox, broker):
    emit(outbox, 300)
    relays = [Relay(outbox, broker) for _ in range(2)]
    for relay in relays:
        relay.start()
    broker.wait(300)
    for relay in relays:
        relay.stop()
    assert len(broker.taken) == 300
    assert len(set(broker.taken)) == 300


def test_gives_back_what_the_broker_refuses_and_delivers_it_later(outbox, broker, relay):
    broker.is_down = True
    emit(outbox, 5)
    deadline = time.monotonic() + 20
    while not broker.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    broker.is_down = False
    broker.wait(5)
    assert sorted(broker.taken) == sorted(set(broker.taken))


def test_while_the_broker_is_away_it_is_asked_with_one_message_and_attempts_are_not_counted(
    outbox, broker, relay
):
    broker.is_down = True
    emit(outbox, 5)
    with broker.has_asked:
        assert broker.has_asked.wait_for(lambda: len(broker.asked) >= 3, 20)
    assert broker.asked[1:3] == [1, 1]
    with outbox.database.scope():
        assert {(each.attempts, each.error) for each in outbox.list(None, 10)} == {(0, None)}
    broker.is_down = False
    broker.wait(5)


def test_goes_on_after_an_error_that_nobody_foresaw(outbox, broker, relay):
    broker.surprise = LookupError("unforeseen")
    emit(outbox)
    with broker.has_asked:
        assert broker.has_asked.wait_for(lambda: broker.surprise is None, 20)
    emit(outbox)
    broker.wait(1)


def test_writers_do_not_wait_for_a_broker_that_hangs(outbox, database):
    hangs, entered = threading.Event(), threading.Event()

    class Hanging(Broker):
        def publish(self, batches: Sequence[Batch]) -> None:
            entered.set()
            hangs.wait(30)

    relay = Relay(outbox, Hanging())
    relay.start()
    emit(outbox)
    assert entered.wait(20)
    emit(outbox, 10)  # would block here
    assert len(states(outbox)) == 11
    hangs.set()
    relay.stop()


def test_gives_a_message_again_that_nothing_was_heard_of(outbox, broker):
    emit(outbox)
    relay = Relay(outbox, broker)
    assert relay.deliver() == 1
    assert relay.deliver() == 0
    with outbox.database.scope():
        assert outbox.recover() == 1
    assert relay.deliver() == 1
    assert broker.taken[0] == broker.taken[1]


def test_status_tells_how_late_the_oldest_is(outbox):
    emit(outbox, 2)
    time.sleep(0.05)
    with outbox.database.scope():
        status = outbox.status()
    assert (status.waiting, status.running, status.dead) == (2, 0, 0)
    assert 0.05 <= status.lag < 20


def test_purge_deletes_dead_messages_alone(outbox):
    emit(outbox, 2)
    with outbox.database.scope():

        def bury(session: Any) -> None:
            message = outbox.list(None, 1)[0]
            message.state, message.available_at = MessageState.DEAD, None

        outbox.database.transact(bury)
        assert outbox.purge(timedelta(days=1)) == 0
        assert outbox.purge(timedelta()) == 1
    assert states(outbox) == [MessageState.WAITING]
