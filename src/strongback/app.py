"""Strongback: the application, to which parts and slices are registered."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Self, TypeVar
from weakref import WeakSet

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm.exc import StaleDataError

# Their names for Redis need the extra `redis`, and are looked up where it is configured.
from strongback import cache as caching
from strongback import redis as redis_part
from strongback.auth.permission import Roles
from strongback.background import Background
from strongback.cache import CacheInvalidator, CacheMaintenance, LocalStorage, Node, NullStorage
from strongback.check import Checks, Use
from strongback.cli import backup, command, doctor, idempotency, serve, static
from strongback.cli import cache as cache_command
from strongback.cli import outbox as outbox_command
from strongback.config import Settings
from strongback.database import Database
from strongback.database.database_error import error_mapping
from strongback.database.server_check import check_capacity, check_version
from strongback.exceptions import ConfigurationError, PreconditionFailed, ServiceUnavailable
from strongback.idempotency import Idempotency
from strongback.log.setup import LogConfig, configure_logging
from strongback.migration.runner import init_migrations, pending
from strongback.outbox import Outbox
from strongback.private import make_private_folder
from strongback.server.serve import add_start_checks, check_own_address
from strongback.upload import Uploads
from strongback.web import init_cors, init_health, init_limits, init_metrics
from strongback.web.http_app import HTTPApp
from strongback.web.metrics import CACHES, Gauge
from strongback.web.wiring import problems

M = TypeVar("M", bound=DeclarativeBase)
WSGIApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

MEGABYTE = 1 << 20
SHARES = 8
"""Shares of `CACHE_MEGABYTES`; the storage `local` has all but one."""
PROCESS_SETTINGS = {
    "LOG_LEVEL": "log_level",
    "LOG_FORMAT": "logs_as_json",
    "LOG_DIR": "log_dir",
    "WEB_METRICS_DIR": "web_metrics_dir",
}
"""Variables of logging and metrics, which the applications of a process share, and the settings
that depend on them."""
KNOWN_NAMES = 1_000_000
"""Capacity of a filter: 1.2 MB in Redis."""


class Strongback(HTTPApp):
    """An application with settings, database, outbox and cache.

        app = Strongback(__name__, load_settings(Settings), title="Shop", roles=ROLES)
        task.register(app, "/api/v1")
        users = user.register(app)
        return app.checked()

    Args:
        import_name: The module of `create_app`.
        settings: Settings of the application.
        title: Title of the API.
        version: Version of the API.
        roles: Permissions of each role; None if nobody can sign in.
        logging: Loggers of the application, and names that are never logged.

    Raises:
        ConfigurationError: A setting is invalid, or another application in this process has
            different settings of logging or metrics.
    """

    def __init__(  # noqa: PLR0913  what an application says of itself
        self,
        import_name: str,
        settings: Settings,
        *,
        title: str,
        version: str = "1",
        roles: Roles | None = None,
        logging: LogConfig | None = None,
    ) -> None:
        _share_process(settings, logging, import_name)
        configure_logging(settings, logging)
        make_private_folder(settings.app_var_dir)
        super().__init__(import_name, settings, title=title, version=version, roles=roles)
        self.logging = logging
        self.cli = command.Commands(name=self.name)
        self.database = Database(settings)
        self.outbox = Outbox(self.database)
        self.background = Background()
        self.redis = _connect_redis(settings)
        self.cache = caching.Manager(caching.CompactSerializer())
        self.outbox.declare("strongback.cache", caching.OUTDATED)
        self.invalidator = CacheInvalidator(self.database, self.cache, self.outbox)
        self.cache_maintenance = CacheMaintenance(is_shared=self.redis is not None)
        self.checks = Checks()
        """Checks of `/readyz`, `flask doctor` and the start of a server."""
        self.gauges: list[Callable[[], Iterable[Gauge]]] = []
        """Functions that look up gauges for `/metrics`."""
        self._before_start: list[Callable[[], object]] = []
        self._injecting: set[str] = set()
        self._provide_base()
        self._register_base()
        _open.add(self)

    def _provide_base(self) -> None:
        if self.redis is not None:
            self.provide(self.redis)  # before the cache, which is closed first
        self.provide(self.settings, self.database, self.outbox, self.background, self.cache)
        self.provide(self.invalidator, self.cache_maintenance)
        self.provide(Idempotency(self.database), Uploads(self.database))
        self.register_local_storage("local", self.settings.cache_size, share=SHARES - 1)
        if self.redis is None:
            self.cache.register_storage("redis", NullStorage())
            return
        self.cache.register_storage("redis", caching.RedisStorage(self.redis))
        remedy = "See that it runs, and that REDIS_URL has its address and password"
        self.checks.add("redis", self.redis.ping, title="Redis", remedy=remedy)

    def _register_base(self) -> None:
        settings, database = self.settings, self.database
        self.wsgi_app = _in_scope(self.wsgi_app, database, settings.database_read_timeout)  # type: ignore[method-assign,assignment]  # as Flask's docs wrap it
        self.register_error_source(SQLAlchemyError, error_mapping)
        self.register_error_source(StaleDataError, lambda _: PreconditionFailed())
        init_migrations(self, database, settings.ROOT / "migrations", settings.database_wait)
        CACHES.caches.add(self.cache)
        if shared := init_metrics(self, settings.web_metrics_dir, self._all_gauges):
            self.background.add(shared)
        init_limits(self, settings, self.redis)
        init_cors(self, settings.web_cors_origins)
        self._add_checks()
        init_health(self, self.checks)
        backup.init_backup(self, settings, database)
        doctor.init_doctor(self, settings, self.checks)
        for module in (cache_command, idempotency, outbox_command, static):
            self.cli.add_command(module.group)
        self.cli.add_command(serve.command)

    def _add_checks(self) -> None:
        add_start_checks(self.checks, self.settings, check_own_address)
        add, database, tells = self.checks.add, self.database, Use.DIAGNOSIS
        add("database", database.ping, use=Use.REQUIRED, title="The database")
        add("database_version", partial(check_version, database), use=tells, needs="database")
        add("database_pool", self._check_pool, use=tells, needs="database")
        use = Use.REQUIRED if self.settings.web_static_dir else tells
        add("static_files", self.static_files.check, use=use, title="Static files")
        use, remedy = Use.REQUIRED, f"flask --app {self.import_name} db upgrade"
        add("migrations", self._check_schema, use=use, remedy=remedy, needs="database")

    # What parts and slices use

    def register_local_storage(self, name: str, size: int, *, share: int) -> None:
        """Register a cache storage in the process.

        Args:
            name: Name of the storage, used by nodes.
            size: Maximum number of entries.
            share: Memory, in eighths of `CACHE_MEGABYTES`.
        """
        # Without Redis the workers cannot tell each other about changes, so they must not cache.
        is_coherent = self.redis is not None or self.settings.web_workers == 1
        room = self.settings.cache_megabytes * MEGABYTE * share // SHARES
        storage = LocalStorage(size, room=room) if is_coherent else NullStorage()
        self.cache.register_storage(name, storage)

    def filter_unknown(
        self,
        name: str,
        node: type[Node[Any]],
        model: type[M],
        key: Callable[[M], str],
        all_keys: Callable[[], Iterable[str]],
    ) -> None:
        """Skip lookups of unknown keys by a Bloom filter in Redis, if Redis is configured."""
        if self.redis is None:
            return
        known = caching.BloomFilter(self.redis, name, capacity=KNOWN_NAMES)
        self.invalidator.filter(node, model, known, key)
        self.cache_maintenance.filters[name] = lambda: known.rebuild(all_keys())

    def before_start(self, step: Callable[[], object]) -> None:
        """Call a function after all parts and slices are registered."""
        self._before_start.append(step)

    def expect_services(self, *modules: str) -> None:
        """Check at the start that the services which modules inject are there.

        Modules of routes and commands are checked without it.
        """
        self._injecting.update(modules)

    # Start and end

    def checked(self) -> Self:
        """Check the application and return it; the last line of `create_app`.

        Raises:
            ConfigurationError: A service that is injected is missing, no role has a permission
                that a route requires, two permissions have one value, two routes one address, or
                no part or slice emits the topic of a consumer.
        """
        for step in self._before_start:
            step()
        if found := [*problems(self, self._injecting), *self.outbox.undeclared()]:
            raise ConfigurationError("\n".join(found))
        command.explain_errors(self.cli)
        return self

    def close(self) -> None:
        """Close all services."""
        self.services.close()
        _open.discard(self)

    def _all_gauges(self) -> Iterator[Gauge]:
        for look_up in self.gauges:
            yield from look_up()

    def _check_pool(self) -> str:
        check_capacity(self.settings)
        return "The pools of connections fit the database"

    def _check_schema(self) -> str:
        if lacking := pending(self):
            raise ServiceUnavailable(
                "The database lacks migrations: {names}.", params={"names": ", ".join(lacking)}
            )
        return "The schema is up to date"


_open: WeakSet[Strongback] = WeakSet()


def _share_process(settings: Settings, logging: LogConfig | None, name: str) -> None:
    if any(_differences(settings, logging)):
        gc.collect()  # of an application that nobody holds any more
    for what, other in _differences(settings, logging):
        raise ConfigurationError(
            f"{what}: {name} has another value than {other} in the same process, whose logging"
            " and metrics they share. Give both the same value, or close the first one before the"
            " second is made."
        )


def _differences(settings: Settings, logging: LogConfig | None) -> Iterator[tuple[str, str]]:
    for other in list(_open):
        for variable, setting in PROCESS_SETTINGS.items():
            if getattr(settings, setting) != getattr(other.settings, setting):
                yield variable, other.import_name
        if logging and other.logging and logging != other.logging:
            yield "logging", other.import_name


def _connect_redis(settings: Settings) -> redis_part.RedisClient | None:
    if (address := settings.redis_address) is None:
        return None
    # A thread needs one connection at a time; two more are for the watcher and the probes, one is
    # for the cache's channel, three are realtime's, and four the client keeps out of the pool.
    connections = settings.web_threads + 10
    return redis_part.RedisClient(redis_part.connect(address, connections=connections))


def _in_scope(wsgi_app: WSGIApp, database: Database, read_limit: float) -> WSGIApp:
    """Open a unit of work for each request, closed before the response is sent."""

    def scoped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with database.scope(read_limit):
            return wsgi_app(environ, start_response)

    return scoped
