"""Sends messages by SMTP (RFC 5321), one connection each, with TLS that checks certificates."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import unquote, urlsplit

from strongback.address import is_encrypted
from strongback.circuit_breaker import CircuitBreaker
from strongback.config import Settings
from strongback.exceptions import APIException
from strongback.log.setup import get_logger
from strongback.mail.exceptions import MailFailed, MailRefused
from strongback.mail.message import Mail, mask_address
from strongback.text import shorten, without_controls

log = get_logger(__name__)

PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
MAX_REASON = 200
"""Characters of the server's reply that are kept."""
PAUSE = 5.0
FRESH = 30.0
"""Seconds for which a server that has answered is not asked again."""
CHECK_TIMEOUT = 3.0
"""Most seconds that a check waits for each response."""
NEVER = float("-inf")
PERMANENT = range(500, 600)


class SmtpMailer:
    """Hands messages to an SMTP server.

    Args:
        pause: Seconds between two looks at a server that does not answer; nobody waits for it
            meanwhile.
    """

    def __init__(self, settings: Settings, pause: float = PAUSE) -> None:
        url = urlsplit(settings.mail_url or "")
        self.host = url.hostname or ""
        self.port = url.port or PORTS[url.scheme]
        self._is_tls = url.scheme == "smtps"
        self._is_starttls = is_encrypted(url) and not self._is_tls
        self._login = (unquote(url.username or ""), unquote(url.password or ""))
        self._sender = settings.mail_from or ""
        self._name = urlsplit(settings.address).hostname or "localhost"
        self._timeout = settings.mail_timeout
        self._tls = ssl.create_default_context(cafile=settings.mail_ssl_ca)
        self._answered_at = NEVER
        self._circuit = CircuitBreaker("mail", self._answers, pause=pause)

    def send(self, mail: Mail) -> None:
        """Send a message.

        Raises:
            MailFailed: The server is unreachable or busy (4xx), or went away meanwhile.
            MailRefused: The server will not accept it (5xx).
        """
        if self._circuit.is_open:
            raise _failed(f"{self.host}:{self.port} does not answer")
        message = mail.encoded(self._sender)
        with self._explained(mail.recipient), self._connected() as server:
            server.send_message(message, to_addrs=[mail.recipient])
        log.info("mail_sent", recipient=mask_address(mail.to), message_id=mail.message_id)

    def check(self) -> str:
        """Connect, greet, and begin TLS where it is used; signs in to nothing.

        A server that has answered within the last half minute is not bothered again.

        Raises:
            MailFailed: The server cannot be reached, or its certificate is not trusted.
            MailRefused: The server refuses the connection.
        """
        if self._circuit.is_open:
            raise _failed(f"{self.host}:{self.port} does not answer")
        if time.monotonic() - self._answered_at > FRESH:
            self._reach()
        return f"The mail server {self.host}:{self.port} answers"

    def _reach(self) -> None:
        with self._explained(""), self._connected(is_check=True) as server:
            server.ehlo_or_helo_if_needed()

    def close(self) -> None:
        """End the look at a server that does not answer."""
        self._circuit.close()

    def _answers(self) -> bool:
        try:
            with suppress(MailRefused):  # it is there
                self._reach()
        except MailFailed:
            return False
        return True

    @contextmanager
    def _connected(self, *, is_check: bool = False) -> Iterator[smtplib.SMTP]:
        server = self._connect(min(self._timeout, CHECK_TIMEOUT) if is_check else self._timeout)
        try:
            if self._is_starttls:
                server.starttls(context=self._tls)
            if self._login[0] and not is_check:
                server.login(*self._login)
            yield server
            with suppress(smtplib.SMTPException, OSError):  # the message is accepted already
                server.quit()
        finally:
            server.close()

    def _connect(self, timeout: float) -> smtplib.SMTP:
        # The name is given, or the library looks up this machine's by DNS.
        place = (self.host, self.port, self._name)
        if self._is_tls:
            return smtplib.SMTP_SSL(*place, timeout=timeout, context=self._tls)
        return smtplib.SMTP(*place, timeout=timeout)

    @contextmanager
    def _explained(self, recipient: str) -> Iterator[None]:
        """Turn the library's errors into ours, and count those of a server that is not there."""
        try:
            yield
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            raise self._replied(code, reply, recipient) from None
        except smtplib.SMTPResponseException as error:
            raise self._replied(error.smtp_code, error.smtp_error, recipient) from None
        except smtplib.SMTPNotSupportedError as error:
            if recipient.isascii():  # no STARTTLS, no way to sign in: a mended server will do
                raise _failed(str(error)) from None
            raise MailRefused(params={"reason": str(error)}) from None
        except (smtplib.SMTPException, OSError) as error:
            reason = f"{self.host}:{self.port}: {str(error) or type(error).__name__}"
            self._circuit.note_failure(reason)
            self._answered_at = NEVER
            raise _failed(reason) from None
        self._circuit.note_success()
        self._answered_at = time.monotonic()

    def _replied(self, code: int, reply: bytes | str, recipient: str) -> APIException:
        self._circuit.note_success()
        text = reply.decode("utf-8", "backslashreplace") if isinstance(reply, bytes) else reply
        hidden = text.replace(recipient, mask_address(recipient)) if recipient else text
        reason = shorten(without_controls(f"{code} {hidden}"), MAX_REASON)
        return (MailRefused if code in PERMANENT else MailFailed)(params={"reason": reason})


def _failed(reason: str) -> MailFailed:
    return MailFailed(params={"reason": shorten(without_controls(reason).rstrip("."), MAX_REASON)})
