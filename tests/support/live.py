"""What the application publishes to channels, and who may subscribe, without a connection."""

from __future__ import annotations

import json
from typing import Any

from strongback.app import Strongback
from strongback.auth.principal import Principal
from strongback.realtime import Grant, Realtime


def published(app: Strongback, channel: str) -> list[dict[str, Any]]:
    """What a channel keeps, the oldest first."""
    stream = app.services[Realtime].history(channel, 100)
    return [json.loads(each.data) for each in stream.publications]


def grant(app: Strongback, principal: Principal, channel: str) -> Grant | None:
    """What a principal gets with a channel; None if nothing."""
    namespace = app.services[Realtime].channels.find(channel)
    assert namespace is not None
    with app.app_context(), app.services[Realtime].database.scope():
        return namespace.grant(principal, channel)
