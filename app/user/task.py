"""Tasks of accounts."""

from __future__ import annotations

from app.user.password_reset import FORGOTTEN, PasswordReset
from strongback.task import TaskContext, TaskGroup
from strongback.web import inject

group = TaskGroup("user")
resets = inject(PasswordReset)


@group.consumer("mail-password-link", on=FORGOTTEN, queue="email")
def mail_password_link(_: TaskContext, *, login: str) -> None:
    """Look up an account, and mail a link to its owner."""
    resets.send(login)
