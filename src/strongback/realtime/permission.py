"""Permission of the routes of realtime."""

from __future__ import annotations

from strongback.auth.permission import Permission


class RealtimePermission(Permission):
    """What may be done with live messages."""

    CONNECT = ("realtime:connect", "Receive live messages.")
