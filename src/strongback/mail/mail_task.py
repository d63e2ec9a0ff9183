"""Tasks of mail: sending it, and deleting expired tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from strongback.mail.exceptions import MailRefused
from strongback.mail.service import MAIL, MailService
from strongback.task import PermanentFailure, TaskContext, TaskGroup

MAX_ATTEMPTS = 12
BACKOFF = timedelta(seconds=5)
"""With twelve attempts, a message is tried for half an hour to an hour."""


def mail_tasks(mails: MailService) -> TaskGroup:
    """The task group `mail`."""
    group = TaskGroup("mail")

    @group.consumer(
        "send",
        on=MAIL,
        queue="email",
        transactional=False,
        max_attempts=MAX_ATTEMPTS,
        backoff=BACKOFF,
        time_limit=timedelta(minutes=1),
    )
    def send(task: TaskContext, **payload: Any) -> None:  # noqa: ANN401  what emit has written
        """Send a message; retried only if the server may accept it later."""
        try:
            mails.send(task.message_id or 0, payload)
        except MailRefused as error:
            raise PermanentFailure(str(error)) from None

    @group.periodic("clean", every=timedelta(minutes=10))
    def clean(_: TaskContext) -> None:
        """Delete expired tokens and the counts of past hours."""
        mails.tokens.clean()
        mails.quotas.clean()

    return group
