"""Senders of messages: the interface, and one that prints to the console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import click

from strongback.sms.phone import mask_phone


@dataclass(frozen=True, slots=True)
class Receipt:
    """An accepted message; its delivery is not confirmed."""

    id: str
    """Id of the message at the provider."""


class Sender(Protocol):
    """Sends messages by approved templates."""

    def send(
        self, phone: str, params: Sequence[str], *, template: str | None = None, reference: str = ""
    ) -> Receipt:
        """Send a message.

        Args:
            phone: Number of the recipient (E.164).
            params: Values of the template's variables, in order.
            template: Id of the template. Default: the configured one, for codes.
            reference: Reference for the provider's records, such as the request's id.

        Raises:
            SmsFailed: The provider may accept it later.
            SmsTimeout: It is unknown whether the provider has accepted it.
            SmsRefused: The provider will not accept it.
        """
        ...


class ConsoleSender:
    """Prints messages to the standard output, for development."""

    def send(
        self,
        phone: str,
        params: Sequence[str],
        *,
        template: str | None = None,
        reference: str = "",  # noqa: ARG002  the port's
    ) -> Receipt:
        """Print the message; it is not logged."""
        by = f" by template {template}" if template else ""
        click.echo(f"SMS to {mask_phone(phone)}{by}: {', '.join(params)}")
        return Receipt("console")
