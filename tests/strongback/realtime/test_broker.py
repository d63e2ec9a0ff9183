from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from strongback.realtime.broker import BrokerUnavailable
from strongback.realtime.local_broker import SWEEP, LocalBroker
from strongback.realtime.message import ClientInfo
from strongback.realtime.redis_broker import RedisBroker
from strongback.redis import RedisClient, connect
from strongback.testing.redis import RedisServer
from tests.support.broker_contract import (
    Inbox,
    ServerBrokerContract,
    contract_registry,
    eventually,
    kept,
)

__all__ = ["kept"]


class TestLocalBroker(ServerBrokerContract):
    @pytest.fixture
    def broker(self) -> LocalBroker:
        return LocalBroker(contract_registry())

    def test_what_nobody_uses_is_forgotten(self) -> None:
        now = [0.0]
        broker = LocalBroker(contract_registry(), clock=lambda: now[0])
        broker.publish(["kept:1"], b"1", idempotency_key="a")
        epoch = broker.history("kept:1", 0).top.epoch

        now[0] += 6 * 60
        broker.publish(["kept:2"], b"1", idempotency_key="a")
        assert broker.history("kept:1", 0).top.epoch == epoch
        broker.publish(["kept:1"], b"1", idempotency_key="a")
        assert broker.history("kept:1", 0).top.offset == 2

        now[0] += 24 * 3600 + SWEEP
        broker.publish(["kept:2"], b"1")
        assert broker.history("kept:1", 0).top.epoch != epoch


class TestRedisBroker(ServerBrokerContract):
    @pytest.fixture
    def client(self, redis_server: RedisServer) -> Iterator[RedisClient]:
        client = RedisClient(connect(redis_server.url))
        yield client
        client.close()

    @pytest.fixture
    def broker(self, client: RedisClient) -> Iterator[RedisBroker]:
        broker = RedisBroker(client, contract_registry())
        yield broker
        broker.close()

    def test_everything_has_an_end(self, broker: RedisBroker, redis_server: RedisServer) -> None:
        broker.publish(["kept:1"], b"1", idempotency_key="a")
        broker.add_presence({"kept:1": [ClientInfo("7", "a")]})

        assert {name: ttl > 0 for name, ttl in redis_server.lifetimes()} == {
            "realtime:expiry:kept:1": True,
            "realtime:meta:kept:1": True,
            "realtime:once:kept:1:a": True,
            "realtime:present:kept:1": True,
            "realtime:stream:kept:1": True,
        }

    def test_who_was_not_renewed_is_no_longer_present(
        self, broker: RedisBroker, client: RedisClient
    ) -> None:
        broker.add_presence({"kept:1": [ClientInfo("7", "dead"), ClientInfo("8", "alive")]})
        client.call(lambda redis: redis.zadd("realtime:expiry:kept:1", {"dead": time.time() - 1}))

        assert list(broker.presence("kept:1")) == ["alive"]

    def test_after_a_cut_the_server_is_told_of_the_gap(
        self, broker: RedisBroker, redis_server: RedisServer
    ) -> None:
        inbox = Inbox()
        broker.listen(inbox)
        assert eventually(lambda: inbox.gaps == 1)

        redis_server.kill()
        assert eventually(lambda: not broker.is_listening())
        with pytest.raises(BrokerUnavailable):
            broker.publish(["kept:1"], b"1")
        redis_server.start()

        assert eventually(lambda: inbox.gaps == 2)

    def test_an_offset_beyond_all_does_no_harm(
        self, broker: RedisBroker, client: RedisClient
    ) -> None:
        for reverse in (False, True):
            for offset in (0, 2**63, 2**64 - 1):
                top = broker.history("kept:1", 0).top
                start = type(top)(top.epoch, offset)
                assert not broker.history("kept:1", 10, start, reverse=reverse).publications
        assert client.is_available
