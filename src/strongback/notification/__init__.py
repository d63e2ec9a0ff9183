"""Notifications: kinds that slices declare, and the ways by which they reach people.

    COMMENTED = Kind("comment:written", about="…", text="{actor} commented on “{title}”.")

    notifications = app.services.find(Notifications)    # None where the part is not registered
    notifications.declare(COMMENTED)

    @transactional
    def create(self, ...):
        ...
        notifications.send(COMMENTED, f"comment:{comment.id}", to=[article.author], actor=author)

It needs the outbox and the tasks.
"""

from strongback.notification.inbox import Inbox
from strongback.notification.kind import Kind, Kinds, Way
from strongback.notification.part import register
from strongback.notification.permission import NotificationPermission
from strongback.notification.preference import Preferences
from strongback.notification.sender import Notifications

__all__ = [
    "Inbox",
    "Kind",
    "Kinds",
    "NotificationPermission",
    "Notifications",
    "Preferences",
    "Way",
    "register",
]
