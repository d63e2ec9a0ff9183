"""Tasks of codes: sending them, and deleting expired ones."""

from __future__ import annotations

from datetime import timedelta

from strongback.sms.code import CODE_REQUESTED, SmsCodes
from strongback.sms.exceptions import SmsRefused
from strongback.task import PermanentFailure, TaskContext, TaskGroup


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
