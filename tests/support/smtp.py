"""A real SMTP server on this machine, which keeps what it takes and fails as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from logging import WARNING, getLogger
from typing import Any, Literal
from urllib.parse import quote

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from strongback.testing.port import free_port

getLogger("mail.log").setLevel(WARNING)  # aiosmtpd logs each connection
FROM = "Shop <no-reply@example.org>"
USER, PASSWORD = "shop@example.org", "p@ss/w:rd%1"


@dataclass
class SmtpServer:
    """What the server has taken, and how it is to reply."""

    port: int = field(default_factory=free_port)
    taken: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    secured: list[bool] = field(default_factory=list)
    """Whether each message came by TLS."""
    users: list[str | None] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    """Replies to the next recipients; `250` takes one."""
    data_replies: list[str] = field(default_factory=list)
    """Replies to the next messages, which are not taken."""
    losses: int = 0
    """Connections that are to be lost with the next messages, which are taken."""

    def settings(self, scheme: str = "smtp", login: str = "", **more: Any) -> dict[str, Any]:
        """What points the application here."""
        host = "127.0.0.1" if scheme == "smtp" else "localhost"
        return {
            "mail_url": f"{scheme}://{login and f'{login}@'}{host}:{self.port}",
            "mail_from": FROM,
            "mail_timeout": 5.0,
            "app_url": "https://shop.example.org",
            **more,
        }

    stalls: int = 0
    """Messages that are to get no reply."""

    def reset(self) -> None:
        """Have taken nothing and have nothing to do, as at first."""
        vars(self).update(vars(SmtpServer(self.port)))

    # What aiosmtpd calls

    async def handle_RCPT(  # noqa: N802  SMTP's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self.replies.pop(0) if self.replies else "250 Taken"
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802  the same
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.data_replies:
            return self.data_replies.pop(0)
        if self.stalls:
            self.stalls -= 1
            await asyncio.sleep(60)
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append(message)
        self.recipients += envelope.rcpt_tos
        self.secured.append(session.ssl is not None)
        self.users.append(session.auth_data)
        if self.losses:
            self.losses -= 1
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 Taken"

    # What tests read

    def text(self, index: int = -1) -> str:
        """The text of a message."""
        return self._part("plain", index)

    def html(self, index: int = -1) -> str:
        """The HTML of a message."""
        return self._part("html", index)

    def _part(self, kind: Literal["plain", "html"], index: int) -> str:
        part = self.taken[index].get_body((kind,))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    def link(self, index: int = -1) -> str:
        """The path and query of the link in a message."""
        found = [line for line in self.text(index).splitlines() if "?token=" in line]
        return found[0].partition("https://shop.example.org")[2].strip()


LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    """Know one user."""
    assert isinstance(data, LoginPassword)
    is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False, auth_data=data.login.decode())


@contextmanager
def run_smtp(server: SmtpServer | None = None, **options: Any) -> Iterator[SmtpServer]:
    """Serve on a free port of this machine; the options are aiosmtpd's."""
    server = server or SmtpServer()
    options.setdefault("enable_SMTPUTF8", True)
    controller = Controller(server, hostname="127.0.0.1", port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop(no_assert=True)
