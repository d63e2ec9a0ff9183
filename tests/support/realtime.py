"""Realtime servers of tests: tokens and channels as the official SDK's own suite wants them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from strongback.realtime.broker import ServerBroker
from strongback.realtime.channel import ChannelRegistry, Channels, Grant, History
from strongback.realtime.local_broker import LocalBroker
from strongback.realtime.message import (
    INVALID_TOKEN,
    TOKEN_EXPIRED,
    Disconnected,
    Identity,
    Refused,
)
from strongback.realtime.options import Options as ServerOptions
from strongback.realtime.redis_broker import RedisBroker
from strongback.realtime.server import RealtimeServer
from strongback.redis import connect
from strongback.testing.redis import PATIENCE

ROOT = Path(__file__).parents[2]
SECRET = b"secret"


MINUTES = timedelta(minutes=5)
FULL = Channels("full", history=History(100, MINUTES), presence=True, join_leave=True, publish=True)
SMALL = Channels("small", history=History(2, MINUTES), publish=True)
PLAIN = Channels("plain")


class SuiteChannels(ChannelRegistry):
    """The channels of the official suite: any name, and the namespace `smallhistory`."""

    def find(self, channel: str) -> Channels | None:
        """Return the options of a channel."""
        namespace, _, rest = channel.rpartition(":")
        if not rest:
            return None
        return {"smallhistory": SMALL, "plain": PLAIN, "": FULL}.get(namespace)


def sign(claims: dict[str, Any], secret: bytes = SECRET) -> str:
    """Return a token as the suite makes them."""
    parts = [_encode(json.dumps(each).encode()) for each in ({"alg": "HS256"}, claims)]
    signature = hmac.new(secret, ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _encode(signature)])


def read_token(token: str, now: float) -> dict[str, Any]:
    """Return the claims of a token; refuse it as a server has to."""
    try:
        head, claims, signature = token.split(".")
        expected = hmac.new(SECRET, f"{head}.{claims}".encode(), hashlib.sha256).digest()
        if _encode(expected) != signature:
            raise Disconnected(INVALID_TOKEN)
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=="))
    except ValueError as error:
        raise Disconnected(INVALID_TOKEN) from error
    if found.get("exp", now + 1) <= now:
        raise Refused(TOKEN_EXPIRED)
    return found


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Gate:
    """Decides about tokens and channels as the suite's Centrifugo does."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now

    def authenticate(self, token: str) -> Identity:
        """Return whose token it is, with the user's personal channel."""
        claims = read_token(token, self.now())
        user = int(claims["sub"])
        return Identity(
            user, claims.get("sid", ""), claims.get("exp"), claims.get("info"), (f"#{user}",)
        )

    def authorize(self, identity: Identity, channel: str, token: str) -> Grant | None:
        """Allow what a channel token allows; without one, what does not begin with `secret`."""
        if not token:
            return None if channel.startswith("secret") else Grant(data={"channel": channel})
        try:
            claims = read_token(token, self.now())
        except Disconnected:
            return None
        is_meant = (claims.get("channel"), claims.get("sub")) == (channel, str(identity.user_id))
        return Grant(expires_at=claims.get("exp")) if is_meant else None


def open_server(
    redis_url: str = "", *, options: ServerOptions | None = None, gate: Gate | None = None
) -> tuple[RealtimeServer, int]:
    """Start a server in this process, on Redis if there is an address; return it and its port."""
    channels = SuiteChannels()
    broker: ServerBroker = LocalBroker(channels)
    if redis_url:
        broker = RedisBroker(connect(redis_url, timeout=PATIENCE), channels)
    gate = gate or Gate(time.time)
    server = RealtimeServer(broker, channels, gate.authenticate, gate.authorize, options)
    server.start()
    return server, server.listen("127.0.0.1", 0)


@contextmanager
def run_server_process(redis_url: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server as a process of its own; yield it and its port."""
    command = [sys.executable, "-m", "tests.support.realtime_server", *filter(None, [redis_url])]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
