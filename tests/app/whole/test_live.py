"""Live messages of the whole application, in servers of their own: every way to run them."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from app.core.config import load_settings
from app.main import create_app
from strongback.app import Strongback
from strongback.auth.session_service import SessionService
from strongback.realtime import Realtime
from strongback.testing.port import free_port
from tests.live import serving
from tests.support.front import run_front
from tests.support.process import long_only, start_module
from tests.support.sdk import Person, Watcher, connected
from tests.support.thread import run_async

DEADLINE = 60


@contextmanager
def application(folder: Path, **settings: str) -> Iterator[Strongback]:
    """The application once more, beside the servers' processes, as a command is."""
    app = create_app(load_settings(app_env="test", app_var_dir=folder, **settings))
    with closing(app), app.database.scope():
        yield app


def emit(folder: Path, user: int, text: str, **settings: str) -> None:
    with application(folder, **settings) as app:
        live = app.services[Realtime]
        app.database.transact(lambda _: live.emit(live.personal(user), text))


def revoke(folder: Path, user: int) -> None:
    with application(folder) as app:
        app.services[SessionService].revoke_all(user)


WORKER = ("celery", "-A", "app.worker", "worker", "--pool", "threads", "--concurrency", "4")


@contextmanager
def running(folder: Path, *arguments: str, **variables: str) -> Iterator[BaseProcess]:
    """Run `python -m …` until the block ends."""
    environment = os.environ | {"APP_ENV": "test", "APP_VAR_DIR": str(folder)} | variables
    log = folder / f"{arguments[0]}-{variables.get('WS_PORT')}.log"
    process = start_module(arguments, environment, log)
    try:
        yield process
    finally:
        process.terminate()
        process.join(DEADLINE)
        assert process.exitcode is not None, f"it still runs: {log.read_text()}"


@contextmanager
def own_process(folder: Path, port: int, **variables: str) -> Iterator[BaseProcess]:
    """Run `python -m app.realtime`, and wait until it listens."""
    with running(folder, "app.realtime", WS_PORT=str(port), **variables) as process:
        deadline = time.monotonic() + DEADLINE
        while not _listens(port):
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("server", ["gunicorn", "granian"])
@pytest.mark.usefixtures("starts_processes")
def test_the_web_server_serves_clients_by_itself(server, tmp_path):
    """A command's publication and revocation arrive; the stop is told to all at once."""
    port = free_port()
    with ExitStack() as stack:
        variables = {"WEB_SERVER": server, "WS_PORT": str(port)}
        live = stack.enter_context(serving(tmp_path, **variables))
        carol = Person(live.url, "carol")
        connection = carol.connection()
        expected = port if server == "granian" else live.port
        assert connection["url"] == f"ws://127.0.0.1:{expected}/connection/websocket"

        async def scenario() -> None:
            async with connected(connection) as (_, watcher):
                await asyncio.to_thread(emit, tmp_path, carol.id, "hello")
                await watcher.published("hello")
                await asyncio.to_thread(revoke, tmp_path, carol.id)
                assert (await watcher.next("disconnected")).code == 3503
            carol.sign_in()
            async with connected(carol.connection()) as (_, watcher):
                await asyncio.to_thread(stack.close)
                assert (await watcher.next("connecting")).code == 3001

        run_async(scenario())


async def published_or_told(watcher: Watcher, data: object) -> None:
    """Wait until the client has it, or knows that it may have missed something."""
    while True:
        context = await watcher.next("publication", "subscribed")
        if getattr(context, "was_recovering", False) and not context.recovered:
            return
        if hasattr(context, "pub") and context.pub.data == data:
            return


def test_processes_of_their_own_serve_clients_on_redis(nginx, tmp_path, redis_server):
    """Redis is taken away meanwhile, with its data: what was emitted waits for it."""
    shared = {"REDIS_URL": redis_server.url, "CELERY_BROKER_URL": ""}
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        live = stack.enter_context(serving(tmp_path, **shared))
        stack.enter_context(running(tmp_path, *WORKER, **shared))
        first, second = (
            stack.enter_context(own_process(tmp_path, port, **shared)) for port in ports
        )
        carol = Person(live.url, "carol")
        through = stack.enter_context(
            run_front([live.port], NGINX_REALTIME=f"127.0.0.1:{ports[0]}")
        )
        connection = carol.connection()
        connections = [
            connection | {"url": f"ws://127.0.0.1:{port}/connection/websocket"}
            for port in (through.port, ports[1])
        ]

        async def scenario() -> None:
            async with (
                connected(connections[0]) as (_, one),
                connected(connections[1]) as (_, two),
            ):
                await asyncio.to_thread(
                    emit, tmp_path, carol.id, "hello", redis_url=redis_server.url
                )
                for watcher in (one, two):
                    await watcher.published("hello")
                redis_server.kill()
                await asyncio.to_thread(
                    emit, tmp_path, carol.id, "waits", redis_url=redis_server.url
                )
                redis_server.start()
                for watcher in (one, two):
                    await published_or_told(watcher, "waits")
                first.terminate()
                assert (await one.next("connecting")).code == 3001
                await asyncio.to_thread(first.join, DEADLINE)
                assert first.exitcode == 0
            assert second.is_alive()

        run_async(scenario())


# That either server ends with one line, whatever is refused, is asked in `test_serve`.
@pytest.mark.parametrize("server", ["gunicorn", *long_only("granian")])
@pytest.mark.usefixtures("starts_processes")
def test_several_workers_without_redis_are_refused_at_start(server, tmp_path):
    variables = {
        "APP_ENV": "test",
        "APP_VAR_DIR": str(tmp_path),
        "WEB_PORT": str(free_port()),
        "WEB_WORKERS": "2",
        "WEB_SERVER": server,
    }
    log = tmp_path / "server.log"
    arguments = ["strongback.server.serve", "app.main:create_app"]
    process = start_module(arguments, os.environ | variables, log)
    process.join(120)
    assert process.exitcode
    said = log.read_text()
    assert "set REDIS_URL or CENTRIFUGO_URL, or WEB_WORKERS=1" in said
    assert "Traceback" not in said
    assert said.count("Error: ") == 1
