"""The part `sms`: codes by text message."""

from __future__ import annotations

from strongback.app import Strongback
from strongback.config import Settings
from strongback.extra import require_extra
from strongback.sms.code import CODE_REQUESTED, SmsCodes
from strongback.sms.notice import SmsNotices
from strongback.sms.quota import SmsQuotas
from strongback.sms.sender import ConsoleSender, Sender
from strongback.sms.sms_task import sms_tasks
from strongback.sms.tencent import TencentSender
from strongback.sms.view import api
from strongback.task.declaration import TaskRegistry


def register(app: Strongback, url_prefix: str) -> SmsCodes:
    """Send codes, and serve their routes below a prefix. Needs the part `task`."""
    app.outbox.declare("strongback.sms", CODE_REQUESTED)
    settings, sender = app.settings, build_sender(app.settings)
    codes = SmsCodes(app.database, app.outbox, sender, settings)
    quotas = SmsQuotas(app.database, settings)
    app.services[TaskRegistry].add(sms_tasks(codes))
    app.provide(codes, SmsNotices(sender, quotas, settings.sms_prefixes))
    app.register_api(api, url_prefix=f"{url_prefix}/auth")
    return codes


def build_sender(settings: Settings) -> Sender | None:
    """Return the sender of messages: Tencent Cloud if configured, else the console.

    In production there is no console sender: whoever reads its output could sign in as anybody.

    Raises:
        ConfigurationError: The extra `sms` is not installed.
    """
    require_extra("sms", "SMS")
    if settings.sms_app_id is not None:
        return TencentSender(settings)
    return None if settings.is_production else ConsoleSender()
