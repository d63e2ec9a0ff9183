"""What a deployment does to itself while people use it: nobody is to notice.

Nginx with our configuration, Gunicorn with ours, MariaDB and Redis; what is counted is every
request of clients that keep their connections open and send nothing twice.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongback.testing.mariadb import OwnMariaDB
from strongback.testing.redis import RedisServer
from tests.live import NO_SOCKETS, serving
from tests.strongback.server.test_serve import DEADLINE, Server, running, wait_until
from tests.support.front import run_front, slow_bodies
from tests.support.load import Answer, Ask, Client, Load, under_load

pytestmark = pytest.mark.usefixtures("nginx")
CLIENTS = 16
RATE = 50
HELD = 5
"""Seconds for which slow clients hold what they get, and would hold up the others."""
RECOVERY = 20
"""Seconds, on a machine that is busy with other tests; an idle one takes one or two."""
READ, WRITE = Ask("/"), Ask("/", "POST", b"x" * 1000)


@contextlib.contextmanager
def two_servers(folder: Path) -> Iterator[list[Server]]:
    """Two servers of two workers each, as two containers are."""
    with contextlib.ExitStack() as stack:
        servers = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            server = Server("gunicorn", folder / name)
            servers.append(stack.enter_context(start(server)))
        yield servers


@pytest.fixture(scope="module")
def pair(nginx: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two servers for all tests that leave them running."""
    with two_servers(tmp_path_factory.mktemp("pair")) as servers:
        yield servers


@pytest.fixture
def rate(is_long: bool) -> float | None:
    """The long form asks as fast as answers come, and keeps the machine busy with nothing else."""
    return None if is_long else 200


def start(server: Server, **variables: str) -> contextlib.AbstractContextManager[Server]:
    return running(server, WEB_WORKERS="2", SLOW_SECONDS="8", **variables)


def workers_started(server: Server) -> int:
    return server.log.count("Booting worker")


class TestReload:
    def test_hup_again_and_again_fails_no_request(self, pair, rate, is_long):
        with (
            run_front([server.port for server in pair]) as front,
            under_load(front.port, [READ, WRITE], clients=CLIENTS, rate=rate) as load,
        ):
            for _ in range(5 if is_long else 2):
                counts = [workers_started(server) + 2 for server in pair]
                for server in pair:
                    assert server.process is not None
                    server.process.send_signal(signal.SIGHUP)
                wait_until(
                    lambda counts=counts: all(  # type: ignore[misc]  # a default binds it
                        workers_started(server) >= count
                        for server, count in zip(pair, counts, strict=True)
                    ),
                    "the new workers' start",
                )
        assert set(load.statuses) == {200}
        assert len(load.answers) > 100

    def test_recycling_workers_fails_no_request(self, tmp_path):
        server = Server("gunicorn", tmp_path)
        with (
            start(server, WEB_MAX_REQUESTS="200"),
            run_front([server.port]) as front,
            under_load(front.port, [READ, WRITE], clients=CLIENTS) as load,
        ):
            wait_until(lambda: workers_started(server) >= 8, "the replacement of workers")
        assert set(load.statuses) == {200}


class TestRollingRestart:
    def test_stopping_one_after_the_other_fails_one_request_in_10_000_at_most(self, tmp_path, rate):
        """Each gets SIGTERM, as from `docker stop`, and is started anew; one request takes 8 s."""
        in_flight: list[Answer] = []
        with (
            two_servers(tmp_path) as pair,
            contextlib.ExitStack() as restarted,
            run_front([server.port for server in pair]) as front,
            under_load(front.port, [READ, WRITE], clients=CLIENTS, rate=rate) as load,
        ):
            client = Client(front.port)
            slow = threading.Thread(target=lambda: in_flight.append(client.send(Ask("/slow"))))
            slow.start()
            wait_until(
                lambda: any(server.slow_started.exists() for server in pair), "the slow request"
            )
            for server in pair:
                assert server.process is not None
                server.process.terminate()
                assert server.process.wait(DEADLINE) == 0
                restarted.enter_context(start(Server("gunicorn", server.folder, server.port)))
            slow.join()
            client.close()
        assert [answer.status for answer in in_flight] == [200]
        assert in_flight[0].seconds >= 8
        failed = len(load.answers) - load.statuses[200]
        assert failed <= math.ceil(len(load.answers) / 10_000)


USERS = Ask("/api/v1/users")


def check_documented(load: Load, *statuses: int) -> None:
    """See that every answer was one of these, and each error in the one shape."""
    assert set(load.statuses) <= {200, *statuses}, load.statuses
    for answer in load.answers:
        if answer.status != 200:
            assert json.loads(answer.body)["code"] == answer.status
            assert int(answer.headers["retry-after"]) >= 1


def is_good_since(load: Load, moment: float) -> bool:
    """Whether requests that were sent later than this have been answered, all of them well."""
    return any(answer.at > moment and answer.status == 200 for answer in load.answers)


class TestDatabaseRestart:
    def test_is_answered_with_503_and_over_within_seconds(self, own_mariadb: OwnMariaDB, tmp_path):
        variables = {"DATABASE_URL": own_mariadb.url, "WEB_PROXIES": "1"}
        variables |= NO_SOCKETS | {"WEB_WORKERS": "2"}
        with (
            serving(tmp_path, **variables) as server,
            run_front([server.port]) as front,
            under_load(front.port, [USERS], rate=RATE) as load,
        ):
            time.sleep(1)
            own_mariadb.stop()
            wait_until(lambda: load.statuses[503] >= RATE, "a second of refusals")
            own_mariadb.start()
            back = time.monotonic()
            wait_until(lambda: is_good_since(load, load.last_failure() + 2), "recovery")
        check_documented(load, 503)
        assert load.last_failure() - back < RECOVERY


class TestRedisRestart:
    def test_is_noticed_by_no_reader(self, redis_server: RedisServer, tmp_path):
        with (
            serving(tmp_path, REDIS_URL=redis_server.url, WEB_PROXIES="1") as server,
            run_front([server.port]) as front,
            under_load(front.port, [USERS], rate=RATE) as load,
        ):
            time.sleep(1)
            redis_server.kill()
            time.sleep(2)
            redis_server.start()
            time.sleep(2)
        assert set(load.statuses) == {200}


class TestSlowClients:
    def test_two_hundred_slow_bodies_do_not_hold_up_the_others(self, pair):
        with (
            run_front([server.port for server in pair]) as front,
            slow_bodies(front, 200),
            under_load(front.port, [READ], clients=4, rate=RATE) as load,
        ):
            time.sleep(HELD)
        assert set(load.statuses) == {200}
        assert load.percentile(0.99) < HELD / 2
