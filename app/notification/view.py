"""Routes of notifications."""

from __future__ import annotations

from app.core.permission import Permission
from app.notification.model import Notification
from app.notification.schema import NotificationOut, NotificationQuery, ReadRequest
from app.notification.service import NotificationService
from strongback.auth.principal import Principal
from strongback.paging import Window
from strongback.schema import Page
from strongback.web import APIBlueprint, inject, needs

api = APIBlueprint("notifications", __name__, url_prefix="/api/v1/notifications")
notifications = inject(NotificationService)


@api.get("", responses={200: Page[NotificationOut]})
@needs(Permission.NOTIFICATION_READ)
def list_notifications(query: NotificationQuery, principal: Principal) -> Window[Notification]:
    """List your notifications, latest first."""
    return notifications.list(principal.username, query)


@api.post("/read", responses={204: None})
@needs(Permission.NOTIFICATION_WRITE)
def mark_read(body: ReadRequest, principal: Principal) -> None:
    """Mark some or all of your notifications as read; those already read keep their time."""
    if body.all:
        notifications.mark_all_read(principal.username)
    else:
        notifications.mark_read(principal.username, body.ids)
