"""A mailbox that shows what was sent to it, and the parts of mail joined as in an application."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import update

from strongback.config import Settings
from strongback.database import Database, utc_now
from strongback.mail import Mail, MailService, MailTemplates, Unsubscriptions
from strongback.mail.mail_model import MailToken
from strongback.mail.mail_task import mail_tasks
from strongback.web.translation import FOLDER, Translations
from tests.support.task import TaskHarness


@dataclass
class MailBox:
    """A mailer that delivers at once."""

    received: list[Mail] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """What the next messages fail with."""
    lost_replies: list[Exception] = field(default_factory=list)
    """What the next messages fail with after they have arrived."""

    def send(self, mail: Mail) -> None:
        """Keep the message, or fail."""
        if self.failures:
            raise self.failures.pop(0)
        self.received.append(mail)
        if self.lost_replies:
            raise self.lost_replies.pop(0)

    def check(self) -> str:
        """Always there."""
        return "The mailbox answers"

    def close(self) -> None:
        """Nothing is open."""


class MailHarness:
    """Mail with a worker and a mailbox."""

    def __init__(self, database: Database, settings: Settings, folder: Path) -> None:
        settings = settings.model_copy(update={"app_url": "https://shop.example.org"})
        self.database = database
        self.tasks = TaskHarness(database)
        self.box = MailBox()
        self.unsubscriptions = Unsubscriptions(settings, "/api/off", "/off")
        facts = {"title": "Shop", "url": settings.address}
        self.templates = MailTemplates(Translations(FOLDER).translate, facts)
        folder.mkdir(exist_ok=True)
        layout = "{% block subject %}For {{ name }}{% endblock %}"
        body = "{% block body %}Hello {{ name }}: {{ link }}{% endblock %}"
        (folder / "hello.txt").write_text(f"{{% extends 'layout.txt' %}}{layout}{body}")
        (folder / "hello.html").write_text(f"{{% extends 'layout.html' %}}{body}")
        self.templates.add(folder)
        self.mails = MailService(
            database, self.tasks.outbox, settings, self.box, self.templates, self.unsubscriptions
        )
        self.tokens = self.mails.tokens
        self.tasks.registry.add(mail_tasks(self.mails))

    def emit(self, name: str = "ada", to: str = "ada@example.org", **more: object) -> bool:
        """Write a message in a transaction of its own."""
        with self.database.scope():
            data = {"name": name}
            return self.mails.emit("hello", to, "en", data, **more)  # type: ignore[arg-type]  # a test's

    def try_again(self, times: int) -> None:
        """Let the worker try so often."""
        for _ in range(times):
            self.tasks.work()
            self.tasks.wait()

    def expire_tokens(self) -> None:
        """Let half an hour pass for every token."""
        with self.database.scope():
            query = update(MailToken).values(expires_at=utc_now())
            self.database.transact(lambda session: session.execute(query))
