"""Who sends messages: an interface, and the console in place of a provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import click

from strongback.sms.phone import mask_phone


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message that was taken over; whether it arrives is known later, if ever."""

    id: str
    """The provider's number of the message, to ask the provider by."""


class Sender(Protocol):
    """Sends messages by the one template that it was set up with."""

    def send(self, phone: str, params: Sequence[str], *, reference: str = "") -> Receipt:
        """Hand a message over.

        Args:
            phone: Whom it is for (E.164).
            params: Values of the template's variables, in their order.
            reference: What is noted beside it at the provider, such as the request's id.

        Raises:
            SmsFailed: It was not taken, and may be later.
            SmsTimeout: It is not known whether it was taken.
            SmsRefused: It will not be taken.
        """
        ...


class ConsoleSender:
    """Shows messages on the standard output; for development, where no telephone is at hand."""

    def send(
        self, phone: str, params: Sequence[str], *, reference: str = ""  # noqa: ARG002  the port's
    ) -> Receipt:
        """Print the message. It is not a log event: nothing keeps it."""
        click.echo(f"SMS to {mask_phone(phone)}: {', '.join(params)}")
        return Receipt("console")
