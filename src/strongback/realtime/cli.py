"""Commands for realtime."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator, Sequence
from secrets import token_urlsafe
from typing import Any, cast

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.realtime.access import Access
from strongback.realtime.centrifugo import CentrifugoBroker
from strongback.realtime.channel import PERSONAL, Channels
from strongback.realtime.realtime import Realtime
from strongback.realtime.report import Report
from strongback.realtime.token import AUDIENCE
from strongback.realtime.view import KEY_HEADER
from strongback.web.injection import inject

CONNECTIONS_PER_USER = 20
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
    settings = _settings()
    endpoint = f"{web or settings.address}{rule.rule}"
    configuration = centrifugo_configuration(settings, access, endpoint)
    click.echo(json.dumps(configuration, indent=2))
    if not settings.centrifugo_api_key:
        key = configuration["http_api"]["key"]
        click.echo(f"Set CENTRIFUGO_URL, and CENTRIFUGO_API_KEY={key}", err=True)


def centrifugo_configuration(settings: Settings, access: Access, endpoint: str) -> dict[str, Any]:
    """Return the configuration of a Centrifugo that serves the declared channels."""
    key = settings.centrifugo_api_key.get_secret_value()
    signing, *earlier = access.tokens.keys
    previous = {"hmac_previous_secret_key": earlier[0]} if earlier else {}
    proxy = {
        "endpoint": endpoint,
        "timeout": "2s",
        "include_connection_meta": True,
        "http": {"static_headers": {KEY_HEADER: access.tokens.proxy_keys[0]}},
    }
    configuration: dict[str, Any] = {
        "client": {
            "token": {"hmac_secret_key": signing, **previous, "audience": AUDIENCE},
            "allowed_origins": [settings.address, *settings.web_cors_origins],
            "user_connection_limit": CONNECTIONS_PER_USER,
            "subscribe_to_user_personal_channel": {
                "enabled": True,
                "personal_channel_namespace": PERSONAL,
            },
        },
        "channel": {
            "proxy": {"subscribe": proxy},
            "namespaces": [_namespace(each) for each in access.registry],
        },
        "http_api": {"key": key or token_urlsafe(32)},
        "health": {"enabled": True},
        "prometheus": {"enabled": True},
    }
    if settings.redis_address is not None:
        configuration["engine"] = {"type": "redis", "redis": {"address": settings.redis_address}}
    return configuration


def _namespace(channels: Channels) -> dict[str, Any]:
    is_personal = channels.name == PERSONAL
    options: dict[str, Any] = {
        "name": channels.name,
        "presence": channels.presence,
        "allow_presence_for_subscriber": channels.presence,
        "join_leave": channels.join_leave,
        "force_push_join_leave": channels.join_leave,
        "allow_publish_for_subscriber": channels.publish,
        "allow_user_limited_channels": is_personal,
        "subscribe_proxy_enabled": not is_personal,
        "channel_regex": f"^{channels.pattern}$",
    }
    if channels.history is not None:
        options |= {
            "history_size": channels.history.size,
            "history_ttl": f"{channels.history.ttl.total_seconds():.0f}s",
            "allow_history_for_subscriber": True,
            "force_recovery": True,
            "force_positioning": True,
        }
    return options
