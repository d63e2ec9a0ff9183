"""The interface to what sends messages, and the log in its place."""

from __future__ import annotations

from typing import Protocol

import click

from strongback.log.setup import get_logger
from strongback.mail.message import Mail, mask_address

log = get_logger(__name__)


class Mailer(Protocol):
    """Sends messages."""

    def send(self, mail: Mail) -> None:
        """Hand a message to the mail server; its delivery is not confirmed.

        Raises:
            MailFailed: The server may accept it later, or may have accepted it.
            MailRefused: The server will not accept it.
        """
        ...

    def check(self) -> str:
        """Reach the server without sending; returns a sentence about it.

        Raises:
            MailFailed: The server cannot be reached.
            MailRefused: The server refuses the connection.
        """
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class LogMailer:
    """Notes each message in the log, and shows its text on the console.

    Args:
        shows_text: False in production: whoever read the text could use its links.
    """

    def __init__(self, *, shows_text: bool) -> None:
        self._shows_text = shows_text

    def send(self, mail: Mail) -> None:
        """Note the message."""
        log.info("mail_logged", recipient=mask_address(mail.to), message_id=mail.message_id)
        if self._shows_text:
            click.echo(f"Mail to {mask_address(mail.to)}: {mail.subject}\n\n{mail.text}")

    def check(self) -> str:
        """Say that there is no server."""
        return "Mail goes to the log (MAIL_URL is not set)"

    def close(self) -> None:
        """Do nothing."""
