"""Codes by SMS: who knows a number's code has the telephone in hand.

    handle = codes.request("+8613800138000", Purpose.SIGN_IN, address)    # sends one, by a task
    codes.is_right(handle, "+8613800138000", Purpose.SIGN_IN, "123456")   # once, and for five tries

The handle is for whoever asked: a code is good with it alone, so that nobody else's guesses spend
the tries (OWASP ASVS 5.0, 6.6.2).

A code says nothing about accounts, and nothing about accounts is looked up when one is asked for
within the limits: the answer is the same, and takes as long, whether or not anybody has registered
the number.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select, update

from strongback.config import Settings
from strongback.database import Database, DatabaseMisuse, delete_in_batches, transactional, utc_now
from strongback.log.setup import get_logger
from strongback.outbox import Outbox
from strongback.sms.exceptions import PhoneNotServed, SmsLimitReached, SmsUnavailable
from strongback.sms.phone import mask_phone
from strongback.sms.quota import SmsQuotas
from strongback.sms.sender import Sender
from strongback.sms.sms_model import SmsCode
from strongback.sms.statement import changes

log = get_logger(__name__)

CODE_REQUESTED = "sms:code-requested"
"""Topic of the outbox: a code is to be sent."""
DIGITS = 6
LIFETIME = timedelta(minutes=5)
"""How long a code is good, from when it was asked for."""
INTERVAL = timedelta(seconds=60)
"""Between two codes for one number."""
ATTEMPTS = 5
"""How often somebody may guess at one code."""
_PURPOSE = b"strongback sms code 1"


class Purpose(StrEnum):
    """Purpose of a code."""

    SIGN_IN = "sign-in"
    PHONE = "phone"


class SmsCodes:
    """Sends codes and knows the right ones.

    Args:
        database: Where they are kept, as keyed hashes.
        outbox: What has them sent.
        sender: Who sends them; None where nobody can.
        settings: Secrets, limits, and the countries that are served.
    """

    def __init__(
        self, database: Database, outbox: Outbox, sender: Sender | None, settings: Settings
    ) -> None:
        self.database = database
        self._outbox = outbox
        self._sender = sender
        self._quotas = SmsQuotas(database, settings)
        self._prefixes = settings.sms_prefixes
        # The present secret's key first: codes of an earlier one stay good until they expire.
        self._keys = [hmac.digest(each.encode(), _PURPOSE, "sha256") for each in settings.secrets]

    @property
    def are_sent(self) -> bool:
        """Whether there is somebody to send them."""
        return self._sender is not None

    # Asking for one

    def request(
        self,
        phone: str,
        purpose: Purpose,
        address: str,
        is_owner: Callable[[], bool] = lambda: False,
    ) -> str:
        """Have a new code sent to a number; one that was asked for before stays good.

        Args:
            phone: Whom it is for (E.164).
            purpose: What it is to be good for.
            address: Who asks, to be counted by.
            is_owner: Whether the number's owner has signed in from there, see `SmsQuotas.take`.

        Returns:
            The handle that the code is good with.

        Raises:
            SmsUnavailable: Nobody can send it.
            PhoneNotServed: The number's country is not served.
            SmsLimitReached: There was one a moment ago, or too many today; see `Retry-After`.
            SmsBudgetSpent: Too many were sent today in all.
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
        self, phone: str, purpose: Purpose, address: str, is_owner: Callable[[], bool]
    ) -> str:
        # The number's count is locked from here on: of many requests at once one finds that the
        # last message is old enough, and what the others have taken is undone with them.
        self._quotas.take(phone, address, is_owner)
        now, nonce, key = utc_now(), secrets.token_hex(16), self._keys[0]
        self._refuse_early(phone, now)
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

    def _refuse_early(self, phone: str, now: datetime) -> None:
        # One of a future that is further ahead than the interval is of a clock since set back.
        recent = SmsCode.requested_at.between(now - INTERVAL, now + INTERVAL)
        query = select(func.max(SmsCode.requested_at)).where(SmsCode.phone == phone, recent)
        last = self.database.session.scalar(query)
        if last is not None and last > now - INTERVAL:
            wait = min(INTERVAL, last + INTERVAL - now)
            seconds = max(1, int(wait.total_seconds()))
            raise SmsLimitReached(headers={"Retry-After": str(seconds)})

    # Sending it

    def send(self, nonce: str, *, reference: str = "") -> None:
        """Send a code that was asked for, unless it is too late: expired, used or sent.

        Done twice, after a crash in between, it sends the same code twice.

        Args:
            nonce: Which one.
            reference: What is noted beside it at the provider.

        Raises:
            SmsFailed: It was not taken, and may be later; so for `SmsTimeout`.
            SmsRefused: It will not be taken.
        """
        query = select(SmsCode).where(SmsCode.nonce == nonce, SmsCode.expires_at > utc_now())
        row = self.database.session.scalar(query)
        code = self._code_of(row) if row and not row.sent_at and not row.used_at else None
        if row is None or code is None or self._sender is None:
            log.warning("sms_code_not_sent", reason="expired, used, or sent already")
            return
        receipt = self._sender.send(row.phone, [code], reference=reference)
        self._note_sent(nonce)
        log.info("sms_sent", number=mask_phone(row.phone), receipt=receipt.id)

    def _code_of(self, row: SmsCode) -> str | None:
        """The code of a row; None if the secret that it was made with is gone."""
        for key in self._keys:
            code = _code(key, row.nonce)
            if hmac.compare_digest(_hash(key, row.phone, row.nonce, code), row.code_hash):
                return code
        return None

    @transactional
    def _note_sent(self, nonce: str) -> None:
        sent = update(SmsCode).where(SmsCode.nonce == nonce).values(sent_at=utc_now())
        changes(self.database.session, sent)

    # Knowing it

    def is_right(self, handle: str, phone: str, purpose: Purpose, code: str) -> bool:
        """Whether this is the code of a request. It costs a try; a right one is spent.

        The try is committed by itself, so that it counts whatever becomes of the request.

        Args:
            handle: What the request was answered. Without the right one nothing is tried.
            phone: The number that the code was asked for.
            purpose: What it was asked for.
            code: Six digits.

        Raises:
            DatabaseMisuse: A transaction is open, whose end could undo the try.
        """
        if self.database.is_in_transaction:
            msg = "an attempt must stand whatever follows: ask before the transaction begins"
            raise DatabaseMisuse(msg)
        if not (len(code) == DIGITS and code.isascii() and code.isdigit()):
            return False  # a slip and not a guess
        is_right = self._try(handle, phone, purpose, code)
        log.info("sms_code_tried", number=mask_phone(phone), is_right=is_right)
        return is_right

    @transactional
    def _try(self, handle: str, phone: str, purpose: Purpose, code: str) -> bool:
        session, now = self.database.session, utc_now()
        is_asked = (SmsCode.nonce == handle) & (SmsCode.phone == phone)
        # No further ahead than its life is long: a clock that was set back makes none longer.
        is_alive = (SmsCode.expires_at > now) & (SmsCode.expires_at <= now + LIFETIME + INTERVAL)
        is_good = is_asked & (SmsCode.purpose == purpose) & is_alive & SmsCode.used_at.is_(None)
        attempt = update(SmsCode).where(is_good, SmsCode.attempts < ATTEMPTS)
        # From here to the commit the row is locked: others try one after the other, or not at all.
        if not changes(session, attempt.values(attempts=SmsCode.attempts + 1)):
            return False
        code_hash = session.scalars(select(SmsCode.code_hash).where(is_asked)).one()
        if not self._matches(code_hash, phone, handle, code):
            return False
        return changes(session, update(SmsCode).where(is_good).values(used_at=now)) == 1

    def _matches(self, code_hash: str, phone: str, nonce: str, code: str) -> bool:
        found = [
            hmac.compare_digest(_hash(key, phone, nonce, code), code_hash) for key in self._keys
        ]
        return any(found)

    # Cleaning

    def clean(self) -> int:
        """Delete what has expired, a batch at a time, and yesterday's counts; say how many rows."""
        expired = SmsCode.expires_at < utc_now()
        return self._quotas.clean() + delete_in_batches(self.database, SmsCode.id, expired)


def _code(key: bytes, nonce: str) -> str:
    digest = hmac.digest(key, f"code\0{nonce}".encode(), "sha256")
    return f"{int.from_bytes(digest) % 10**DIGITS:0{DIGITS}}"


def _hash(key: bytes, phone: str, nonce: str, code: str) -> str:
    return hmac.digest(key, f"hash\0{phone}\0{nonce}\0{code}".encode(), "sha256").hex()
