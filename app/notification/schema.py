"""Requests and responses of notifications."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from strongback.schema import MAX_ID, PageQuery, RequestBody, Schema, Timestamp

MARKED_AT_ONCE = 100


class NotificationQuery(PageQuery):
    """Filters of the list of notifications."""

    unread: bool = False
    """Unread notifications only."""


class ReadRequest(RequestBody):
    """Notifications to mark as read: either `ids` or `all`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["ids"]}, {"required": ["all"]}]}
    )

    ids: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_ID)]],
        Field(min_length=1, max_length=MARKED_AT_ONCE, default_factory=list),
    ]
    """Ids of notifications; unknown ids and those of other accounts are ignored."""
    all: Annotated[Literal[True], Field(default_factory=lambda: None)]
    """True marks all current notifications."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("Send either ids or all.")
        return self


class NotificationOut(Schema):
    """A notification."""

    id: int
    """Id of the notification; later ones have higher ids."""
    kind: str
    """Kind of event, such as `article:published`."""
    actor: str
    """Username of the account that caused it."""
    subject: str
    """Subject of the event, such as `article:7`."""
    data: dict[str, Any]
    """Details at the time of the event: `slug` and `title` of an article."""
    created_at: Timestamp
    """Time of creation."""
    read_at: Timestamp | None
    """Time at which it was marked as read; null if unread."""
