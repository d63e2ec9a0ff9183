"""Daily limits of messages: to a number, for an address, in all.

Messages cost money, so the counts are rows of the database, written in the transaction of the
message: they hold for all processes, need no Redis, and are rolled back with the message.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime, time, timedelta

from sqlalchemy import delete

from strongback.config import Settings
from strongback.database import Database, changed_rows, count_within, transactional, utc_now
from strongback.log.setup import get_logger
from strongback.sms.exceptions import SmsBudgetSpent, SmsLimitReached
from strongback.sms.sms_model import SmsQuota

log = get_logger(__name__)

_PURPOSE = b"strongback sms quota 1"
EVERYBODY = "everybody"


class SmsQuotas:
    """Grants messages within the limits of a day (UTC)."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self._settings = settings
        secret = settings.app_secret_key.get_secret_value()
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")

    @transactional
    def take(self, phone: str, address: str, is_owner: Callable[[], bool]) -> None:
        """Count one message or refuse it, in the transaction that causes it.

        Args:
            phone: Number of the recipient.
            address: Network of the request.
            is_owner: Whether the owner of the number has signed in from this network: then requests
                by strangers do not count. Called only if the limit of the number is reached.

        Raises:
            SmsLimitReached: The limit of the number or the address is reached.
            SmsBudgetSpent: The limit of all messages is reached.
        """
        per_number = self._settings.sms_daily_per_number
        is_left = self._spend(f"phone\0{phone}", per_number) or (
            is_owner() and self._spend(f"owner\0{phone}", per_number)
        )
        per_address = self._settings.sms_daily_per_address
        if not is_left or not self._spend(f"address\0{address}", per_address):
            raise SmsLimitReached(headers=_until_midnight())
        self._spend_budget()

    @transactional
    def take_for_notice(self, phone: str) -> None:
        """Count one notice to a number or refuse it, as `take` does; codes are counted apart."""
        if not self._spend(f"notice\0{phone}", self._settings.sms_daily_per_number):
            raise SmsLimitReached
        self._spend_budget()

    def _spend_budget(self) -> None:
        # The shared count comes last: its row is locked until the commit.
        if not self._spend(EVERYBODY, self._settings.sms_daily_budget):
            log.error("sms_budget_spent", budget=self._settings.sms_daily_budget)
            raise SmsBudgetSpent(headers=_until_midnight())

    def _spend(self, who: str, limit: int) -> bool:
        key = hmac.digest(self._key, who.encode("utf-8", "surrogatepass"), "sha256").hex()
        row = {SmsQuota.key: key, SmsQuota.day: utc_now().date()}
        return count_within(self.database.session, SmsQuota.spent, limit, row)

    @transactional
    def clean(self) -> int:
        """Delete the counts of past days; returns their number."""
        past = delete(SmsQuota).where(SmsQuota.day < utc_now().date())
        return changed_rows(self.database.session, past)


def _until_midnight() -> dict[str, str]:
    now = utc_now()
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    return {"Retry-After": str(max(1, int((tomorrow - now).total_seconds())))}
