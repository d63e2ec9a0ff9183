"""The channel of each article, `article:{id}`: its counters, and what other slices say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from app.article.model import Article
from strongback.auth.principal import Principal
from strongback.realtime.channel import Channels, Grant, History
from strongback.realtime.realtime import Realtime

_ID = re.compile("[1-9][0-9]{0,14}", re.ASCII)
"""One way of writing each, since another would be another channel."""


class LiveArticles:
    """Publishes to the readers of articles.

    Args:
        realtime: Publishes.
        find: Returns a published article by its id.
    """

    def __init__(self, realtime: Realtime, find: Callable[[int], Article | None]) -> None:
        self._realtime = realtime
        self._find = find
        channels = Channels("article", history=History(100, timedelta(minutes=5)))
        channels.authorize(self._authorize)
        self._channels = realtime.add(channels)

    def _authorize(self, _: Principal, number: str) -> Grant | None:
        article = self._find(int(number)) if _ID.fullmatch(number) else None
        return Grant(data=_counters(article)) if article else None

    def count(self, article: Article) -> None:
        """Publish the counters of an article, as `tell` does: a request waits for no broker."""
        self.tell(article.id, _counters(article))

    def tell(self, number: int, event: Mapping[str, Any]) -> None:
        """Publish an event of an article once the current transaction is committed.

        The article must be locked, so that events come in their order.
        """
        channel = self._channels.channel(number)
        self._realtime.emit(channel, event, key=channel)


def _counters(article: Article) -> dict[str, Any]:
    return {"type": "counters", "likes": article.likes, "comments": article.comments}
