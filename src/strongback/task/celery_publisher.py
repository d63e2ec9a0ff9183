"""Gives outbox messages to Celery's broker, and gives up quickly when it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kombu import Connection, Producer
from kombu.exceptions import KombuError

from strongback.outbox import Batch, PublishFailed
from strongback.task.celery_app import TaskCelery

TIMEOUT = 0.3
"""Seconds for connecting and for each reply; a frozen broker costs twice that at most."""
QUICK = {
    "socket_timeout": TIMEOUT,
    "socket_connect_timeout": TIMEOUT,
    "health_check_interval": 0,
    "max_retries": 0,
}


class CeleryPublisher:
    """Publishes on a connection of its own. For one thread at a time.

    Args:
        on_server: Called with the id of the broker's present run when it is another one.
    """

    def __init__(
        self, celery: TaskCelery, on_server: Callable[[str], object] | None = None
    ) -> None:
        self._celery = celery
        self._on_server = on_server
        self._connection: Connection | None = None
        self._server = ""

    def publish(self, batches: Sequence[Batch]) -> None:
        """Send messages to the broker in one round trip.

        Raises:
            PublishFailed: The broker did not accept all of them, but perhaps some.
        """
        with self._producer() as producer, producer.batch():  # type: ignore[attr-defined]  # the stubs are of an older kombu
            for each in batches:
                headers = {"request_id": each.request_id} if each.request_id else None
                self._send(producer, each.consumer, [list(each.ids)], headers=headers)

    def publish_periodic(self, name: str, expires: float) -> None:
        """Send a periodic task, which is too late to begin after `expires` seconds."""
        with self._producer() as producer:
            self._send(producer, name, [], expires=expires)

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _send(self, producer: Producer, name: str, args: list[Any], **options: Any) -> None:
        self._celery.send_task(
            name, args, producer=producer, retry=False, ignore_result=True, **options
        )

    @contextmanager
    def _producer(self) -> Iterator[Producer]:
        """Yield a producer on the connection, which is closed when it fails."""
        if self._connection is None:
            self._connection = self._celery.connection_for_write(transport_options=QUICK)
        connection = self._connection
        errors: tuple[type[BaseException], ...] = (
            *connection.connection_errors,
            *connection.channel_errors,
            KombuError,
        )
        try:
            yield Producer(connection.default_channel, auto_declare=False)
            self._look_at_server(connection.default_channel)
        except errors as error:
            self.close()
            # For a batch, kombu says only that the outcome is uncertain.
            reason = error.__cause__ or error
            raise PublishFailed(f"the broker does not answer: {reason}") from error

    def _look_at_server(self, channel: Any) -> None:
        run = str(channel.client.info("server").get("run_id"))
        if self._on_server is not None and run != self._server:
            self._on_server(run)
            self._server = run
