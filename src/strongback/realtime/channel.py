"""Channels: what a slice declares of those that it publishes to, and who may subscribe.

    article_channels = Channels(
        "article", history=History(100, timedelta(minutes=5)), presence=True
    )

    @article_channels.authorize
    def may_read(principal: Principal, rest: str) -> Grant | None:
        return Grant() if rest.isdecimal() and articles.is_public(int(rest)) else None

A channel is called `namespace:rest`, such as `article:7`. The names are those that Centrifugo takes
as well, without the characters to which it gives a meaning.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from strongback.auth.principal import Principal
from strongback.collision import Names
from strongback.exceptions import ConfigurationError, StrongbackError

MAX_LENGTH = 255
"""Characters of a channel's name."""
MAX_HISTORY = 300
"""Publications that a client may miss and still recover."""
REST = "[-A-Za-z0-9_.~@=+,:]+"
"""Pattern of what follows the namespace; the other characters have a meaning for Centrifugo."""
PERSONAL_REST = "#[1-9][0-9]{0,18}"
PERSONAL = "user"
_NAMESPACE = re.compile("[-A-Za-z0-9_]{2,100}")

Authorize = Callable[[Principal, str], "Grant | None"]
"""Returns what a principal gets with the channel `namespace:rest`; None if it may not subscribe."""


class InvalidChannel(StrongbackError):
    """A name that no channel can have."""


@dataclass(frozen=True, slots=True)
class History:
    """Publications that a channel keeps, for clients that come back."""

    size: int
    """Most publications."""
    ttl: timedelta
    """Time after the last publication at which all are dropped."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The permission to subscribe to a channel."""

    info: Any = None
    """JSON that others see of the subscriber in this channel's presence."""
    data: Any = None
    """JSON that the subscriber gets with the response, such as the present state."""
    expires_at: float | None = None
    """End of the subscription in seconds since 1970, unless its token is refreshed before."""


class Channels:
    """The channels of a namespace, and their options.

    Args:
        name: The namespace: letters, digits, `-` and `_`, at least two.
        history: Publications that each channel keeps; None for none, so that nothing is recovered.
        presence: Whether subscribers may ask who else is there.
        join_leave: Whether each subscriber is told of every other that comes and goes.
        publish: Whether subscribers may publish, past the application.

    Raises:
        ConfigurationError: The namespace is not spelled so, or the history has no or too long a
            size.
    """

    pattern = REST

    def __init__(
        self,
        name: str,
        *,
        history: History | None = None,
        presence: bool = False,
        join_leave: bool = False,
        publish: bool = False,
    ) -> None:
        self.place = _place_of_caller()
        self.name = name
        self.history = history
        self.presence = presence
        self.join_leave = join_leave
        self.publish = publish
        self._authorize: Authorize = lambda *_: None
        if not _NAMESPACE.fullmatch(name):
            rule = "write letters, digits, - and _, 2 to 100"
            raise ConfigurationError(f"channels {name!r} ({self.place}): {rule}")
        if history and not (0 < history.size <= MAX_HISTORY and history.ttl > timedelta()):
            rule = f"a history has 1 to {MAX_HISTORY} publications and a time"
            raise ConfigurationError(f"channels {name} ({self.place}): {rule}")

    def channel(self, *rest: object) -> str:
        """Return the name of a channel: `article:7`, `operation:outbox:dead`.

        Args:
            rest: The parts after the namespace, in ASCII: ids instead of titles.

        Raises:
            InvalidChannel: No channel can be called so.
        """
        channel = f"{self.name}:{':'.join(map(str, rest))}"
        if not self.has(channel):
            raise InvalidChannel(
                f"no channel is called {channel!r}: it takes ASCII letters, digits and"
                f" -_.~@=+,: and {MAX_LENGTH} characters; use ids"
            )
        return channel

    def has(self, channel: str) -> bool:
        """Whether a name is one of this namespace's."""
        rest = channel.removeprefix(f"{self.name}:")
        is_short = len(rest) < len(channel) <= MAX_LENGTH
        return is_short and re.fullmatch(self.pattern, rest, re.ASCII) is not None

    def authorize(self, function: Authorize) -> Authorize:
        """Decide by a function who may subscribe; without one, nobody may."""
        self._authorize = function
        return function

    def grant(self, principal: Principal, channel: str) -> Grant | None:
        """What a principal gets with a channel of this namespace; None if nothing."""
        return self._authorize(principal, channel.partition(":")[2])


class ChannelRegistry:
    """The namespaces of an application."""

    def __init__(self) -> None:
        self._names = Names("channels")
        self._namespaces: dict[str, Channels] = {}
        # `user:#7`, to which we subscribe the connections of account 7.
        personal = self.add(Channels(PERSONAL, history=History(100, timedelta(minutes=5))))
        personal.pattern = PERSONAL_REST
        personal.authorize(
            lambda principal, rest: Grant() if rest == f"#{principal.user_id}" else None
        )

    def add(self, channels: Channels) -> Channels:
        """Add a namespace, and return it.

        Raises:
            ConfigurationError: There is one of this name; the message tells where both are.
        """
        self._names.claim(channels.name, channels.place)
        self._namespaces[channels.name] = channels
        return channels

    def find(self, channel: str) -> Channels | None:
        """The namespace of a channel; None if there is none, or no channel can be called so."""
        namespace = self._namespaces.get(channel.partition(":")[0])
        return namespace if namespace is not None and namespace.has(channel) else None

    def history(self, channel: str) -> History | None:
        """What a channel keeps; None if nothing."""
        namespace = self.find(channel)
        return None if namespace is None else namespace.history

    def personal(self, user_id: int) -> str:
        """Name of an account's own channel."""
        return self._namespaces[PERSONAL].channel(f"#{user_id}")

    def __iter__(self) -> Iterator[Channels]:
        return iter(self._namespaces.values())


def _place_of_caller() -> str:
    """Module and line in which a namespace is declared."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    return f"{frame.f_globals.get('__name__')}:{frame.f_lineno}" if frame is not None else __name__
