"""`python -m benchmarks` runs every benchmark, `python -m benchmarks NAME` one of them."""

from __future__ import annotations

from importlib import import_module

import click

MODULES = {"http": "benchmarks.http.command"}
"""Each module has a click command named `command`; a benchmark runs when it is chosen."""


class Suite(click.Group):
    """Imports a benchmark only when it is asked for: each needs packages of its own."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        return import_module(MODULES[name]).command if name in MODULES else None


@click.group(cls=Suite, invoke_without_command=True)
@click.option("--quick", is_flag=True, help="Fewer repetitions: a look, not a measurement.")
@click.pass_context
def main(context: click.Context, quick: bool) -> None:  # noqa: FBT001  click calls it by name
    """Measure what the foundation costs. Without a name, run every benchmark."""
    if quick:
        context.default_map = {name: {"quick": True} for name in MODULES}
    if context.invoked_subcommand is None:
        for name in MODULES:
            command = main.get_command(context, name)
            context.invoke(command, quick=quick)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
