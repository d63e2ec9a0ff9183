"""Commands for search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

from strongback.cli.command import DatabaseGroup, command_line, progress
from strongback.exceptions import StrongbackError
from strongback.search.exceptions import SearchUnavailable
from strongback.search.query import Status
from strongback.search.source import Difference, Search
from strongback.web.injection import inject

group = DatabaseGroup("search", help="Manage the search indexes.")
search = inject(Search)

_MOST = 20  # keys that are listed


@contextmanager
def _explained() -> Iterator[None]:
    """Say in one line that the engine is not there, or what it has refused."""
    try:
        yield
    except StrongbackError as error:
        message = f"{error} See how it stands: {command_line('search status')}"
        if isinstance(error, SearchUnavailable) and error.reason:
            message = error.reason
        elif isinstance(error, SearchUnavailable) and error.message == SearchUnavailable.message:
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            message = (
                f"The search engine {search.engine.name} does not answer, or has no such"
                f" index{cause}. Check MEILI_URL or APP_VAR_DIR; make the index:"
                f" {command_line('search reindex')}"
            )
        raise click.ClickException(message) from None


def _chosen(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in search.sources:
            known = ", ".join(search.sources)
            raise click.BadParameter(f"no index is called {name}; there are: {known}")
    return names or tuple(search.sources)


@group.command("reindex")
@click.argument("names", metavar="[INDEX]...", nargs=-1)
def reindex(names: tuple[str, ...]) -> None:
    """Build new indexes beside the old ones, then replace these at once.

    Searches find the old index until the new one is complete, and what is written meanwhile is in
    the new one before the command ends.
    """
    for name in _chosen(names):
        with _explained(), progress(f"Indexing {name}", search.source(name).count()) as count_on:
            count = search.reindex(name, count_on)
        click.echo(f"{name}: {count} documents")


@group.command("status")
@click.argument("names", metavar="[INDEX]...", nargs=-1)
def show_status(names: tuple[str, ...]) -> None:
    """Show the state of indexes; the exit status is 1 if one needs work."""
    is_well, needs_build = True, False
    click.echo(f"engine: {search.engine.name}")
    for name in _chosen(names):
        source = search.source(name)
        with _explained():
            status = search.engine.status(source.index)
        click.echo(f"{name}: {_describe(status, source.count())}")
        for difference in status.differences:
            click.echo(f"  {difference}")
        needs_build = needs_build or not (status.exists and status.is_current)
        is_well = is_well and not (needs_build or status.differences)
    if not is_well:
        command = "reindex" if needs_build else "sync-settings"
        click.echo(f"Bring them up to date: {command_line('search', command)}", err=True)
        raise click.exceptions.Exit(1)


def _describe(status: Status, expected: int) -> str:
    if not status.exists:
        return "was never made"
    parts = [f"{status.documents} documents of {expected}"]
    if status.size_bytes is not None:
        parts.append(f"{status.size_bytes / 1_000_000:.1f} MB")
    is_declared = status.is_current and not status.differences
    parts.append("as declared" if is_declared else "NOT as declared")
    if status.is_building:
        parts.append("being built anew")
    return ", ".join(parts)


@group.command("sync-settings")
@click.argument("names", metavar="[INDEX]...", nargs=-1)
def sync_settings(names: tuple[str, ...]) -> None:
    """Update the settings of indexes to their declarations; only differences are sent."""
    for name in _chosen(names):
        index = search.source(name).index
        with _explained():
            changes = search.engine.prepare(index)
            is_current = search.engine.status(index).is_current
        for change in changes or ["nothing to change"]:
            click.echo(f"{name}: {change}")
        if not is_current:
            message = f"{name} has to be built anew: {command_line('search reindex', name)}"
            raise click.ClickException(message)


@group.command("check")
@click.argument("names", metavar="[INDEX]...", nargs=-1)
@click.option(
    "--repair",
    is_flag=True,
    help="Add missing and outdated documents, delete surplus ones; rebuild what is beyond that.",
)
def check(*, names: tuple[str, ...], repair: bool) -> None:
    """Compare indexes with the database; the exit status is 1 if they differ and stay so."""
    differs = False
    for name in _chosen(names):
        with _explained():
            difference = search.inspect(name)
            _report(name, difference)
            if repair:
                _repair(name, difference)
        differs = differs or difference is None or bool(difference)
    if differs and not repair:
        click.echo(f"Bring them up to date: {command_line('search check --repair')}", err=True)
        raise click.exceptions.Exit(1)


def _repair(name: str, difference: Difference | None) -> None:
    if difference is None:
        with progress(f"Indexing {name}", search.source(name).count()) as count_on:
            search.reindex(name, count_on)
        click.echo(f"{name}: built anew")
    elif difference:
        with progress(f"Repairing {name}", len(difference)) as count_on:
            search.repair(name, count_on)
        click.echo(f"{name}: repaired")


def _report(name: str, difference: Difference | None) -> None:
    if difference is None:
        click.echo(f"{name}: has to be built anew; search status says why")
        return
    kinds = asdict(difference)
    click.echo(f"{name}: " + ", ".join(f"{len(keys)} {kind}" for kind, keys in kinds.items()))
    for kind, keys in kinds.items():
        if keys:
            more = ", ..." if len(keys) > _MOST else ""
            click.echo(f"  {kind}: {', '.join(map(str, keys[:_MOST]))}{more}")
