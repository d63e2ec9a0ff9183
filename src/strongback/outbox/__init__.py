"""The outbox: messages written in the transaction of what they tell about, and delivered after it.

    @transactional
    def publish(self, slug: str) -> Article:
        article = ...
        self.outbox.emit("article:published", {"article_id": article.id}, key=f"article:{slug}")

Both are committed, or neither is. A `Relay` delivers committed messages to a broker, each at least
once. A consumer notes in the inbox, in its own transaction, that a message has had its effect.
"""

from strongback.outbox.model import InboxEntry, MessageState, OutboxMessage
from strongback.outbox.relay import Batch, Publisher, PublishFailed, Relay
from strongback.outbox.service import MAX_COUNTED, Claimed, InvalidMessage, Outbox, OutboxStatus

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
