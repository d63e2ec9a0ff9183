"""Commands for the cache: fill it, look at it, empty it."""

from __future__ import annotations

import click

from strongback.cache import CacheMaintenance, Manager, RebuildRefused
from strongback.cli.command import DatabaseGroup, progress
from strongback.redis.error import RedisUnavailable
from strongback.web.injection import inject

group = DatabaseGroup("cache", help="Fill the cache, look at it, empty it.")
cache = inject(Manager)
maintenance = inject(CacheMaintenance)


@group.command("warm")
def warm() -> None:
    """Load what strangers may read, and the cache does not hold, into Redis."""
    if not maintenance.is_shared:
        message = "There is no Redis, and this process would keep it all to itself. Set REDIS_URL."
        raise click.ClickException(message)
    for warmer in maintenance.warmers:
        loaded = 0
        with progress("Warming", warmer.count()) as count:
            for keys, values in warmer.warm():
                loaded += values
                count(keys)
        click.echo(f"{warmer.name} {loaded}")


@group.command("stats")
def stats() -> None:
    """Show what this process and Redis hold; what the servers count is at /metrics."""
    for name, storage in cache.all_storage.items():
        entries = storage.count()
        click.echo(f"{name}: {'not answering' if entries is None else f'{entries} entries'}")


@group.command("clear")
def clear() -> None:
    """Empty the cache, in Redis and in every process that uses it."""
    cache.clear()
    click.echo("The cache is empty.")


@group.command("rebuild")
def rebuild() -> None:
    """Rebuild the filters of known names from the database, while they stay in use."""
    try:
        counts = maintenance.rebuild()
    except (RebuildRefused, RedisUnavailable) as error:
        raise click.ClickException(str(error)) from None
    if not counts:
        click.echo("There are no filters without Redis.")
    for name, count in counts.items():
        click.echo(f"{name}: {count} names")
