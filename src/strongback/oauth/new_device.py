"""Notifies the owner of an account when a device signs in that is new to it."""

from __future__ import annotations

from strongback.auth.session_model import AuthSession
from strongback.auth.session_service import SessionService
from strongback.notification.kind import Kind
from strongback.notification.sender import Notifications

NEW_DEVICE = Kind(
    "session:new-device",
    about="Your account is signed in to from a device that has not been used for 90 days.",
    text="Your account was signed in to from a new device: {device}.",
    subject="New sign-in to your account",
    body="Your account was signed in to from a new device at {at}: {device}, address {address}. If"
    " it was not you, change your password: that signs out all other devices.",
    is_security=True,
)
DEVICE_LENGTH = 100
"""Characters of a User-Agent that are shown."""


def tell_of_new_devices(sessions: SessionService, notifications: Notifications | None) -> None:
    """Notify the owners of accounts that new devices sign in to, if anybody is notified here."""
    if notifications is None:
        return

    def tell(session: AuthSession) -> None:
        data = {
            "device": session.user_agent[:DEVICE_LENGTH] or "-",
            "address": session.address,
            "at": f"{session.created_at:%Y-%m-%d %H:%M} UTC",
        }
        notifications.send(NEW_DEVICE, f"session:{session.id}", to=[session.user_id], data=data)

    notifications.declare(NEW_DEVICE)
    sessions.on_new_device = tell
