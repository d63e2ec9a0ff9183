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
    """List one's own notifications, the latest first."""
    return notifications.list(principal.username, query)


@api.post("/read", responses={204: None})
@needs(Permission.NOTIFICATION_WRITE)
def mark_read(body: ReadRequest, principal: Principal) -> None:
    """Mark notifications as read, some or all; what is read already stays as it is."""
    if body.all:
        notifications.mark_all_read(principal.username)
    else:
        notifications.mark_read(principal.username, body.ids)
