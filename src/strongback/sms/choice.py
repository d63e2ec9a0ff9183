"""Who sends messages, as the settings say."""

from __future__ import annotations

from strongback.config import Settings
from strongback.extra import require_extra
from strongback.sms.sender import ConsoleSender, Sender
from strongback.sms.tencent import TencentSender


def build_sender(settings: Settings) -> Sender | None:
    """Who sends messages: Tencent Cloud where it is set up, else the console.

    In production None instead of the console: whoever reads its output could sign in as anybody.

    Raises:
        ConfigurationError: The extra `sms` is not installed.
    """
    require_extra("sms", "SMS")
    if settings.sms_app_id is not None:
        return TencentSender(settings)
    return None if settings.is_production else ConsoleSender()
