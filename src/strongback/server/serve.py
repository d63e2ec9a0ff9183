"""Start the WSGI server: check what would fail, prepare the environment, become the server.

`serve` replaces this process (`execv`), so that a supervisor's signals reach the server itself
and the server starts with an environment that is complete before anything is imported. As a
module of its own (`python -m strongback.server.serve MODULE:FACTORY`) it has imported next to
nothing, and goes on as the server.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from strongback.background import Background
from strongback.check import Checks, CheckWarning, Use
from strongback.config import Settings, WebServer, load_settings
from strongback.exceptions import ConfigurationError
from strongback.log.setup import configure_logging, get_logger
from strongback.services import Services
from strongback.static_manifest import read_manifest

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event
    from wsgiref.types import WSGIApplication

    from pydantic import SecretStr

GUNICORN_CONFIG = "python:strongback.server.gunicorn_config"
MALLOC = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}
"""Have glibc give memory back: threads keep all that the build of a search index took otherwise."""
MIN_FREE_SPACE = 500 * 2**20
"""Bytes."""
METRICS_VARIABLE = "WEB_METRICS_DIR"
"""Tells the workers where they share their metrics."""


def serve(settings: Settings, application: str) -> NoReturn:
    """Become the server that `WEB_SERVER` names, for the application `module:factory`.

    Raises:
        ConfigurationError: The server could not start; the message says what to change.
    """
    _prepare(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *_command(settings, application)]
    os.execv(sys.executable, command)  # noqa: S606  nothing of it is a client's


def _prepare(settings: Settings) -> None:
    check_start(settings)
    for variable, value in MALLOC.items():
        os.environ.setdefault(variable, value)
    os.environ.update(_settings_environment(settings) | metrics_environment(settings))
    os.chdir(settings.ROOT)  # where both servers look for the application


def add_start_checks(
    checks: Checks, settings: Settings, address: Callable[[Settings], object] | None = None
) -> None:
    """Add what a server needs to start."""
    for name in ("app_var_dir", "log_dir"):
        if (folder := getattr(settings, name)) is not None:
            checks.add(name, partial(check_folder, folder, name.upper()), use=Use.START)
    if settings.web_static_dir is not None:  # without it no page could be shown, not even an error
        manifest = partial(read_manifest, settings.web_static_dir)
        checks.add("web_static_dir", manifest, use=Use.START)
    checks.add("address", partial(address or check_address, settings), use=Use.START)


def check_start(settings: Settings) -> None:
    """Raise `ConfigurationError` for what would keep the server from starting."""
    checks = Checks()
    add_start_checks(checks, settings)
    for check in checks:
        try:
            check.ask()
        except CheckWarning as warning:
            get_logger(__name__).warning("start_check", warning=str(warning))


def warn_without_proxy(settings: Settings) -> None:
    """Warn of a production server that clients reach without a proxy."""
    if settings.is_production and not settings.web_proxies:
        get_logger(__name__).warning(
            "no_proxy_in_front",
            risk="clients that send requests slowly can hold every thread",
            remedy="put Nginx in front (compose/nginx) and set WEB_PROXIES=1",
        )


def warn_of_settings(settings: Settings) -> None:
    """Warn of settings that are unsafe for most installations."""
    for warning in settings.warnings():
        get_logger(__name__).warning("unsafe_setting", warning=warning)


def check_folder(folder: Path, variable: str) -> str:
    """Create a folder if need be; `ConfigurationError` if it is closed, `CheckWarning` if full."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} cannot be written ({error.strerror})."
            f" Let this user write to it or choose another: {variable}=/path"
        ) from error
    if free < MIN_FREE_SPACE:
        raise CheckWarning(
            f"{folder} has {free // 2**20} MiB left: make room, since a database without it"
            " refuses every write"
        )
    return f"{folder} can be written"


def check_address(settings: Settings) -> None:
    """Check that a socket can listen at the address, and that none does.

    A second server with SO_REUSEPORT would start beside the first without a word and take half
    of its connections. The socket tried here goes without, so that it notices the first.

    Raises:
        ConfigurationError: The name is unknown, not of this machine, privileged or taken.
    """
    host, port = settings.web_host, settings.web_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as candidate:
                # A port whose last connections are still closing is free.
                candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                candidate.bind(address)
                candidate.listen(1)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(_explain(error, host, port)) from error


def check_own_address(settings: Settings) -> str:
    """Raise `ConfigurationError` if the address cannot be used and is not in use by us."""
    try:
        check_address(settings)
    except ConfigurationError:
        address = f"http://{settings.web_address}/livez"
        with suppress(OSError), urllib.request.urlopen(address, timeout=2) as response:
            if response.read() == b'{"status":"ok"}':
                return f"The application answers on port {settings.web_port}"
        raise
    return f"Port {settings.web_port} is free"


def metrics_environment(settings: Settings) -> dict[str, str]:
    """Empty the folder in which workers share their metrics, and return the variable that names it.

    A single worker needs it too: a reload replaces it, and counters must not start again. Each
    port has its own folder, so that two servers do not disturb each other.
    """
    folder = settings.app_var_dir / "metrics" / str(settings.web_port)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return {METRICS_VARIABLE: str(folder)}


def keep_signals_over_forks() -> None:
    """End a worker that is told to stop before it has set its own handlers.

    After the fork it has those of its parent, which only note the signal for the parent: it would
    go on loading the application, and the stop would take all of WEB_TIMEOUT.
    """
    stops = {signal.SIGINT, signal.SIGTERM}

    def reset() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal: the parent has it too
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stops),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stops),
        after_in_child=reset,
    )


def background_of(application: object) -> Background:
    """What runs beside the requests in a process; nothing of a bare WSGI callable."""
    services: Services | None = getattr(application, "services", None)
    return (services and services.find(Background)) or Background()


def _explain(error: Exception, host: str, port: int) -> str:
    place = f"Port {port} on {host}"
    free = port + 10 if port + 10 < 2**16 else port - 10
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return f"{place} is taken. Stop what listens there or choose another: WEB_PORT={free}"
        case errno.EACCES:
            cause = "needs more rights than this user has"
            return f"{place} {cause}. Choose one above 1023: WEB_PORT=8000"
        case _:
            cause = f"is no address of this machine ({getattr(error, 'strerror', error)})"
            return f"{host} {cause}. Use 127.0.0.1, or 0.0.0.0 for all: WEB_HOST=127.0.0.1"


def _command(settings: Settings, application: str) -> list[str]:
    if settings.web_server is WebServer.GRANIAN:
        return ["-m", "strongback.server.serve", application]
    # Its script, which Gunicorn also runs anew on SIGUSR2: as `-m gunicorn` it would then take its
    # own folder `http` for Python's.
    script = Path(sysconfig.get_path("scripts")) / "gunicorn"
    return [str(script), "--config", GUNICORN_CONFIG, f"{application}()"]


def _settings_environment(settings: Settings) -> dict[str, str]:
    """Hand on what was given as an argument: the server reads its settings anew."""
    inherited = load_settings(type(settings))
    return {
        name.upper(): _to_variable(getattr(settings, name))
        for name in type(settings).model_fields
        if getattr(settings, name) != getattr(inherited, name)
    }


def _to_variable(value: str | float | Path | SecretStr | None) -> str:
    if value is None:
        return ""
    reveal = getattr(value, "get_secret_value", None)
    return str(reveal() if reveal else value)


def _run_granian(settings: Settings, application: str) -> None:
    from granian import Granian  # noqa: PLC0415  Gunicorn's processes do not need it
    from granian.constants import Interfaces  # noqa: PLC0415  the same
    from granian.http import HTTP1Settings  # noqa: PLC0415  the same

    from strongback.database.server_check import check_capacity  # noqa: PLC0415  as above

    configure_logging(settings)
    warn_without_proxy(settings)
    warn_of_settings(settings)
    check_capacity(settings)
    keep_signals_over_forks()
    refused = get_context("spawn").Event()
    seconds = math.ceil(settings.web_timeout)
    Granian(
        application,
        address=settings.web_host,
        port=settings.web_port,
        interface=Interfaces.WSGI,
        workers=settings.web_workers,
        blocking_threads=settings.web_threads,
        websockets=False,
        # The bounds of Gunicorn's worker.
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=32 * 1024),
        # Granian calls dictConfig by itself, in every process. This one adds no handler, and the
        # records go on to the root logger's, which is ours.
        log_dictconfig={
            "formatters": {},
            "handlers": {},
            "loggers": {
                name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")
            },
        },
        log_access=False,
        workers_kill_timeout=min(seconds, 1800),
        respawn_failed_workers=True,
    ).serve(target_loader=partial(_load_in_worker, refused))
    sys.exit(refused.is_set())


def _load_in_worker(refused: Event, application: str) -> WSGIApplication:
    # A terminal sends Ctrl-C to the workers too, and one that then gets the main process's
    # SIGTERM as well often hangs (Granian 2.8): leave it to the main process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    configure_logging(load_settings(Settings))
    module, _, factory = application.partition(":")
    try:
        made: WSGIApplication = getattr(import_module(module), factory)()
        background_of(made).start()
    except ConfigurationError as error:  # a person can mend it, and no other worker
        sys.stderr.write(f"Error: {error}\n")
        sys.stderr.flush()  # the main process ends this one with the others
        refused.set()
        os.kill(os.getppid(), signal.SIGTERM)
        sys.exit(1)
    except Exception:  # noqa: BLE001  logged whole, and it ends the worker
        get_logger(__name__).exception("application_not_loaded", application=application)
        sys.exit(1)
    # Granian has no hook for a worker's end; multiprocessing, which makes its workers, has.
    Finalize(None, background_of(made).stop, exitpriority=100)
    return made


def _main(arguments: list[str]) -> None:
    """Serve, as `flask serve` does, without loading the application only to find that command."""
    if len(arguments) != 1 or not all(arguments[0].partition(":")):
        sys.exit("Usage: python -m strongback.server.serve MODULE:FACTORY")
    try:
        settings = load_settings(Settings)
        _prepare(settings)
        if settings.web_server is WebServer.GRANIAN:
            _run_granian(settings, *arguments)
            return
        from gunicorn.app.wsgiapp import run  # noqa: PLC0415  Granian's processes do not need it

        # As the `gunicorn` command, without starting Python a second time.
        sys.argv = _command(settings, *arguments)
        run()
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    _main(sys.argv[1:])
