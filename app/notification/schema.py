"""What is asked and said about notifications."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from strongback.schema import MAX_ID, PageQuery, RequestBody, Schema, Timestamp

MARKED_AT_ONCE = 100


class NotificationQuery(PageQuery):
    """Which of one's notifications are wanted."""

    unread: bool = False
    """Only those that are not read."""


class ReadRequest(RequestBody):
    """Which notifications are read now: some by their numbers, or all."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["ids"]}, {"required": ["all"]}]}
    )

    ids: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_ID)]],
        Field(min_length=1, max_length=MARKED_AT_ONCE, default_factory=list),
    ]
    """Numbers of notifications; those of others and unknown ones are passed over."""
    all: Annotated[Literal[True], Field(default_factory=lambda: None)]
    """All that there are at this moment."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("Send either ids or all.")
        return self


class NotificationOut(Schema):
    """One thing that an account is told of."""

    id: int
    """Number of the notification; later ones have higher numbers."""
    kind: str
    """What happened: `article:published`."""
    actor: str
    """Name of the account whose doing it is."""
    subject: str
    """What it is about: `article:7`."""
    data: dict[str, Any]
    """What to show, as it was then; of an article its `slug` and `title`."""
    created_at: Timestamp
    """When it was told."""
    read_at: Timestamp | None
    """When it was marked as read; null if it was not."""
