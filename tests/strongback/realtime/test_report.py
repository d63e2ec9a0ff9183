"""What the servers do, told to operators."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from strongback.realtime.report import KEY, STALE, Report
from strongback.redis import RedisClient, connect
from tests.support.nginx import run_server
from tests.support.sdk import connected, living
from tests.support.thread import run_async


def test_metrics_readiness_and_the_command_tell_the_same(settings):
    with living(settings) as live, run_server(live.app) as port:
        connection = live.connection(live.headers(live.account("carol")))
        named = settings.model_copy(update={"web_port": port})
        client = live.app.test_client()

        async def scenario() -> None:
            async with connected(connection):
                metrics = await asyncio.to_thread(lambda: client.get("/metrics").text)
                assert "realtime_connections 1.0" in metrics
                assert "realtime_subscriptions 1.0" in metrics
                ready = await asyncio.to_thread(lambda: client.get("/readyz").get_json())
                assert ready["services"]["realtime"]["figures"]["connections"] == 1

                def ask() -> str:
                    live.app.settings = named
                    return live.app.test_cli_runner().invoke(args=["realtime", "info"]).output

                shown = [line.split()[:3] for line in (await asyncio.to_thread(ask)).splitlines()]
                # The server of this test writes its access log between the lines.
                assert ["process", "connections", "channels"] in shown
                assert [f"http://127.0.0.1:{port}", "1", "1"] in shown

        run_async(scenario())


def test_without_a_server_the_command_says_so_in_one_line(settings):
    with living(settings) as live:
        result = live.app.test_cli_runner().invoke(args=["realtime", "info"])
    assert result.exit_code == 1
    assert "No server answers at http://127.0.0.1:" in result.output
    assert "Traceback" not in result.output


def test_the_configuration_of_a_real_one_is_printed(settings):
    with living(settings) as live:
        result = live.app.test_cli_runner().invoke(
            args=["realtime", "centrifugo", "--web", "http://web:8000"]
        )
    printed = json.loads(result.stdout)
    proxy = printed["channel"]["proxy"]["subscribe"]
    assert proxy["endpoint"] == "http://web:8000/api/v1/realtime/centrifugo/subscribe"
    assert {"task", "article", "operation", "user"} <= {
        each["name"] for each in printed["channel"]["namespaces"]
    }
    assert printed["http_api"]["key"] in result.stderr


@pytest.fixture
def redis(redis_server):
    client = RedisClient(connect(redis_server.url))
    yield client
    client.close()


def test_on_redis_there_is_a_row_for_each_process(redis):
    report = Report(redis, lambda: None)
    row = {"connections": 3, "channels": 2, "subscriptions": 4, "received": 1.5, "sent": 4.5}
    now = 4_000_000_000.0  # ahead of every clock
    for name, at in (("b:1", now), ("a:2", now), ("dead:3", time.time() - 2 * STALE)):
        redis.execute("HSET", KEY, name, json.dumps({"process": name, "at": at, **row}))

    assert [each.process for each in report.rows()] == ["a:2", "b:1"]
    assert report.figures()["connections"] == 6
    assert len(redis.execute("HVALS", KEY)) == 2, "the row of a process that has died is removed"
    redis.execute("HDEL", KEY, "a:2")
    assert [each.process for each in report.rows()] == ["b:1"]
