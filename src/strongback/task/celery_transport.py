"""How Celery talks to its broker: it gives up quickly, and comes back quickly.

By itself redis-py tries each command again for seconds, and kombu waits for up to half a minute
between two attempts to connect. Here a command fails within its socket's time-out, and a broker
that has returned is found within a second.
"""

from __future__ import annotations

from typing import Any

import kombu
from celery.app import amqp
from celery.worker import state
from kombu.transport import redis

from strongback.redis.client import no_retry

LONGEST_PAUSE = 1
"""Seconds between two attempts to connect."""


class QoS(redis.QoS):
    """Keeps account of what is delivered and not done."""

    def ack(self, delivery_tag: str) -> None:
        """Forget what is done; without effect once the connection is lost that it came by.

        By itself it would end the worker then. The message comes again after the visibility
        time-out, and is found to be done.
        """
        if not self.channel.closed:
            super().ack(delivery_tag)

    def reject(
        self, delivery_tag: str, requeue: bool = False  # noqa: FBT001, FBT002  kombu's signature
    ) -> None:
        """Give back what is not done; without effect under the same condition."""
        if not self.channel.closed:
            super().reject(delivery_tag, requeue)


class Channel(redis.Channel):
    """A channel whose commands are not tried again behind the caller's back."""

    QoS = QoS
    supports_batch_publish = True
    """kombu sends none where redis-py might do so again. Here it does not, and it would do no harm:
    a message that comes twice is done once."""
    connects = 0
    """How often a socket was opened: each time another server may be at its end."""

    @property
    def do_restore(self) -> bool:  # type: ignore[override]  # kombu only reads it
        """Whether what is not done goes back into the queue when the channel closes.

        When the worker stops: another one takes it. When the connection is lost the tasks run on,
        and a second worker must not begin them meanwhile; should this one die as well, they come
        back after the visibility time-out.
        """
        return not {state.should_stop, state.should_terminate} <= {None, False}

    def _connparams(
        self, asynchronous: bool = False  # noqa: FBT001, FBT002  kombu's signature
    ) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]  # the stubs lack it
        return parameters | {"retry": no_retry(), "redis_connect_func": self._greet}

    def _greet(self, connection: Any) -> None:
        connection.on_connect()
        self.connects += 1


class Transport(redis.Transport):
    """Redis."""

    Channel = Channel


class Connection(kombu.Connection):
    """A connection that looks for a lost broker more often."""

    def get_transport_cls(self) -> Any:
        """Ours instead of kombu's."""
        transport = super().get_transport_cls()
        return Transport if transport is redis.Transport else transport

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Connect, however long it takes."""
        pauses = {"interval_start": 0, "interval_step": 0.5, "interval_max": LONGEST_PAUSE}
        return super().ensure_connection(*args, **(pauses | options))


class AMQP(amqp.AMQP):
    """Makes connections of ours."""

    Connection = Connection
