"""Errors of realtime, below those of the API; codes 140xx.

    StrongbackError
    ├── InvalidPublication             what cannot be sent
    └── APIException
        ├── ChannelDenied              403 14001
        └── UnknownChannel             404 14002

`InvalidChannel` stands beside the names of channels, `BrokerUnavailable` beside the broker; the
protocol's own errors and codes are in `message`.
"""

from __future__ import annotations

from strongback.exceptions import Forbidden, NotFound, StrongbackError


class InvalidPublication(StrongbackError):
    """Data that cannot be published: no JSON, or too much."""


class ChannelDenied(Forbidden):
    """The caller may not subscribe to the channel."""

    error_code = 14001
    message = "You may not subscribe to this channel."


class UnknownChannel(NotFound):
    """No channel is called so."""

    error_code = 14002
    message = "There is no such channel."
