"""Messages to telephones: a provider or the console, and codes that prove a number.

Everything here needs the outbox and the tasks; `build_sender` chooses who sends.
"""

from __future__ import annotations

from strongback.config import Settings
from strongback.extra import require_extra
from strongback.sms.code import SmsCodes
from strongback.sms.sender import ConsoleSender, Receipt, Sender
from strongback.sms.task import sms_tasks
from strongback.sms.tencent import TencentSender

__all__ = [
    "ConsoleSender",
    "Receipt",
    "Sender",
    "SmsCodes",
    "TencentSender",
    "build_sender",
    "sms_tasks",
]


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
