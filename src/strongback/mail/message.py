"""A message, and its form on the wire (RFC 5322), whose headers nobody can add to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.headerregistry import BaseHeader, HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from typing import ClassVar, Literal

from strongback.address import check_mail_address
from strongback.database import utc_now
from strongback.text import shorten, without_controls

MAX_SUBJECT = 150
"""Characters of a subject; more is cut off."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one person.

    Raises:
        ValueError: The recipient is no address, or has anything besides.
    """

    to: str
    """Address of the recipient, without a name."""
    subject: str
    text: str
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""
    message_id: str = ""
    """Id with its brackets, the same at each attempt; empty for the mail server's own."""

    def __post_init__(self) -> None:
        check_mail_address(self.to)

    @property
    def recipient(self) -> str:
        """The address with its domain in ASCII (RFC 5890), which every server takes."""
        name, _, domain = self.to.rpartition("@")
        return f"{name}@{domain.encode('idna').decode()}"

    def encoded(self, sender: str) -> EmailMessage:
        """The message as SMTP carries it.

        Raises:
            ValueError: A header has a line break.
        """
        message = EmailMessage(policy=_POLICY)
        message["From"], message["To"] = sender, self.recipient
        message["Subject"] = shorten(_inert(without_controls(self.subject)), MAX_SUBJECT)
        message["Date"] = format_datetime(utc_now())
        # No vacation notice is to answer it (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        for name, value in self.headers.items():
            message[name] = _inert(value)
        if self.message_id:
            message["Message-ID"] = self.message_id
        message.set_content(_encodable(self.text))
        if self.html:
            message.add_alternative(_encodable(self.html), subtype="html")
        return message


def mask_address(address: str) -> str:
    """An address as logs show it.

    >>> mask_address("ada@example.org")
    'a***@example.org'
    """
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}***@{domain}"


class _Unfolded(BaseHeader):
    """A header whose long addresses stay as they are: the library would encode each as a word."""

    parse = UniqueUnstructuredHeader.parse
    max_count: ClassVar[Literal[1] | None] = 1

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_REGISTRY = HeaderRegistry()
_REGISTRY.map_to_type("list-unsubscribe", _Unfolded)
_POLICY = SMTP.clone(header_factory=_REGISTRY)


def _inert(value: str) -> str:
    # The library decodes encoded words (RFC 2047) in what it is given, line breaks included.
    return value.replace("=?", "= ?")


def _encodable(text: str) -> str:
    # A lone surrogate cannot be written, and NUL may not.
    return text.encode("utf-8", "replace").decode().replace("\0", "")
