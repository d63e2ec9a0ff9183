"""Commands for realtime."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, cast

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.realtime.access import Access
from strongback.realtime.centrifugo import CentrifugoBroker
from strongback.realtime.centrifugo_config import centrifugo_configuration
from strongback.realtime.realtime import Realtime
from strongback.realtime.report import Report
from strongback.web.injection import inject

TIMEOUT = 5
"""Seconds in which the server must respond."""
HEAD = ("process", "connections", "channels", "received/s", "sent/s")
_METRIC = re.compile(r"^realtime_(\w+) ([0-9.e+]+)$", re.MULTILINE)

group = AppGroup("realtime", help="Look after live messages.")
realtime = inject(Realtime)
access = inject(Access)


def _settings() -> Settings:
    settings: Settings = cast("Any", current_app).settings
    return settings


@group.command("info")
@with_appcontext
def show_info() -> None:
    """Show the servers: their connections, channels, and publications a second."""
    rows = [HEAD, *_rows()]
    widths = [max(len(str(value)) for value in column) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{row[at]!s:<{width}}" for at, width in enumerate(widths)))


def _rows() -> Iterator[Sequence[object]]:
    if isinstance(realtime.broker, CentrifugoBroker):
        for node in realtime.broker.nodes():
            numbers = (node.get(name, 0) for name in ("num_clients", "num_channels"))
            yield node["name"], *numbers, "-", "-"
        return
    if _settings().redis_url is None:
        yield _server_figures()
        return
    for row in cast("Any", current_app).services[Report].rows():
        yield row.process, row.connections, row.channels, row.received, row.sent


def _server_figures() -> Sequence[object]:
    """What the server of this application says at `/metrics`: it is another process."""
    address = f"http://{_settings().web_address}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/metrics", timeout=TIMEOUT) as response:
            found = dict(_METRIC.findall(response.read().decode()))
    except OSError as error:
        raise ConfigurationError(
            f"No server answers at {address} ({error}): start it, or name it by WEB_HOST and"
            " WEB_PORT"
        ) from error
    names = ("connections", "channels", "received_per_second", "sent_per_second")
    return address, *(f"{float(found.get(name, 0)):g}" for name in names)


@group.command("centrifugo")
@click.option("--web", help="Address at which Centrifugo reaches the API.  [default: APP_URL]")
@with_appcontext
def show_configuration(web: str | None) -> None:
    """Print the configuration (config.json) of a real Centrifugo 6; it holds secrets."""
    rule = next(current_app.url_map.iter_rules("sb_realtime.allow_subscription"))
    configuration = centrifugo_configuration(
        _settings(), access, f"{web or _settings().address}{rule.rule}"
    )
    click.echo(json.dumps(configuration, indent=2))
    if not _settings().centrifugo_api_key.get_secret_value():
        key = configuration["http_api"]["key"]
        click.echo(f"Set CENTRIFUGO_URL, and CENTRIFUGO_API_KEY={key}", err=True)
