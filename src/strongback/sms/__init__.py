"""Text messages, by a provider or on the console, and codes that verify a telephone number.

It needs the outbox and the tasks.
"""

from __future__ import annotations

from strongback.sms.code import SmsCodes
from strongback.sms.notice import SmsNotices
from strongback.sms.part import build_sender, register, sms_tasks
from strongback.sms.sender import ConsoleSender, Receipt, Sender
from strongback.sms.tencent import TencentSender

__all__ = [
    "ConsoleSender",
    "Receipt",
    "Sender",
    "SmsCodes",
    "SmsNotices",
    "TencentSender",
    "build_sender",
    "register",
    "sms_tasks",
]
