"""Gunicorn's settings, made from ours; `gunicorn` finds this file by its name and place."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from gunicorn.glogging import Logger

from app.core.config import load_settings
from app.core.log_config import configure_logging
from app.serve import APPLICATION, METRICS_VARIABLE, keep_signals_over_forks, metrics_environment

if TYPE_CHECKING:
    from types import FrameType

    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config
    from gunicorn.workers.base import Worker

settings = load_settings()


class StructuredLogger(Logger):
    """Gunicorn's logger without handlers of its own: its records reach ours."""

    def setup(self, cfg: Config) -> None:
        """Let our configuration adopt Gunicorn's loggers; runs at start and at each reload."""
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS[cfg.loglevel]
        configure_logging(settings)

    @property
    def access_log_enabled(self) -> bool:
        """Off: the application writes one access event for each request."""
        return False


wsgi_app = f"{APPLICATION}()"
host = f"[{settings.web_host}]" if ":" in settings.web_host else settings.web_host
bind = f"{host}:{settings.web_port}"
worker_class = "app.gunicorn_worker.Worker"
workers = settings.web_workers
threads = settings.web_threads
# The heartbeat of a worker as a whole; a stopping one finishes its requests within the same time.
timeout = graceful_timeout = math.ceil(settings.web_timeout)
# Above the 60 s for which Nginx keeps an idle connection: the side that may still send a request
# must be the one that closes, or that request is lost.
keepalive = 75
# A listening socket for each worker, so that connections spread evenly; see Worker for how a
# stopping one leaves nothing behind in its own.
reuse_port = True
# A bound on slow leaks, spread so that workers do not restart together. A single worker is not
# replaced: it also runs the embedded tasks and sockets.
max_requests, max_requests_jitter = (100_000, 20_000) if workers > 1 else (0, 0)
# The heartbeat is a file that is touched every second: not on a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  no data in it
# Nothing but HTTP controls this server.
control_socket_disable = True
# Gunicorn itself trusts no proxy: the application does, WEB_PROXIES of them and no more.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
logger_class = StructuredLogger
proc_name = "groundwork"


def on_starting(_server: Arbiter) -> None:
    """Prepare what workers inherit, once: a reload does not come here."""
    keep_signals_over_forks()
    if METRICS_VARIABLE not in os.environ:
        os.environ.update(metrics_environment(settings))


def when_ready(server: Arbiter) -> None:
    """Say where it listens, and let the first Ctrl-C finish requests as SIGTERM does."""
    # Gunicorn's own line is empty where each worker has its socket.
    server.log.info("Listening at: http://%s", bind)

    def stop(_signal: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, server.signal)
        server.signal(signal.SIGTERM, frame)

    signal.signal(signal.SIGINT, stop)


def post_worker_init(_worker: Worker) -> None:
    """Leave it to the master to stop a worker: a terminal sends Ctrl-C to both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Drop the gauges of a worker that is gone."""
    if METRICS_VARIABLE in os.environ:
        # Not at the top: the module decides by the variable, when it is imported.
        from prometheus_client import multiprocess  # noqa: PLC0415

        multiprocess.mark_process_dead(worker.pid)
