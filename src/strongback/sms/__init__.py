"""Messages to telephones: a provider or the console, and codes that prove a number.

Everything here needs the outbox and the tasks; `build_sender` chooses who sends.
"""

from __future__ import annotations

from strongback.sms.choice import build_sender
from strongback.sms.code import SmsCodes
from strongback.sms.part import register
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
    "register",
    "sms_tasks",
]
