"""Requests and responses of notifications."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from strongback.notification.kind import Way
from strongback.notification.notification_model import KIND_LENGTH
from strongback.schema import MAX_ID, PageQuery, RequestBody, Schema, Timestamp

MARKED_AT_ONCE = 100
MAX_KINDS = 500


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
    actor: str | None
    """Username of the account that caused it; null if no other account did."""
    subject: str
    """Subject of the event, such as `article:7`."""
    data: dict[str, Any]
    """Details at the time of the event, such as `slug` and `title` of an article."""
    text: str
    """Text in your language; empty if the application has this kind no longer."""
    created_at: Timestamp
    """Time of creation."""
    read_at: Timestamp | None
    """Time at which it was marked as read; null if unread."""


class UnreadOut(Schema):
    """Number of unread notifications."""

    count: int
    """Number of unread notifications, counted up to 10,000."""


class PreferenceOut(Schema):
    """The ways of one kind of notification."""

    kind: str
    """Kind of event, such as `article:published`."""
    about: str
    """Description of the event, in your language."""
    is_security: bool
    """Whether it is about the security of your account, and cannot be switched off."""
    ways: dict[Way, bool]
    """Ways of this kind, and whether each is on."""


class PreferencesOut(Schema):
    """The ways of every kind of notification."""

    kinds: list[PreferenceOut]
    """Every kind."""


class PreferenceIn(RequestBody):
    """Your choice for one kind of notification."""

    kind: Annotated[str, Field(max_length=KIND_LENGTH)]
    """Kind of event, such as `article:published`."""
    ways: dict[Annotated[Way, Field(strict=False)], bool]
    """Ways to switch on or off; others have their defaults."""


class PreferencesIn(RequestBody):
    """Your choices; kinds that are left out have their defaults."""

    kinds: Annotated[list[PreferenceIn], Field(max_length=MAX_KINDS)]
    """One entry for each kind."""

    @model_validator(mode="after")
    def _has_each_kind_once(self) -> Self:
        if len({each.kind for each in self.kinds}) != len(self.kinds):
            raise ValueError("Send each kind once.")
        return self
