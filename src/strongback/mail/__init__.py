"""Mail by SMTP or in the log, tokens in its links, and unsubscribing by them.

It needs the outbox and the tasks.
"""

from __future__ import annotations

from strongback.mail.mailer import LogMailer, Mailer
from strongback.mail.message import Mail, mask_address
from strongback.mail.one_time_token import OneTimeTokens
from strongback.mail.part import build_mailer, register
from strongback.mail.service import MailService
from strongback.mail.smtp import SmtpMailer
from strongback.mail.template import MailTemplates
from strongback.mail.unsubscribe import Subscription, Unsubscriptions

__all__ = [
    "LogMailer",
    "Mail",
    "MailService",
    "MailTemplates",
    "Mailer",
    "OneTimeTokens",
    "SmtpMailer",
    "Subscription",
    "Unsubscriptions",
    "build_mailer",
    "mask_address",
    "register",
]
