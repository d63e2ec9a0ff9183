"""The entry point of `python -m app.realtime`, in three lines of an application.

    run(load_settings, create_app)

One process or many, at `WS_PORT`, on Redis and behind Nginx.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from strongback.app import Strongback
from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.log.setup import get_logger
from strongback.realtime.part import ServerProcess

log = get_logger(__name__)
SettingsT = TypeVar("SettingsT", bound=Settings)


def run(
    load_settings: Callable[[], SettingsT], create_app: Callable[[SettingsT], Strongback]
) -> None:
    """Serve WebSockets until the process is told to stop.

    Where it cannot start, the process ends with one line.
    """
    try:
        settings = load_settings()
        _require_redis(settings)
        _serve(create_app(settings))
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")


def _require_redis(settings: Settings) -> None:
    if settings.centrifugo_url is not None:
        raise ConfigurationError("CENTRIFUGO_URL is set, and Centrifugo serves the WebSockets")
    if settings.redis_url is None:
        raise ConfigurationError(
            "REDIS_URL is not set, so nothing that is published would reach this process. Set it to"
            " redis://host:6379/0. Without, the web server serves the WebSockets itself."
        )


def _serve(app: Strongback) -> None:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    process = app.services[ServerProcess]
    try:
        process.listen()
        told.wait()
    finally:
        process.stop()
        app.close()
