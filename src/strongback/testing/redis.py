"""A Redis server of the tests' own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from strongback.redis import client as redis_client
from strongback.testing.mariadb import SEARCH_PATH
from strongback.testing.port import free_port

START_TIMEOUT = 60
PATIENCE = 1.0
"""Seconds for an answer, in the tests' own process: a request's tenths of one are too short for a
machine that is busy with other tests."""


def find_redis() -> str | None:
    """Return the server's binary, or `None` where it is not installed."""
    return shutil.which("redis-server", path=SEARCH_PATH)


class RedisServer:
    """A server on a private port, and means to trouble it."""

    def __init__(self, folder: Path, *options: str, password: str = "") -> None:
        self.folder = folder
        self.options = options
        self.password = password
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of its first database."""
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        binary = find_redis()
        assert binary is not None
        password = ["--requirepass", self.password] if self.password else []
        options = [*password, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command = [binary, *options, *self.options, "--dir", str(self.folder)]
        with (self.folder / "redis.log").open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        self._wait()

    def kill(self) -> None:
        """End it at once: its sockets are closed and its data are gone."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process in mid-air: its sockets stay open and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # its threads stop one after the other
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def lifetimes(self) -> list[tuple[str, int]]:
        """The name of everything that it holds, and the seconds for which it does."""
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            return sorted((key, client.ttl(key)) for key in client.scan_iter())

    def flush(self) -> None:
        """Forget everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    if time.monotonic() > deadline:
                        log = (self.folder / "redis.log").read_text()
                        raise RuntimeError(f"Redis did not start:\n{log}") from None
                    time.sleep(0.01)
                else:
                    return


@pytest.fixture(scope="session")
def starts_redis(starts_processes: None) -> None:
    """Let the test start a Redis of its own by `run_redis`, where it is installed."""
    if find_redis() is None:
        pytest.skip("redis-server is not installed: the Redis half of this test did not run")


@pytest.fixture(scope="session")
def running_redis(
    starts_redis: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server of this test process, started once a test asks for it."""
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(running_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """A running server, empty, whatever the test before has done to it."""
    monkeypatch.setattr(redis_client, "TIMEOUT", PATIENCE)
    if running_redis.process is None:
        running_redis.start()
    running_redis.flush()
    return running_redis


@contextmanager
def run_redis(folder: Path, *options: str, password: str = "") -> Iterator[RedisServer]:
    """Start a server, and stop it by its own id."""
    server = RedisServer(folder, *options, password=password)
    server.start()
    try:
        yield server
    finally:
        server.kill()
