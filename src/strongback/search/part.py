"""The part `search`: what an application registers, and the periodic work on its indexes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from strongback.app import Strongback
from strongback.check import Use
from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.extra import require_extra
from strongback.search.cli import group
from strongback.search.engine import Engine
from strongback.search.exceptions import SearchUnavailable
from strongback.search.source import Need, Progress, Search
from strongback.task.context import TaskContext
from strongback.task.declaration import TaskGroup, TaskRegistry
from strongback.task.lease import Leases

RESPONSES = 500
"""Responses to searches that one process keeps, in a storage `search` of their own: what people
type has no end, and would drive out of `local` what is read again."""
SOON = timedelta(seconds=5)
HOURLY = timedelta(hours=1)
LIMIT = timedelta(minutes=30)
LEASE_SECONDS = 60.0
"""After its last batch a build that was killed is begun anew."""


def register(app: Strongback) -> Search:
    """Search by the engine that the settings name; slices add their indexes to it.

    With the part `task`, indexes are built and repaired by themselves.
    """
    search = Search(build_engine(app.settings))
    app.provide(search)
    app.register_local_storage("search", RESPONSES, share=1)
    _add_checks(app, search)
    app.cli.add_command(group)

    def add_tasks() -> None:
        if registry := app.services.find(TaskRegistry):
            registry.add(maintenance_tasks(search, app.services[Leases]))

    app.before_start(add_tasks)
    return search


def build_engine(settings: Settings) -> Engine:
    """Meilisearch where `MEILI_URL` names one, else tantivy in `APP_VAR_DIR`, not yet opened.

    Raises:
        ConfigurationError: The extra `search` is not installed, and Meilisearch not configured.
    """
    # Imported here: a process pays for the one that it uses.
    if settings.meili_url is not None:
        from strongback.search.meilisearch import MeilisearchEngine  # noqa: PLC0415  above

        key = settings.meili_master_key.get_secret_value()
        return MeilisearchEngine(settings.meili_url, key, prefix=settings.meili_prefix)
    require_extra("search", "The embedded search")
    from strongback.search.tantivy import TantivyEngine  # noqa: PLC0415  above

    return TantivyEngine(settings.app_var_dir / "search")


def _add_checks(app: Strongback, search: Search) -> None:
    name, remedy = search.engine.name, "See that APP_VAR_DIR can be written"
    if app.settings.meili_url is not None:
        remedy = (
            "See that it runs and that MEILI_URL names it; without MEILI_URL the application"
            " searches by itself"
        )

    def check_indexes() -> str:
        """See that the engine takes our key."""
        try:
            for source in search.sources.values():
                search.engine.status(source.index)
        except SearchUnavailable as error:
            raise ConfigurationError(error.reason or str(error)) from error
        return f"The search engine {name} answers for its indexes"

    ping = search.engine.ping
    app.checks.add("search", ping, title=f"The search engine {name}", remedy=remedy)
    app.checks.add("search_indexes", check_indexes, use=Use.DIAGNOSIS, needs="search")


def maintenance_tasks(search: Search, leases: Leases) -> TaskGroup:
    """Return the tasks `search:<index>-build` and `search:<index>-check` of all indexes."""
    group = TaskGroup("search")
    for name in search.sources:
        _declare(group, search, leases, name)
    return group


def lease_of(index: str) -> str:
    """Return the lease of the process that builds an index."""
    return f"search:{index}"


def _declare(group: TaskGroup, search: Search, leases: Leases, index: str) -> None:
    @group.periodic(f"{index}-build", every=SOON, time_limit=LIMIT)
    def build(_: TaskContext) -> None:
        """Build the index if it is missing: at a start, after a change of it, after its loss."""
        need = search.need(index)
        if need is Need.BUILD:
            _alone(leases, index, lambda progress: search.reindex(index, progress))
        elif need is Need.SETTINGS:
            _alone(leases, index, lambda _: search.send_settings(index))

    @group.periodic(f"{index}-check", every=HOURLY, time_limit=LIMIT)
    def check(_: TaskContext) -> None:
        """Repair what differs from the database, and build the index where it must be."""
        _alone(leases, index, lambda _: search.maintain(index))


def _alone(leases: Leases, index: str, do: Callable[[Progress], object]) -> None:
    """Do it unless another process is at it: of two builds at once one is in vain."""
    lease, holder = lease_of(index), uuid.uuid4().hex

    def keep(_: int = 0) -> bool:
        return leases.take(lease, holder, LEASE_SECONDS)

    if keep():
        try:
            do(keep)
        finally:
            leases.give_up(lease, holder)
