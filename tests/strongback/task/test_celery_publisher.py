from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from strongback.outbox import Batch, PublishFailed
from strongback.task.celery_app import build_celery
from strongback.task.celery_publisher import CeleryPublisher
from strongback.testing.redis import RedisServer
from tests.support.worker import WorkerHarness

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

QUICK = 4
"""Seconds: the promise is about one, a busy machine takes longer, and kombu by itself 4.3 or 45."""


@pytest.fixture
def runs() -> list[str]:
    """The broker's runs that were noticed."""
    return []


@pytest.fixture
def publisher(workers: WorkerHarness, runs: list[str]) -> Iterator[CeleryPublisher]:
    publisher = CeleryPublisher(build_celery(workers.dispatcher.runtime), runs.append)
    yield publisher
    publisher.close()


def batches(*numbers: int) -> list[Batch]:
    return [Batch("test:note", [number], None) for number in numbers]


def queued(server: RedisServer, queue: str = "default") -> int:
    with redis.Redis.from_url(server.url) as client:
        length: int = client.llen(queue)
        return length


def test_messages_go_into_the_queue_of_their_task(publisher, redis_server):
    publisher.publish(batches(1))
    publisher.publish_periodic("test:tick", expires=10)
    assert (queued(redis_server), queued(redis_server, "low")) == (1, 1)


def test_a_broker_that_is_gone_is_given_up_at_once(publisher, redis_server):
    publisher.publish(batches(1))
    redis_server.kill()
    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(PublishFailed, match="does not answer"):
            publisher.publish(batches(2))
        assert time.monotonic() - started < QUICK


def test_a_broker_that_hangs_is_given_up_within_a_second(publisher, redis_server):
    publisher.publish(batches(1))
    with redis_server.frozen():
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(PublishFailed):
                publisher.publish(batches(2))
            assert time.monotonic() - started < QUICK


def test_a_broker_that_has_returned_is_used_again(publisher, redis_server):
    with redis_server.frozen(), pytest.raises(PublishFailed):
        publisher.publish(batches(1))
    publisher.publish(batches(2))
    assert queued(redis_server) >= 1


def test_a_broker_that_was_started_anew_has_another_run(publisher, runs, redis_server):
    publisher.publish(batches(1))
    redis_server.kill()
    redis_server.start()
    publisher.publish(batches(2))
    publisher.publish(batches(3))
    assert len(runs) == len(set(runs)) == 2


def test_another_connection_finds_the_same_run(publisher, runs):
    publisher.publish(batches(1))
    publisher.close()
    publisher.publish(batches(2))
    assert len(runs) == 1
