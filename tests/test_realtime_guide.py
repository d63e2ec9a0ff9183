"""The guide to realtime begins with code that works."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from app.core.config import ROOT
from strongback.auth.principal import Principal
from strongback.database import Database, transactional
from strongback.realtime import Channels, Grant, History, Realtime
from tests.support.javascript import MODULES, node
from tests.support.nginx import run_server
from tests.support.sdk import Live, Watcher, connected, living
from tests.support.thread import run_async

NAMES = (Principal, transactional, Channels, Grant, History, timedelta)
"""What the example takes for granted."""
GUIDES = [ROOT / "docs" / "guide" / name for name in ("realtime.md", "realtime.zh.md")]
PRELUDE = """
import { Centrifuge, UnauthorizedError } from 'centrifuge';
import WebSocket from 'ws';
Centrifuge.UnauthorizedError = UnauthorizedError;  // as the file for browsers has it
globalThis.WebSocket = WebSocket;
const [base, authorization] = process.argv.slice(2);
const headers = { authorization };
const asked = globalThis.fetch;
const fetch = (path, options) => asked(base + path, options);
const show = (text) => { console.log(text); process.exit(); };
const reload = () => process.exit(1);
"""


def examples(kind: str) -> str:
    """The first example of a language, which is the same in each guide."""
    found = {
        re.search(rf"```{kind}\n(.*?)```", guide.read_text(), re.DOTALL)[1]  # type: ignore[index]  # it begins with one
        for guide in GUIDES
    }
    assert len(found) == 1
    return found.pop()


@dataclass
class Talk:
    """The service of the guide's first example."""

    live: Live
    say: Callable[..., None]

    @property
    def database(self) -> Database:
        return self.live.app.database

    @property
    def realtime(self) -> Realtime:
        return self.live.realtime

    @property
    def lines(self) -> set[tuple[int, str]]:
        """Where it stores what is said."""
        return _Lines()

    def speak(self, number: int, text: str) -> None:
        with self.database.scope():
            self.say(self, number, text)


class _Lines(set[tuple[int, str]]):
    def add(self, *line: Any) -> None:
        super().add(line)


@pytest.fixture
def talk(settings) -> Iterator[Talk]:
    """The application of the guide."""
    scope: dict[str, Any] = {each.__name__: each for each in NAMES}
    exec(examples("python"), scope)  # noqa: S102  our own
    with living(settings, scope["rooms"]) as live:
        live.user_id = live.account("carol")
        yield Talk(live, scope["say"])


def test_the_python_publishes(talk):
    live = talk.live
    connection = live.connection(live.headers(live.user_id))

    async def scenario() -> None:
        async with connected(connection) as (client, _):
            room = Watcher()
            await client.new_subscription("room:7", events=room).subscribe()
            await room.next("subscribed")
            await asyncio.to_thread(talk.speak, 7, "hello")
            assert (await room.next("publication")).pub.data == {"text": "hello"}

    run_async(scenario())


@pytest.mark.usefixtures("starts_processes")
def test_the_javascript_shows_it(talk, tmp_path):
    live = talk.live
    script = tmp_path / "example.mjs"
    script.write_text(PRELUDE + examples("js"))
    (tmp_path / "node_modules").symlink_to(MODULES / "node_modules")
    authorization = live.headers(live.user_id)["Authorization"]
    with run_server(live.app) as port:
        command = [node(), script, f"http://127.0.0.1:{port}", authorization]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            while not live.realtime.presence("room:7"):
                assert process.poll() is None
                time.sleep(0.02)
            talk.speak(7, "hello")
            shown, _ = process.communicate(timeout=60)
    assert shown == "hello\n"
