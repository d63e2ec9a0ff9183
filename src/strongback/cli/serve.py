"""`flask serve`: the web server in place of this process."""

from __future__ import annotations

from typing import Any, NoReturn, cast

import click
from flask import current_app
from flask.cli import with_appcontext

from strongback.server.serve import check_start, serve


def start() -> NoReturn:
    """Become the server that `WEB_SERVER` names, for the command's application; see `serve`."""
    app = cast("Any", current_app)
    serve(app.settings, f"{app.import_name}:create_app")


@click.command("serve")
@with_appcontext
def command() -> None:
    """Start the web server that WEB_SERVER names, in place of this process."""
    check_start(cast("Any", current_app).settings)
    start()
