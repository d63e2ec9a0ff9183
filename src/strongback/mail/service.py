"""Writes messages to persons, and has them sent after the commit."""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from sqlalchemy import delete

from strongback.address import check_mail_address
from strongback.config import Settings
from strongback.database import Database, changed_rows, count_within, transactional, utc_now
from strongback.log.setup import get_logger
from strongback.mail.exceptions import MailLimitReached
from strongback.mail.mail_model import MailQuota
from strongback.mail.mailer import Mailer
from strongback.mail.message import Mail, mask_address
from strongback.mail.one_time_token import OneTimeTokens
from strongback.mail.template import MailTemplates
from strongback.mail.unsubscribe import Subscription, Unsubscriptions
from strongback.outbox import Outbox
from strongback.text import shorten, without_controls

log = get_logger(__name__)

MAIL = "mail:written"
"""Topic of the outbox: a message is to be sent."""
MAX_VALUE = 300
"""Characters of a text in a message's data; more is cut off."""
SENDER = "no-reply@localhost"
"""Sender of messages that go to the log."""
_ID_PURPOSE, _QUOTA_PURPOSE = b"strongback mail id 1", b"strongback mail quota 1"


class MailQuotas:
    """Grants messages to a person within the bound of an hour (UTC), in the transaction of each."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self._limit = settings.mail_hourly_per_person
        secret = settings.app_secret_key.get_secret_value()
        self._key = hmac.digest(secret.encode(), _QUOTA_PURPOSE, "sha256")

    @transactional
    def take(self, kind: str, address: str, limit: int | None = None) -> bool:
        """Count one message; False if the address, in any case, has had its share.

        Each kind has a share of its own: that of the settings, or the limit.
        """
        who = f"{kind}\0{address.casefold()}".encode("utf-8", "surrogatepass")
        key = hmac.digest(self._key, who, "sha256").hex()
        row = {MailQuota.key: key, MailQuota.hour: _hour(utc_now())}
        return count_within(self.database.session, MailQuota.spent, limit or self._limit, row)

    def refusal(self) -> MailLimitReached:
        """The error of who has had its share: the next hour brings another."""
        now = utc_now()
        wait = _hour(now) + timedelta(hours=1) - now
        return MailLimitReached(headers={"Retry-After": str(math.ceil(wait.total_seconds()))})

    @transactional
    def clean(self) -> int:
        """Delete the counts of past hours; returns their number."""
        past = delete(MailQuota).where(MailQuota.hour < _hour(utc_now()))
        return changed_rows(self.database.session, past)


class MailService:
    """Writes messages and has them sent."""

    def __init__(  # noqa: PLR0913, PLR0917  what a message is made of
        self,
        database: Database,
        outbox: Outbox,
        settings: Settings,
        mailer: Mailer,
        templates: MailTemplates,
        unsubscriptions: Unsubscriptions,
    ) -> None:
        self.database = database
        self.mailer = mailer
        self.templates = templates
        self.tokens = OneTimeTokens(database, settings)
        self.unsubscriptions = unsubscriptions
        self.quotas = MailQuotas(database, settings)
        self._outbox = outbox
        self._url = settings.address
        self._domain = parseaddr(settings.mail_from or SENDER)[1].rpartition("@")[2]
        self._key = hmac.digest(settings.secrets[0].encode(), _ID_PURPOSE, "sha256")
        self.is_sending = settings.mail_url is not None or not settings.is_production
        """Whether somebody can read what is sent: by mail, or outside production on the console."""

    @transactional
    def emit(  # noqa: PLR0913  what a message has
        self,
        template: str,
        to: str,
        locale: str,
        data: Mapping[str, Any],
        *,
        path: str = "",
        nonce: str = "",
        subscription: Subscription | None = None,
    ) -> bool:
        """Send a message once the current transaction is committed.

        Args:
            template: Name of its templates.
            to: Address of the recipient.
            locale: Language of the message.
            data: What the templates show; texts become one line of at most 300 characters.
            path: Path of the page that its link, `link` in the templates, leads to.
            nonce: Of the token in this link, by `OneTimeTokens.issue`.
            subscription: What the recipient can unsubscribe from; None for messages about the
                account itself, which nobody can.

        Returns:
            False if the address has had its share of this hour, and nothing is sent.

        Raises:
            ConfigurationError: There are no such templates.
            ValueError: The recipient is no address.
        """
        self.templates.require(template)
        check_mail_address(to)
        # Strangers who claim an address must not use up the share of its owner's other messages.
        if not self.quotas.take("notification" if subscription else template, to):
            log.warning("mail_limit_reached", recipient=mask_address(to), template=template)
            return False
        payload = {
            "template": template,
            "to": to,
            "locale": locale,
            "data": {name: _clean(value) for name, value in data.items()},
            "path": path,
            "nonce": nonce,
            "subscription": asdict(subscription) if subscription else None,
        }
        self._outbox.emit(MAIL, payload)
        return True

    def send(self, message_id: int, payload: Mapping[str, Any]) -> None:
        """Send what was emitted; if repeated after a crash, with the same `Message-ID`.

        Args:
            message_id: Id of the outbox's message.
            payload: What `emit` has written.

        Raises:
            MailFailed: The server may accept it later.
            MailRefused: The server will not accept it.
        """
        token = self.tokens.token(payload["nonce"]) if payload["nonce"] else ""
        if token is None:
            log.warning("mail_not_sent", reason="its link has expired or was used")
            return
        self.mailer.send(self._written(message_id, payload, token))

    def _written(self, message_id: int, payload: Mapping[str, Any], token: str) -> Mail:
        data = dict(payload["data"]) | {"link": "", "unsubscribe_link": ""}
        headers: dict[str, str] = {}
        if path := payload["path"]:
            data["link"] = self._url + path + (f"?token={token}" if token else "")
        if payload["subscription"]:
            signed = self.unsubscriptions.token(Subscription(**payload["subscription"]))
            data["unsubscribe_link"] = self.unsubscriptions.link(signed)
            headers = self.unsubscriptions.headers(signed)
        parts = self.templates.render(payload["template"], payload["locale"], data)
        name = hmac.digest(self._key, str(message_id).encode(), "sha256").hex()[:32]
        own_id = f"<{name}@{self._domain}>"
        return Mail(payload["to"], parts.subject, parts.text, parts.html, headers, own_id)

    def close(self) -> None:
        """Close the mailer."""
        self.mailer.close()


def _clean(value: Any) -> Any:  # noqa: ANN401  JSON
    """The value without line breaks, controls and marks of direction, at most so long."""
    if isinstance(value, str):
        return shorten(without_controls(value), MAX_VALUE)
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {name: _clean(each) for name, each in value.items()}
    return value


def _hour(moment: datetime) -> datetime:
    return moment - timedelta(
        minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond
    )
