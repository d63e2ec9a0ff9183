"""The part `realtime`: live messages over WebSocket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongback.app import Strongback
from strongback.auth.session_service import SessionService
from strongback.config import Settings, WebServer
from strongback.exceptions import ConfigurationError
from strongback.extra import require_extra
from strongback.log.setup import get_logger
from strongback.realtime.access import Access
from strongback.realtime.broker import Broker, ServerBroker
from strongback.realtime.centrifugo import CentrifugoBroker
from strongback.realtime.channel import ChannelRegistry
from strongback.realtime.cli import group
from strongback.realtime.handover import hand_over
from strongback.realtime.local_broker import LocalBroker
from strongback.realtime.options import Options
from strongback.realtime.realtime import DISCONNECT, PUBLISH, Realtime
from strongback.realtime.realtime_task import realtime_tasks
from strongback.realtime.report import Report
from strongback.realtime.token import RealtimeTokens
from strongback.realtime.view import api
from strongback.task.declaration import TaskRegistry
from strongback.task.liveness import LivenessFile

if TYPE_CHECKING:
    from strongback.realtime.server import RealtimeServer
    from strongback.redis import RedisClient

log = get_logger(__name__)


def register(app: Strongback, url_prefix: str) -> Realtime:
    """Publish to clients, and let them connect; needs the parts `task` and `oauth`.

    Slices add their channels to the service that this returns and provides.
    """
    require_extra("realtime", "The part realtime")
    settings, channels = app.settings, ChannelRegistry()
    access = Access(
        channels,
        RealtimeTokens(settings.secrets),
        lambda: app.services[SessionService],
        lambda: _context(app),
        settings.ws_port if _has_own_port(settings) else None,
    )
    broker: Broker
    if settings.centrifugo_url is not None:
        key = settings.centrifugo_api_key.get_secret_value()
        broker = centrifugo = CentrifugoBroker(settings.centrifugo_url, key)
        remedy = "See that it runs, and that CENTRIFUGO_URL and CENTRIFUGO_API_KEY are its own"
        app.checks.add("realtime", centrifugo.figures, title="Centrifugo", remedy=remedy)
    else:
        broker = server_broker = build_broker(app, channels)
        _add_server(app, server_broker, access)
    if access.port is not None:
        app.pages.connect += [f"ws://*:{access.port}", f"wss://*:{access.port}"]
    realtime = Realtime(app.database, app.outbox, channels, broker)
    app.outbox.declare("strongback.realtime", PUBLISH, DISCONNECT)
    app.services[TaskRegistry].add(realtime_tasks(broker))
    app.provide(realtime, access)
    app.register_api(api, url_prefix=f"{url_prefix}/realtime")
    app.cli.add_command(group)
    return realtime


def build_broker(app: Strongback, channels: ChannelRegistry) -> ServerBroker:
    """Return the broker between the servers of ours: Redis if configured, else this process."""
    if app.redis is None:
        return LocalBroker(channels)
    from strongback.realtime.redis_broker import RedisBroker  # noqa: PLC0415  an extra

    return RedisBroker(app.redis, channels)


def _has_own_port(settings: Settings) -> bool:
    return settings.web_server is WebServer.GRANIAN and not settings.web_proxies


def _add_server(app: Strongback, broker: ServerBroker, access: Access) -> None:
    process = ServerProcess(app.settings, broker, access, app.redis)
    app.provide(process, process.report)
    app.background.add(process)
    app.background.on_stop(process.drain)
    app.checks.add("realtime", process.report.figures, title="The realtime server")
    app.gauges.append(process.report.gauges)
    app.wsgi_app = hand_over(app.wsgi_app, process.adopt)  # type: ignore[method-assign,assignment]  # as Flask's docs wrap it


class ServerProcess:
    """The realtime server of this process: of a web worker, or of a process of its own.

    It is made when it starts: most processes, such as a command's, have none.
    """

    def __init__(
        self, settings: Settings, broker: ServerBroker, access: Access, redis: RedisClient | None
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._access = access
        self._server: RealtimeServer | None = None
        self.report = Report(redis, LivenessFile(settings.task_liveness_file).touch)

    def start(self) -> None:
        """Start it in a process of the web server; see `require_one_process`."""
        require_one_process(self._settings)
        if self._settings.web_server is WebServer.GRANIAN:
            self.listen()
        else:
            self._start()

    def listen(self) -> None:
        """Start it with a port of its own; `ConfigurationError` if that is taken."""
        host, port = self._settings.web_host, self._settings.ws_port
        server = self._start()
        try:
            server.listen(host, port, is_shared=self._settings.web_workers > 1)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            free = port + 10 if port + 10 < 2**16 else port - 10
            raise ConfigurationError(
                f"Port {port} on {host} cannot be used ({reason}). Stop what listens there"
                f" or choose another: WS_PORT={free}"
            ) from error
        log.info("realtime_listening", host=host, port=port)

    def adopt(self, connection: socket.socket, head: bytes) -> bool:
        """Serve a connection that the web server has accepted; tell whether that is possible."""
        if self._server is None:
            return False
        self._server.adopt(connection, head)
        return True

    def drain(self) -> None:
        """Tell every client to come back elsewhere; it returns at once."""
        if self._server is not None:
            self._server.drain()

    def stop(self) -> None:
        """Close what is still open."""
        if self._server is not None:
            self.report.stop()
            self._server.stop()

    def _start(self) -> RealtimeServer:
        from strongback.realtime.server import RealtimeServer  # noqa: PLC0415  an extra

        access, settings = self._access, self._settings
        self._server = RealtimeServer(
            self._broker,
            access.registry,
            access.authenticate,
            access.authorize,
            Options(
                origins=(settings.address, *settings.web_cors_origins),
                page_port=settings.web_port if _has_own_port(settings) else None,
            ),
        )
        self._server.start()
        self.report.start(self._server.snapshot)
        return self._server


def require_one_process(settings: Settings) -> None:
    """Raise `ConfigurationError` if a message would reach the clients of one process alone."""
    if settings.redis_url is not None or settings.centrifugo_url is not None:
        return
    for is_wrong, cause, remedy in (
        (settings.web_workers > 1, f"WEB_WORKERS is {settings.web_workers}", "WEB_WORKERS=1"),
        (settings.celery_broker_url is not None, "CELERY_BROKER_URL is set", "unset it"),
    ):
        if is_wrong:
            raise ConfigurationError(
                f"{cause} without REDIS_URL, so live messages would reach the clients of one"
                f" process alone; set REDIS_URL or CENTRIFUGO_URL, or {remedy}"
            )


@contextmanager
def _context(app: Strongback) -> Iterator[None]:
    with app.app_context(), app.database.scope():
        yield
