"""Routes of notifications."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from strongback.auth.principal import Principal
from strongback.notification.inbox import Inbox
from strongback.notification.kind import Kinds
from strongback.notification.notification_model import Notification
from strongback.notification.notification_schema import (
    NotificationOut,
    NotificationQuery,
    PreferenceOut,
    PreferencesIn,
    PreferencesOut,
    ReadRequest,
    UnreadOut,
)
from strongback.notification.permission import NotificationPermission
from strongback.notification.preference import Preferences
from strongback.paging import Window
from strongback.schema import Page
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import needs
from strongback.web.injection import inject
from strongback.web.request import current_request
from strongback.web.translation import translate

api = APIBlueprint("sb_notification", __name__, url_prefix="/notifications", tag="notifications")
inbox = inject(Inbox)
kinds = inject(Kinds)
preferences = inject(Preferences)


@api.get("", responses={200: Page[NotificationOut]})
@needs(NotificationPermission.READ)
def list_notifications(query: NotificationQuery, principal: Principal) -> Window[Any]:
    """List your notifications, latest first."""
    window: Window[Any] = inbox.list(principal.user_id, query)
    locale = current_request().locale
    return replace(window, items=[_notification_out(row, locale) for row in window.items])


def _notification_out(row: Notification, locale: str) -> NotificationOut:
    kind = kinds.get(row.kind)
    text = kind.say(row.values, locale, translate) if kind else ""
    return NotificationOut.model_validate({**vars(row), "text": text})


@api.get("/unread", responses={200: UnreadOut})
@needs(NotificationPermission.READ)
def count_unread(principal: Principal) -> UnreadOut:
    """Count your unread notifications."""
    return UnreadOut(count=inbox.unread(principal.user_id))


@api.post("/read", responses={204: None})
@needs(NotificationPermission.WRITE)
def mark_read(body: ReadRequest, principal: Principal) -> None:
    """Mark some or all of your notifications as read; those already read keep their time."""
    if body.all:
        inbox.mark_all_read(principal.user_id)
    else:
        inbox.mark_read(principal.user_id, body.ids)


@api.get("/preferences", responses={200: PreferencesOut})
@needs(NotificationPermission.READ)
def read_preferences(principal: Principal) -> PreferencesOut:
    """Get the ways by which each kind of notification reaches you."""
    return _preferences_of(principal)


def _preferences_of(principal: Principal) -> PreferencesOut:
    locale = current_request().locale
    return PreferencesOut(
        kinds=[
            PreferenceOut(
                kind=kind.name,
                about=translate(kind.about, locale),
                is_security=kind.is_security,
                ways=dict(ways),
            )
            for kind, ways in preferences.list(principal.user_id)
        ]
    )


@api.put("/preferences", responses={200: PreferencesOut})
@needs(NotificationPermission.WRITE)
def replace_preferences(body: PreferencesIn, principal: Principal) -> PreferencesOut:
    """Choose the ways by which each kind of notification reaches you.

    Kinds and ways that are left out get their defaults. What is about the security of your account
    cannot be switched off.
    """
    preferences.replace(principal.user_id, [(each.kind, each.ways) for each in body.kinds])
    return _preferences_of(principal)
