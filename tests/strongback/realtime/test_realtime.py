"""What may be published, and what is stored of it."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from typing import Any

import pytest

from strongback.database import Database
from strongback.exceptions import StrongbackError
from strongback.outbox import Outbox
from strongback.realtime import ChannelRegistry, Channels, History, InvalidChannel, Realtime
from strongback.realtime.broker import BrokerUnavailable
from strongback.realtime.centrifugo import CentrifugoBroker
from strongback.realtime.exceptions import InvalidPublication
from strongback.realtime.local_broker import LocalBroker
from strongback.realtime.realtime import BATCH, MAX_CHANNELS, MAX_DATA
from strongback.realtime.realtime_task import realtime_tasks
from strongback.task.context import PermanentFailure, TaskContext
from strongback.task.declaration import TaskRegistry
from strongback.testing.port import free_port


@pytest.fixture
def channels() -> ChannelRegistry:
    registry = ChannelRegistry()
    registry.add(Channels("room", history=History(10, timedelta(minutes=5))))
    return registry


@pytest.fixture
def realtime(database: Database, channels: ChannelRegistry) -> Realtime:
    outbox, broker = Outbox(database), LocalBroker(channels)
    TaskRegistry(outbox).add(realtime_tasks(broker))
    return Realtime(database, outbox, channels, broker)


def emit(realtime: Realtime, channels, data, **options) -> list[tuple[str, dict[str, Any]]]:
    """Emit in a transaction; returns key and payload of what is stored."""
    with realtime.database.scope():
        realtime.database.transact(lambda _: realtime.emit(channels, data, **options))
        stored = Outbox(realtime.database).list(None, 100)
        return [(each.key or "", each.payload) for each in stored]


@pytest.mark.speaks_sql
def test_the_largest_publication_is_stored_in_batches_of_channels(realtime):
    data = "\x01" * (MAX_DATA // 6 - 1)  # six bytes each, in JSON
    names = [f"room:{number:0250}" for number in range(MAX_CHANNELS)]

    stored = emit(realtime, names, data, key="room")

    assert [len(each["channels"]) for _, each in stored] == [BATCH] * (MAX_CHANNELS // BATCH)
    assert {each["data"] for _, each in stored} == {data}
    assert len({each["id"] for _, each in stored}) == len(stored)
    assert {key for key, _ in stored} == {"room"}


NESTED: list[Any] = reduce(lambda inner, _: [inner], range(100_000), [])
"""Deeper than anything that writes or reads JSON goes."""


@pytest.mark.parametrize("data", [{1, 2}, float("nan"), "x" * MAX_DATA, "\ud800", NESTED])
def test_what_is_no_publication_is_refused(realtime, data):
    with pytest.raises(InvalidPublication):
        realtime.publish("room:7", data)
    with pytest.raises(InvalidPublication):
        emit(realtime, "room:7", data)


@pytest.mark.parametrize("name", ["room", "nothing:7", "room:a b", "user:7"])
def test_what_is_no_channel_is_refused(realtime, name):
    for call in (realtime.presence, lambda each: realtime.history(each, 1)):
        with pytest.raises(InvalidChannel):
            call(name)
    with pytest.raises(InvalidChannel):
        emit(realtime, ["room:7", name], 1)


def test_more_channels_at_once_are_refused(realtime):
    with pytest.raises(InvalidChannel, match="500"):
        emit(realtime, [f"room:{number}" for number in range(MAX_CHANNELS + 1)], 1)


def test_it_is_emitted_in_a_transaction_alone(realtime):
    with realtime.database.scope(), pytest.raises(StrongbackError, match="transaction"):
        realtime.emit("room:7", 1)


def test_a_publication_at_once_may_be_lost_and_says_so(database, channels):
    away = CentrifugoBroker(f"http://127.0.0.1:{free_port()}", "key")
    assert Realtime(database, Outbox(database), channels, away).publish("room:7", 1) is False


class TestConsumer:
    """What was emitted is published once, however often it is delivered."""

    def publish(self, broker, *messages) -> None:
        group = realtime_tasks(broker)
        function = next(each.function for each in group.declarations if "publish" in each.name)
        function(TaskContext("realtime:publish"), list(messages))

    def test_a_redelivery_is_left_out(self, channels):
        broker = LocalBroker(channels)
        message = {"channels": ["room:7"], "data": {"a": 1}, "id": "one"}
        self.publish(broker, message)
        self.publish(broker, message, message | {"id": "two"})
        assert broker.history("room:7", 10).top.offset == 2

    def test_a_broker_that_is_away_is_tried_again(self):
        away = CentrifugoBroker(f"http://127.0.0.1:{free_port()}", "key")
        with pytest.raises(BrokerUnavailable):
            self.publish(away, {"channels": ["room:7"], "data": 1, "id": "one"})

    def test_what_can_never_be_published_is_given_up(self, channels):
        with pytest.raises(PermanentFailure):
            self.publish(
                LocalBroker(channels), {"channels": ["room:7"], "data": "x" * 20_000, "id": "one"}
            )

    def test_it_is_tried_for_a_day_at_two_seconds_at_most(self, channels):
        for task in realtime_tasks(LocalBroker(channels)).declarations:
            assert task.max_backoff == timedelta(seconds=2)
            assert task.max_attempts * task.max_backoff > timedelta(days=1)
