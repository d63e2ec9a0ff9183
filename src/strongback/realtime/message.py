"""What the client protocol says: publications, positions, errors, and codes of a close.

Numbers and texts are Centrifugo's, as its SDKs know them. An SDK tries again after a temporary
error and after `TOKEN_EXPIRED`; it connects again after a close unless the code is 3500 to 3999 or
4500 to 4999; it subscribes again after an unsubscribe of 2500 or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from strongback.exceptions import StrongbackError


@dataclass(frozen=True, slots=True)
class Identity:
    """Who connects, as a token tells."""

    user_id: int
    session_id: str = ""
    expires_at: float | None = None
    """End of the connection in seconds since 1970, unless its token is refreshed before."""
    info: Any = None
    """JSON that others see of the user in presence."""
    channels: tuple[str, ...] = ()
    """Channels to which the connection is subscribed without asking for it."""
    scope: frozenset[str] | None = None
    """Permissions that the token is limited to; None for all of the account's."""


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """A connection, as others see it in a channel."""

    user: str
    client: str
    conn_info: bytes = b""
    chan_info: bytes = b""

    @property
    def fields(self) -> dict[str, Any]:
        """It, as the protocol writes it."""
        fields: dict[str, Any] = {"user": self.user, "client": self.client}
        if self.conn_info:
            fields["conn_info"] = self.conn_info
        if self.chan_info:
            fields["chan_info"] = self.chan_info
        return fields


@dataclass(frozen=True, slots=True)
class Publication:
    """A message in a channel."""

    data: bytes
    """JSON."""
    offset: int = 0
    """Number in the channel's stream, from 1; 0 in a channel without history."""
    info: ClientInfo | None = None
    """The publisher, if it was a client."""

    @property
    def fields(self) -> dict[str, Any]:
        """It, as the protocol writes it."""
        fields: dict[str, Any] = {"data": self.data}
        if self.offset:
            fields["offset"] = self.offset
        if self.info is not None:
            fields["info"] = self.info.fields
        return fields


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the stream of a channel."""

    epoch: str
    """Name of the stream; another one means that the earlier is gone."""
    offset: int
    """Number of the last publication."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Part of a channel's history, and its end."""

    publications: tuple[Publication, ...]
    top: Position


class Error(NamedTuple):
    """A response to a command that is not carried out."""

    code: int
    message: str
    temporary: bool = False
    """Whether the SDK tries again."""


INTERNAL = Error(100, "internal server error", temporary=True)
UNKNOWN_CHANNEL = Error(102, "unknown channel")
PERMISSION_DENIED = Error(103, "permission denied")
ALREADY_SUBSCRIBED = Error(105, "already subscribed")
LIMIT_EXCEEDED = Error(106, "limit exceeded")
BAD_REQUEST = Error(107, "bad request")
NOT_AVAILABLE = Error(108, "not available")
TOKEN_EXPIRED = Error(109, "token expired")
UNRECOVERABLE_POSITION = Error(112, "unrecoverable position")


class Close(NamedTuple):
    """The end of a connection, or of a subscription."""

    code: int
    reason: str
    """Text that is not JSON: an SDK would read it as such."""


SHUTDOWN = Close(3001, "shutdown")
SERVER_ERROR = Close(3004, "internal server error")
EXPIRED = Close(3005, "connection expired")
SLOW = Close(3008, "slow")
STATE_LOST = Close(3010, "insufficient state")
NO_PONG = Close(3012, "no pong")
TOO_MANY_REQUESTS = Close(3013, "too many requests")
INVALID_TOKEN = Close(3500, "invalid token")
BAD_PROTOCOL = Close(3501, "bad request")
STALE = Close(3502, "stale")
FORCE_DISCONNECT = Close(3503, "force disconnect")
CONNECTION_LIMIT = Close(3504, "connection limit")
SEND_NOT_AVAILABLE = Close(3508, "not available")
INVALID_UTF8 = Close(1007, "invalid UTF-8")

INSUFFICIENT_STATE = Close(2500, "insufficient state")
SUBSCRIPTION_EXPIRED = Close(2501, "subscription expired")


class Refused(StrongbackError):
    """A command gets an error instead of a result."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


class Disconnected(StrongbackError):
    """The connection is closed."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close
