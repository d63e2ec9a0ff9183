"""A bound on the messages to a person in an hour (UTC), counted in the transaction of each."""

from __future__ import annotations

import hmac
import math
from datetime import datetime, timedelta

from sqlalchemy import delete

from strongback.config import Settings
from strongback.database import Database, changed_rows, count_within, transactional, utc_now
from strongback.mail.exceptions import MailLimitReached
from strongback.mail.mail_model import MailQuota

_PURPOSE = b"strongback mail quota 1"


class MailQuotas:
    """Grants messages within the bound of an hour."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self._limit = settings.mail_hourly_per_person
        secret = settings.app_secret_key.get_secret_value()
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")

    @transactional
    def take(self, kind: str, address: str, limit: int | None = None) -> bool:
        """Count one message; False if the address has had its share.

        Args:
            kind: Each kind has a share of its own.
            address: Address of the recipient, in any case.
            limit: The share; that of the settings when left out.
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


def _hour(moment: datetime) -> datetime:
    return moment - timedelta(
        minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond
    )
