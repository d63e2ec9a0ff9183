"""`flask static …`: build the static files."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import click
from flask.cli import AppGroup

from strongback.web.injection import inject
from strongback.web.static_build import build, prune
from strongback.web.static_files import StaticFiles

group = AppGroup("static", help="Build the static files.")
static_files = inject(StaticFiles)
_AGE = re.compile(r"(\d{1,5})([dh])")


def _age(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    if (found := _AGE.fullmatch(value)) is None:
        raise click.BadParameter("Write days or hours, such as 7d or 12h.")
    number = int(found[1])
    return timedelta(days=number) if found[2] == "d" else timedelta(hours=number)


@group.command("build")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to. Default: WEB_STATIC_DIR.",
)
@click.option(
    "--prune",
    "age",
    metavar="AGE",
    callback=_age,
    help="Then delete what no build has listed for this time, such as 7d.",
)
def build_files(*, folder: Path | None, age: timedelta | None) -> None:
    """Copy static files to names with a hash, compressed, for WEB_STATIC_DIR and Nginx.

    What earlier builds have left in the folder stays: pages that are open still ask for it.
    """
    target = folder or static_files.built
    if target is None:
        raise click.UsageError("Say where to: --to DIR, or set WEB_STATIC_DIR.")
    count = build(static_files.files(), target, built_before=static_files.built)
    click.echo(f"{count} static files are in {target}.")
    if age is not None:
        click.echo(f"{prune(target, age)} older ones were deleted.")
