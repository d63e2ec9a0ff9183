"""The outbox: what a write causes is written with it, and done after it.

    @transactional
    def publish(self, slug: str) -> Article:
        article = ...
        self.outbox.emit("article:published", {"article_id": article.id}, key=f"article:{slug}")

Either both are committed or neither is. A `Relay` gives committed messages to a broker, at least
once each; consumers note in the inbox, in their own transaction, what has had its effect.
"""

from strongback.outbox.model import InboxEntry, MessageState, OutboxMessage
from strongback.outbox.relay import Batch, Publisher, PublishFailed, Relay
from strongback.outbox.service import (
    MAX_COUNTED,
    Claimed,
    InvalidMessage,
    Outbox,
    OutboxStatus,
)

__all__ = [
    "MAX_COUNTED",
    "Batch",
    "Claimed",
    "InboxEntry",
    "InvalidMessage",
    "MessageState",
    "Outbox",
    "OutboxMessage",
    "OutboxStatus",
    "PublishFailed",
    "Publisher",
    "Relay",
]
