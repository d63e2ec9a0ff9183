"""Codes by text message, which verify that somebody has a telephone number.

    handle = codes.request("+8613800138000", CodePurpose.SIGN_IN, address)    # sends one, by a task
    codes.is_right(handle, "+8613800138000", CodePurpose.SIGN_IN, "123456")   # once, five attempts

The handle is returned to whoever requests a code, which is valid with it only, so that guesses of
others do not use up the attempts (OWASP ASVS 5.0, 6.6.2).

Accounts are not looked up when a code is requested within the limits: the response is the same, and
takes as long, whether or not an account has the number.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import func, select, update

from strongback.config import Settings
from strongback.database import (
    Database,
    DatabaseMisuse,
    changed_rows,
    delete_in_batches,
    transactional,
    utc_now,
)
from strongback.log.setup import get_logger
from strongback.outbox import Outbox
from strongback.sms.exceptions import PhoneNotServed, SmsLimitReached, SmsUnavailable
from strongback.sms.phone import mask_phone
from strongback.sms.quota import SmsQuotas
from strongback.sms.sender import Sender
from strongback.sms.sms_model import SmsCode

log = get_logger(__name__)

CODE_REQUESTED = "sms:code-requested"
"""Topic of the outbox: a code was requested."""
DIGITS = 6
LIFETIME = timedelta(minutes=5)
"""Lifetime of a code, from its request."""
INTERVAL = timedelta(seconds=60)
"""Minimum time between two codes for one number."""
ATTEMPTS = 5
"""Number of attempts at a code."""
_PURPOSE = b"strongback sms code 1"


class CodePurpose(StrEnum):
    """Purpose of a code."""

    SIGN_IN = "sign-in"
    PHONE = "phone"


class SmsCodes:
    """Sends and verifies codes.

    Args:
        sender: Sends the codes; None if none is configured.
    """

    def __init__(
        self, database: Database, outbox: Outbox, sender: Sender | None, settings: Settings
    ) -> None:
        self.database = database
        self._outbox = outbox
        self._sender = sender
        self._quotas = SmsQuotas(database, settings)
        self._prefixes = settings.sms_prefixes
        # The current key first: codes of earlier ones stay valid until they expire.
        self._keys = [hmac.digest(each.encode(), _PURPOSE, "sha256") for each in settings.secrets]

    @property
    def are_sent(self) -> bool:
        """Whether a sender is configured."""
        return self._sender is not None

    # Asking for one

    def request(
        self,
        phone: str,
        purpose: CodePurpose,
        address: str,
        is_owner: Callable[[], bool] = lambda: False,
    ) -> str:
        """Send a new code to a number; earlier codes stay valid.

        Args:
            phone: Telephone number (E.164).
            purpose: Purpose of the code.
            address: Network of the request, which is limited.
            is_owner: Whether the owner of the number has signed in from this network, see
                `SmsQuotas.take`.

        Returns:
            The handle of the code.

        Raises:
            SmsUnavailable: No sender is configured.
            PhoneNotServed: The country is not supported.
            SmsLimitReached: The last code was a moment ago, or too many today; see `Retry-After`.
            SmsBudgetSpent: The daily budget of all messages is used up.
        """
        if not self.are_sent:
            raise SmsUnavailable
        if not phone.startswith(self._prefixes):
            message = PhoneNotServed.message
            raise PhoneNotServed(
                errors=[{"field": "body.phone", "message": message, "type": "phone_prefix"}]
            )
        handle = self._request(phone, purpose, address, is_owner)
        log.info("sms_code_requested", number=mask_phone(phone), purpose=purpose, address=address)
        return handle

    @transactional
    def _request(
        self, phone: str, purpose: CodePurpose, address: str, is_owner: Callable[[], bool]
    ) -> str:
        # From here on the count of the number is locked: of many parallel requests one finds the
        # last code old enough, and the counts of the others are rolled back.
        self._quotas.take(phone, address, is_owner)
        now, nonce, key = utc_now(), secrets.token_hex(16), self._keys[0]
        # A time in the future beyond the interval is from before the clock was set back.
        recent = SmsCode.requested_at.between(now - INTERVAL, now + INTERVAL)
        query = select(func.max(SmsCode.requested_at)).where(SmsCode.phone == phone, recent)
        last = self.database.session.scalar(query)
        if last is not None and last > now - INTERVAL:
            wait = min(INTERVAL, last + INTERVAL - now).total_seconds()
            raise SmsLimitReached(headers={"Retry-After": str(max(1, int(wait)))})
        self.database.session.add(
            SmsCode(
                phone=phone,
                purpose=purpose,
                nonce=nonce,
                code_hash=_hash(key, phone, nonce, _code(key, nonce)),
                requested_at=now,
                expires_at=now + LIFETIME,
            )
        )
        self._outbox.emit(CODE_REQUESTED, {"nonce": nonce})
        return nonce

    # Sending it

    def send(self, nonce: str, *, reference: str = "") -> None:
        """Send a requested code, unless it is expired, used or sent already.

        If repeated after a crash, the same code is sent again.

        Raises:
            SmsFailed: The provider may accept it later; also for `SmsTimeout`.
            SmsRefused: The provider will not accept it.
        """
        query = select(SmsCode).where(SmsCode.nonce == nonce, SmsCode.expires_at > utc_now())
        row = self.database.session.scalar(query)
        code = self._code_of(row) if row and not row.sent_at and not row.used_at else None
        if row is None or code is None or self._sender is None:
            log.warning("sms_code_not_sent", reason="expired, used, or sent already")
            return
        receipt = self._sender.send(row.phone, [code], reference=reference)
        sent = update(SmsCode).where(SmsCode.nonce == nonce).values(sent_at=utc_now())
        self.database.transact(lambda session: changed_rows(session, sent))
        log.info("sms_sent", number=mask_phone(row.phone), receipt=receipt.id)

    def _code_of(self, row: SmsCode) -> str | None:
        """The code of a row; None if its secret is gone."""
        for key in self._keys:
            code = _code(key, row.nonce)
            if hmac.compare_digest(_hash(key, row.phone, row.nonce, code), row.code_hash):
                return code
        return None

    # Verifying it

    def is_right(self, handle: str, phone: str, purpose: CodePurpose, code: str) -> bool:
        """Verify a code. Each call counts as an attempt; a right code is used up.

        The attempt is committed by itself, so that it counts even if the request fails.

        Args:
            handle: Handle of the code. A wrong one uses up no attempt.
            phone: The number that the code was sent to.
            purpose: Purpose of the code.
            code: Six digits.

        Raises:
            DatabaseMisuse: A transaction is open, which could roll the attempt back.
        """
        if self.database.is_in_transaction:
            raise DatabaseMisuse(
                "an attempt must not be rolled back: verify the code before the transaction begins"
            )
        if not (len(code) == DIGITS and code.isascii() and code.isdigit()):
            return False  # a typo and not a guess
        is_right = self._try(handle, phone, purpose, code)
        log.info("sms_code_tried", number=mask_phone(phone), is_right=is_right)
        return is_right

    @transactional
    def _try(self, handle: str, phone: str, purpose: CodePurpose, code: str) -> bool:
        session, now = self.database.session, utc_now()
        is_asked = (SmsCode.nonce == handle) & (SmsCode.phone == phone)
        # Not further ahead than its lifetime: a clock that was set back must not extend it.
        is_alive = (SmsCode.expires_at > now) & (SmsCode.expires_at <= now + LIFETIME + INTERVAL)
        is_good = is_asked & (SmsCode.purpose == purpose) & is_alive & SmsCode.used_at.is_(None)
        attempt = update(SmsCode).where(is_good, SmsCode.attempts < ATTEMPTS)
        # From here to the commit the row is locked, so that attempts run one after the other.
        if not changed_rows(session, attempt.values(attempts=SmsCode.attempts + 1)):
            return False
        right = self._code_of(session.scalars(select(SmsCode).where(is_asked)).one())
        if right is None or not hmac.compare_digest(right, code):
            return False
        return changed_rows(session, update(SmsCode).where(is_good).values(used_at=now)) == 1

    # Cleaning

    def clean(self) -> int:
        """Delete expired codes, in batches, and counts of past days; returns the number of rows."""
        expired = SmsCode.expires_at < utc_now()
        return self._quotas.clean() + delete_in_batches(self.database, SmsCode.id, expired)


def _code(key: bytes, nonce: str) -> str:
    digest = hmac.digest(key, f"code\0{nonce}".encode(), "sha256")
    return f"{int.from_bytes(digest) % 10**DIGITS:0{DIGITS}}"


def _hash(key: bytes, phone: str, nonce: str, code: str) -> str:
    return hmac.digest(key, f"hash\0{phone}\0{nonce}\0{code}".encode(), "sha256").hex()
