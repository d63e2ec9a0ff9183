"""Listens to channels of Redis in a thread, and reports gaps in which messages may be missed.

Pub/sub keeps no messages, so a listener that reconnects has a gap behind it; its user decides what
follows from that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from redis import RedisError

from strongback.log.setup import get_logger
from strongback.redis.client import RedisClient

log = get_logger(__name__)

RETRY = 0.2
"""Seconds between attempts to connect."""
SILENCE = 1.0
"""Seconds without a message after which the server is pinged; if it does not answer for as long
again, the connection counts as cut."""


class RedisListener:
    """One subscription of this process.

    Args:
        on_message: Called with each message, in the listener's thread.
        on_open: Called whenever listening begins, the first time too: earlier messages are missed.
        on_tick: Called after each message and at least once in `SILENCE` while it is open.
    """

    def __init__(
        self,
        client: RedisClient,
        channels: Sequence[str],
        *,
        on_message: Callable[[bytes], None],
        on_open: Callable[[], None],
        on_tick: Callable[[], object] = lambda: None,
    ) -> None:
        self._client = client
        self._channels = channels
        self._on_message, self._on_open, self._on_tick = on_message, on_open, on_tick
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self.opened = threading.Event()
        """Set while it listens."""

    def start(self) -> bool:
        """Start listening, also in a forked child; tell whether that was not done before."""
        if self._thread is not None and self._thread.is_alive():
            return False
        with self._start_lock:
            if self._closed.is_set() or (self._thread is not None and self._thread.is_alive()):
                return False
            self._thread = threading.Thread(target=self._run, name="redis-listener", daemon=True)
            self._thread.start()
            return True

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(SILENCE)

    def forget_parent(self) -> None:
        """Forget the thread and the state of a parent process."""
        self._thread = None
        self._start_lock = threading.Lock()
        self.opened = threading.Event()

    def _run(self) -> None:
        while not self._closed.is_set():
            subscription: Any = self._client.server.pubsub()  # type: ignore[no-untyped-call]  # redis-py
            try:
                self._listen(subscription)
            except (RedisError, OSError) as error:
                if self.opened.is_set():
                    log.warning("redis_channel_cut", error=type(error).__name__)
            finally:
                self.opened.clear()
                with suppress(RedisError, OSError):
                    subscription.close()
            self._closed.wait(RETRY)

    def _listen(self, subscription: Any) -> None:  # noqa: ANN401  redis-py's PubSub
        subscription.subscribe(*self._channels)
        heard, asked = time.monotonic(), False
        while not self._closed.is_set():
            message = subscription.get_message(timeout=SILENCE / 4)
            now = time.monotonic()
            if message is not None:
                heard, asked = now, False
                self._take(message)
            elif now - heard > 2 * SILENCE:
                raise RedisError("no sign of life")
            elif now - heard > SILENCE and not asked:
                subscription.ping()
                asked = True
            if self.opened.is_set():
                self._on_tick()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            self._on_message(message["data"])
        elif message["type"] == "subscribe" and message["data"] == len(self._channels):
            self._on_open()
            self.opened.set()
