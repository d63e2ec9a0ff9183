"""The official Python SDK as a client of tests, and an application in this process for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from centrifuge import (
    Client,
    ClientEventHandler,
    SubscriptionEventHandler,
)

from app.core.config import Settings
from app.core.permission import Role
from app.main import create_app
from app.user.service import UserService
from strongback.app import Strongback
from strongback.auth.principal import Principal
from strongback.config import WebServer
from strongback.realtime import Channels, Realtime
from strongback.testing import empty
from strongback.testing.port import free_port
from strongback.testing.sign_in import access_token

PASSWORD = "correct horse battery staple"
API = "/api/v1"
PATIENCE = 20
"""Seconds in which what is waited for must come; a busy machine is no failure."""


@dataclass
class Live:
    """An application whose realtime server listens on a port of its own."""

    app: Strongback
    user_id: int = 0

    @property
    def realtime(self) -> Realtime:
        return self.app.services[Realtime]

    def account(self, name: str, *roles: Role) -> int:
        """Make an account; return its id."""
        with self.app.database.scope():
            user = self.app.services[UserService].create(name, None, list(roles) or [Role.USER])
            return user.id

    def headers(self, user_id: int) -> dict[str, str]:
        """Sign in; return the headers that requests need."""
        return {"Authorization": f"Bearer {access_token(self.app, user_id)}"}

    def connection(self, headers: dict[str, str]) -> dict[str, str]:
        """Ask for a token, and where to connect with it."""
        response = self.app.test_client().post("/api/v1/realtime/token", headers=headers)
        assert response.status_code == 200, response.get_data(as_text=True)
        connection: dict[str, str] = response.get_json()
        return connection

    def principal(self, headers: dict[str, str]) -> Principal:
        """Who sends requests with these headers."""
        principal: Principal = self.app.extensions["authenticate"](headers["Authorization"])
        return principal

    def emit(self, channel: str, data: Any) -> None:
        """Emit in a transaction of its own."""
        with self.app.database.scope():
            self.app.database.transact(lambda _: self.realtime.emit(channel, data))


@contextmanager
def living(settings: Settings, *channels: Channels, **changes: Any) -> Iterator[Live]:
    """Run an application with these channels, its background parts included."""
    given = {"web_server": WebServer.GRANIAN, "ws_port": free_port()}
    app = create_app(settings.model_copy(update=given | changes))
    for each in channels:
        app.services[Realtime].add(each)
    empty(app.database)
    app.background.start()
    try:
        yield Live(app)
    finally:
        app.background.stop()
        app.close()


class Person:
    """An account that signs in and asks for tokens over HTTP."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self.headers: dict[str, str] = {}
        new = {"username": name, "password": PASSWORD}
        self.id = self._post("/users", json=new)["id"]
        self.sign_in()

    def sign_in(self) -> None:
        form = {"grant_type": "password", "username": self._name, "password": PASSWORD}
        tokens = self._post("/auth/token", data=form | {"client_id": "strongback"})
        self.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def connection(self) -> dict[str, str]:
        connection: dict[str, str] = self._post("/realtime/token")
        return connection

    def _post(self, path: str, **options: Any) -> Any:
        address = f"{self._url}{API}{path}"
        response = httpx.post(address, headers=self.headers, timeout=PATIENCE, **options)
        return response.raise_for_status().json()


class Watcher(ClientEventHandler, SubscriptionEventHandler):  # type: ignore[misc]  # it has no types
    """Notes what the SDK reports, in the order in which it comes."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            return _noting(self.events, name.removeprefix("on_"))
        return super().__getattribute__(name)

    async def next(self, *names: str) -> Any:
        """Wait for one of these events; the others are passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                name, context = await self.events.get()
                if name in names:
                    return context

    async def published(self, data: Any) -> None:
        """Wait until this is published; what the application itself publishes is passed over."""
        while value((await self.next("publication")).pub.data) != data:
            pass


def _noting(events: asyncio.Queue[tuple[str, Any]], name: str) -> Callable[[Any], Awaitable[None]]:
    async def note(context: Any) -> None:
        events.put_nowait((name, context))

    return note


@asynccontextmanager
async def connected(
    connection: dict[str, str],
    get_token: Callable[[], str] | None = None,
    *,
    is_binary: bool = False,
    until: str = "connected",
) -> AsyncIterator[tuple[Client, Watcher]]:
    """Connect, wait for an event, and disconnect in the end."""
    watcher = Watcher()

    async def token() -> str:
        return await asyncio.to_thread(get_token) if get_token else connection["token"]

    client = Client(
        connection["url"],
        token=connection["token"],
        get_token=token,
        events=watcher,
        use_protobuf=is_binary,
        min_reconnect_delay=0.05,
        max_reconnect_delay=0.2,
    )
    before = asyncio.all_tasks()
    await client.connect()
    try:
        await watcher.next(until)
        yield client, watcher
    finally:
        await client.disconnect()
        if late := asyncio.all_tasks() - before:  # it closes its connection in the background
            await asyncio.wait(late, timeout=2)


def value(data: Any) -> Any:
    """What was published; with Protobuf the SDK gives the bytes of the JSON."""
    return json.loads(data) if isinstance(data, bytes) else data
