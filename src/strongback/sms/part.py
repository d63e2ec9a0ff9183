"""The part `sms`: codes by text message, and the tasks that send and delete them."""

from __future__ import annotations

from datetime import timedelta

from strongback.app import Strongback
from strongback.config import Settings
from strongback.extra import require_extra
from strongback.sms.code import CODE_REQUESTED, SmsCodes
from strongback.sms.exceptions import SmsRefused
from strongback.sms.notice import SmsNotices
from strongback.sms.quota import SmsQuotas
from strongback.sms.sender import ConsoleSender, Sender
from strongback.sms.tencent import TencentSender
from strongback.sms.view import api
from strongback.task import PermanentFailure, TaskContext, TaskGroup
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


def sms_tasks(codes: SmsCodes) -> TaskGroup:
    """The task group `sms`."""
    group = TaskGroup("sms")

    # A code lives for five minutes, and an attempt that comes later does nothing.
    @group.consumer(
        "send",
        on=CODE_REQUESTED,
        queue="sms",
        transactional=False,
        time_limit=timedelta(seconds=30),
    )
    def send(task: TaskContext, *, nonce: str) -> None:
        """Send a code; retried only if the provider may accept it later."""
        try:
            codes.send(nonce, reference=task.request_id or "")
        except SmsRefused as error:
            raise PermanentFailure(str(error)) from None

    @group.periodic("clean", every=timedelta(minutes=10))
    def clean(_: TaskContext) -> None:
        """Delete expired codes and the counts of past days."""
        codes.clean()

    return group
