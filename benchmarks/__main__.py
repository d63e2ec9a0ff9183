"""`python -m benchmarks` measures everything, `python -m benchmarks NAME` runs one benchmark."""

from __future__ import annotations

import click

from benchmarks.suite import Suite

MODULES = {
    "http": "benchmarks.http.command",
    "page": "benchmarks.page",
    "task": "benchmarks.task.command",
    "cache": "benchmarks.cache.command",
    "search": "benchmarks.search.command",
    "realtime": "benchmarks.realtime.command",
    "growth": "benchmarks.growth",
}
"""Each module has a click command named `command`; a benchmark runs when it is chosen."""
CHAOS = {"chaos": "benchmarks.chaos"}
"""Not a measurement: runs when it is asked for."""


@click.group(cls=Suite, modules=MODULES | CHAOS, invoke_without_command=True)
@click.option("--quick", is_flag=True, help="Fewer repetitions: a look, not a measurement.")
@click.pass_context
def main(context: click.Context, quick: bool) -> None:  # noqa: FBT001  click calls it by name
    """Measure what the foundation costs. Without a name, measure everything."""
    if quick:
        context.default_map = {name: {"quick": True} for name in MODULES}
    if context.invoked_subcommand is None:
        for name in MODULES:
            command = main.get_command(context, name)
            assert command is not None
            context.invoke(command, quick=quick)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
