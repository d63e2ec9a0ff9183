"""Notices by text message: other messages than codes, each by a template of its own."""

from __future__ import annotations

from collections.abc import Sequence

from strongback.log.setup import get_logger
from strongback.sms.exceptions import SmsBudgetSpent, SmsLimitReached
from strongback.sms.phone import mask_phone
from strongback.sms.quota import SmsQuotas
from strongback.sms.sender import Sender

log = get_logger(__name__)


class SmsNotices:
    """Sends notices within the limits of a day."""

    def __init__(self, sender: Sender | None, quotas: SmsQuotas, prefixes: tuple[str, ...]) -> None:
        self._sender = sender
        self._quotas = quotas
        self._prefixes = prefixes

    @property
    def are_sent(self) -> bool:
        """Whether a sender is configured."""
        return self._sender is not None

    def send(self, phone: str, template: str, params: Sequence[str], reference: str = "") -> None:
        """Send a notice as `Sender.send` does, unless a limit is reached, which is logged."""
        if self._sender is None or not phone.startswith(self._prefixes):
            return
        try:
            self._quotas.take_for_notice(phone)
        except (SmsLimitReached, SmsBudgetSpent) as error:
            log.warning("sms_notice_not_sent", number=mask_phone(phone), reason=str(error))
            return
        receipt = self._sender.send(phone, params, template=template, reference=reference)
        log.info("sms_sent", number=mask_phone(phone), receipt=receipt.id)
