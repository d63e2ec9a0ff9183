"""The application with its worker and a real mail server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.core.config import Settings
from app.user.model import User, fold_email
from strongback.outbox import Outbox
from strongback.outbox.relay import Batch, Relay
from strongback.task import Runner
from tests.support.kept import Kept
from tests.support.sign_in import Client
from tests.support.smtp import run_smtp

ADDRESS = "ada@example.org"


class MailClient(Client):
    """The application, its worker, and the server that it sends through."""

    def __init__(self, settings: Settings) -> None:
        self._running = ExitStack()
        self.server = self._running.enter_context(run_smtp())
        super().__init__(settings.model_copy(update=self.server.settings()))
        self._published: list[tuple[str, list[int]]] = []
        self._relay = Relay(self.app.services[Outbox], self)

    def empty(self) -> None:
        """Let nothing have been sent either."""
        super().empty()
        self.server.reset()

    def close(self) -> None:
        """Close what is open, and end the server."""
        super().close()
        self._running.close()

    def publish(self, batches: Sequence[Batch]) -> None:
        """Keep what is to be run."""
        self._published += [(each.consumer, list(each.ids)) for each in batches]

    def work(self) -> None:
        """Run what is due."""
        runner: Runner = self.app.services[Runner]
        with self.app.app_context():
            while self._relay.deliver():
                while self._published:
                    runner.run(*self._published.pop(0))

    def resident(self, username: str = "ada", address: str = ADDRESS, **values: Any) -> int:
        """Make an account with a verified address; returns its id."""
        user_id = self.account(username).id
        self.change(username, email=address, proven_email=fold_email(address), **values)
        return user_id

    def change(self, username: str, **values: Any) -> None:
        """Write to an account."""

        def write(session: Any) -> None:
            user = session.query(User).filter_by(username=username).one()
            for name, value in values.items():
                setattr(user, name, value)

        with self.database.scope():
            self.database.transact(write)

    def forget(self, account: str = "ada") -> Any:
        """Say that a password is forgotten, and let the worker do its work."""
        answer = self.call("POST", "/auth/password/forgotten", json={"account": account})
        self.work()
        return answer

    def token(self, index: int = -1) -> str:
        """The token in the link of a message; a notification of the sign-in has none."""
        return parse_qs(urlsplit(self.links()[index]).query)["token"][0]

    def links(self) -> list[str]:
        """The links with a token, in the order of their messages."""
        messages = range(len(self.server.taken))
        return [self.server.link(each) for each in messages if "?token=" in self.server.text(each)]

    def reset(self, token: str, password: str = "a good new password") -> Any:
        """Replace a password by a token."""
        return self.call(
            "POST", "/auth/password/reset", json={"token": token, "new_password": password}
        )


@pytest.fixture
def mail(kept: Kept, settings: Settings, database_url: str) -> MailClient:
    """The application on each back end, empty, which the tests of a module share."""
    return kept.emptied(MailClient, settings, database_url)


@pytest.fixture
def sqlite_mail(kept: Kept, settings: Settings) -> MailClient:
    """The same on SQLite, for what no back end has a part in."""
    return kept.emptied(MailClient, settings)
