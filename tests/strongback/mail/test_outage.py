"""A mail server that hangs delays mail, and nothing else."""

from __future__ import annotations

import socket
from contextlib import closing

from app.core.config import Settings
from app.main import create_app
from strongback.app import Strongback
from strongback.cache import OUTDATED
from strongback.database import utc_now
from strongback.mail import MailService
from strongback.migration.runner import upgrade
from strongback.outbox import MessageState
from strongback.server.serve import background_of
from tests.support.cache import eventually
from tests.support.smtp import SmtpServer


def messages(app: Strongback, state: MessageState | None = None) -> list[str]:
    with app.database.scope():
        return [each.consumer for each in app.outbox.list(state, 100)]


def write_mail(app: Strongback) -> None:
    data = {"at": utc_now().isoformat()}
    with app.database.scope():
        app.services[MailService].emit("test", "ada@example.org", "en", data)


def test_other_tasks_go_on(settings: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        server = SmtpServer(port=deaf.getsockname()[1])
        more = server.settings(mail_timeout=50.0) | {"task_threads": 2}
        app = create_app(settings.model_copy(update=more))
        upgrade(app)
        for _ in range(5):
            write_mail(app)
        background_of(app).start()
        assert eventually(lambda: "mail:send" in messages(app, MessageState.RUNNING))
        app.database.transact(lambda _: app.outbox.emit(OUTDATED, {"keys": []}))
        assert eventually(lambda: set(messages(app)) == {"mail:send"})
        assert len(messages(app)) == 5
    background_of(app).stop()
    app.close()
