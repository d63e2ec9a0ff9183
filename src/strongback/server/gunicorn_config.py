"""Gunicorn's settings, made from ours: `gunicorn -c python:strongback.server.gunicorn_config`."""

from __future__ import annotations

import math
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.glogging import Logger

from strongback.config import Settings, load_settings
from strongback.database.server_check import check_capacity
from strongback.exceptions import ConfigurationError
from strongback.log.setup import configure_logging
from strongback.server.gunicorn_worker import refuse
from strongback.server.serve import (
    METRICS_VARIABLE,
    keep_signals_over_forks,
    metrics_environment,
    warn_of_settings,
    warn_without_proxy,
)

if TYPE_CHECKING:
    from types import FrameType

    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config
    from gunicorn.workers.base import Worker

settings = load_settings(Settings)


class StructuredLogger(Logger):
    """Gunicorn's logger without handlers of its own: its records reach ours."""

    def setup(self, cfg: Config) -> None:
        """Let our configuration adopt Gunicorn's loggers; runs at start and at each reload."""
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS[cfg.loglevel]
        configure_logging(settings)

    def exception(self, msg: object, *args: object, **options: Any) -> None:
        """Log an error with its traceback; a client that stalls is none of ours."""
        if isinstance(sys.exc_info()[1], BlockingIOError):
            self.debug(msg, *args)
        else:
            super().exception(msg, *args, **options)

    @property
    def access_log_enabled(self) -> bool:
        """Off: the application writes one access event for each request."""
        return False


bind = settings.web_address
worker_class = "strongback.server.gunicorn_worker.Worker"
workers = settings.web_workers
threads = settings.web_threads
# The heartbeat of a worker as a whole; a stopping one finishes its requests within the same time.
timeout = graceful_timeout = math.ceil(settings.web_timeout)
# Above the 60 s for which Nginx keeps an idle connection: the side that may still send a request
# must be the one that closes, or that request is lost.
keepalive = 75
# A bound on slow leaks, spread so that workers do not restart together. A single worker is not
# replaced: it also runs the embedded tasks and sockets.
max_requests = settings.web_max_requests if workers > 1 else 0
max_requests_jitter = max_requests // 5
# The heartbeat is a file that is touched every second: not on a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  no data in it
# Nothing but HTTP controls this server.
control_socket_disable = True
# Gunicorn itself trusts no proxy: the application does, WEB_PROXIES of them and no more.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
logger_class = StructuredLogger
proc_name = "strongback"


def on_starting(server: Arbiter) -> None:
    """Prepare what workers inherit, once: a reload does not come here."""
    keep_signals_over_forks()
    if METRICS_VARIABLE not in os.environ:  # `gunicorn` itself was started, not `flask serve`
        os.environ.update(metrics_environment(settings))
    warn_without_proxy(settings)
    warn_of_settings(settings)
    try:
        check_capacity(settings)
        if not server.cfg.reload:
            # Once for all workers, which share its memory. A worker that imported again what has
            # failed here would stumble over the half of it, and hide the cause.
            import_module(server.app.app_uri.partition(":")[0])
            if workers > 1:  # a single one shares nothing, and may never need it
                import_module("strongback.auth.signature")
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")


def when_ready(server: Arbiter) -> None:
    """Let the first Ctrl-C finish requests as SIGTERM does."""

    def stop(_signal: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, server.signal)
        server.signal(signal.SIGTERM, frame)

    signal.signal(signal.SIGINT, stop)


def post_fork(server: Arbiter, _worker: Worker) -> None:
    """Have each worker load the application itself where it follows changes."""
    if server.cfg.reload:
        # The little that the master has loaded would hide a change of it.
        packages = {server.app.app_uri.partition(":")[0].partition(".")[0], "strongback"}
        for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
            del sys.modules[name]


def post_worker_init(worker: Worker) -> None:
    """Leave it to the master to stop a worker: a terminal sends Ctrl-C to both."""
    # This worker's, not the master's.
    from strongback.server.serve import background_of  # noqa: PLC0415  see above

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    finish: Any = signal.getsignal(signal.SIGTERM)
    background = background_of(worker.wsgi)

    def stop(number: int, frame: FrameType | None) -> None:
        background.begin_stop()
        finish(number, frame)

    signal.signal(signal.SIGTERM, stop)
    signal.siginterrupt(signal.SIGTERM, False)  # noqa: FBT003  as Gunicorn does
    try:
        background.start()
    except ConfigurationError as error:
        refuse(error)


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Finish the running tasks after the last response."""
    from strongback.server.serve import background_of  # noqa: PLC0415  as above

    # A worker that could not load the application has none.
    background_of(getattr(worker, "wsgi", None)).stop()
