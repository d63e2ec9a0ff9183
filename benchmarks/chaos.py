"""`python -m benchmarks chaos NAME`: what holds while things are killed and taken away."""

from __future__ import annotations

import click

from benchmarks.suite import Suite

MODULES = {
    "task": "benchmarks.task.chaos",
    "cache": "benchmarks.cache.chaos.command",
    "realtime": "benchmarks.realtime_chaos",
    "upload": "benchmarks.upload",
    "test": "benchmarks.long_test",
}
"""Each module has a click command named `command`."""


@click.group("chaos", cls=Suite, modules=MODULES)
def command() -> None:
    """Kill processes and take servers away, and count what is lost. Ends with 1 if anything is."""
