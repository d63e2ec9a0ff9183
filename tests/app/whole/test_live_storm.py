"""Everybody is cut off at once, and comes back, while others use the API."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.live import LiveServer, serving
from tests.support.realtime_recovery import Cutter
from tests.support.sdk import PATIENCE, Person
from tests.support.thread import run_async

APPLICATION = "tests.support.browser_app:create_app"
PER_PERSON = 20
"""Connections that an account may have."""


@dataclass
class Guest:
    """A connection that comes back as the SDKs do: with its token and position, after a while."""

    url: str
    token: str
    channel: str
    position: dict[str, Any] = field(default_factory=dict)
    shown: list[Any] = field(default_factory=list)
    recovered: list[bool] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def stay(self) -> None:
        """Connect again and again."""
        while True:
            try:
                async with connect(self.url, compression=None, open_timeout=PATIENCE) as socket:
                    await self._enter(socket)
                    async for text in socket:
                        await self._take(socket, str(text))
            except (ConnectionClosed, OSError):
                await asyncio.sleep(random.uniform(0.5, 1))

    async def _enter(self, socket: ClientConnection) -> None:
        subs = {self.channel: {"recover": True, **self.position}} if self.position else {}
        command = {"id": 1, "connect": {"token": self.token, "subs": subs}}
        await socket.send(json.dumps(command))

    async def _take(self, socket: ClientConnection, text: str) -> None:
        for line in text.splitlines():
            reply = json.loads(line)
            if not reply:
                await socket.send("{}")
            elif "connect" in reply:
                self._note_subscription(reply["connect"]["subs"][self.channel])
            elif "pub" in reply.get("push", {}):
                self._note(reply["push"]["pub"])
        self.changed.set()

    def _note_subscription(self, found: dict[str, Any]) -> None:
        self.recovered.append(found.get("recovered", False))
        for publication in found.get("publications", ()):
            self._note(publication)
        self.position = {"epoch": found["epoch"], "offset": found.get("offset", 0)} | (
            {"offset": self.position["offset"]} if found.get("publications") else {}
        )

    def _note(self, publication: dict[str, Any]) -> None:
        self.position = self.position | {"offset": publication["offset"]}
        if isinstance(publication["data"], int):  # not what the application itself publishes
            self.shown.append(publication["data"])

    async def until(self, condition: Any) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE * 3):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


async def ask(server: LiveServer, seconds: list[float], stop: asyncio.Event) -> None:
    """Use the API until told to stop, and note how long each response takes."""
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as http:
        while not stop.is_set():
            began = time.monotonic()
            response = await http.get("/api/v1/articles")
            seconds.append(time.monotonic() - began)
            assert response.status_code == 200
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("starts_processes")
def test_all_come_back_at_once_and_miss_nothing(is_long, tmp_path, capsys):
    """Prints how long it takes; nobody asks for a token again."""
    count = 1000 if is_long else 100
    with serving(tmp_path, application=APPLICATION, WEB_RATE_LIMITS="false") as server:
        people = [Person(server.url, f"guest{number}") for number in range(count // PER_PERSON)]
        connections = [person.connection() for person in people]

        def publish(number: int) -> None:
            for person in people:
                httpx.get(f"{server.url}/probe/{person.id}/{number}").raise_for_status()

        async def scenario() -> tuple[float, list[float]]:
            async with Cutter(server.port) as cutter:
                guests = [
                    Guest(
                        cutter.url,
                        connection["token"],
                        f"user:#{person.id}",
                    )
                    for person, connection in zip(people, connections, strict=True)
                    for _ in range(PER_PERSON)
                ]
                tasks = [asyncio.create_task(guest.stay()) for guest in guests]
                await asyncio.gather(
                    *(guest.until(lambda each: each.recovered) for guest in guests)
                )
                took: list[float] = []
                stop = asyncio.Event()
                asking = asyncio.create_task(ask(server, took, stop))
                began = time.monotonic()
                cutter.cut()
                await asyncio.to_thread(publish, 1)
                await asyncio.gather(*(guest.until(lambda each: each.shown) for guest in guests))
                seconds = time.monotonic() - began
                stop.set()
                await asking
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert all(guest.shown == [1] for guest in guests)
            assert all(guest.recovered[1:] == [True] for guest in guests)
            return seconds, sorted(took)

        seconds, took = run_async(scenario())
        asked = server.log.read_text().count('"route":"/api/v1/realtime/token"')
    assert asked == len(people)
    p99 = took[int(len(took) * 0.99)] * 1000
    with capsys.disabled():
        sys.stdout.write(f"\n{count} connections back in {seconds:.1f} s, API p99 {p99:.0f} ms\n")
