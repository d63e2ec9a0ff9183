"""Tokens in mailed links: for one use, for a while, and void once what they are about has changed.

    nonce = tokens.issue("password", account.id, state, LIFETIME)  # in a transaction
    token = tokens.token(nonce)                                    # when the message is sent
    account_id = tokens.find("password", token)                    # changes nothing
    tokens.redeem("password", token, state)                        # together with the effect

Earlier tokens stay valid until one of the purpose is used: a stranger who asks for many must not
void the one that its owner has just been sent.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import timedelta

from sqlalchemy import ColumnElement, select, update

from strongback.config import Settings
from strongback.database import (
    Database,
    changed_rows,
    delete_in_batches,
    transactional,
    utc_now,
)
from strongback.mail.exceptions import WrongToken
from strongback.mail.mail_model import MailToken

_PURPOSE = b"strongback mail token 1"


class OneTimeTokens:
    """Issues and redeems tokens."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        # The current key first: tokens of earlier ones stay valid until they expire.
        self._keys = [hmac.digest(each.encode(), _PURPOSE, "sha256") for each in settings.secrets]

    @transactional
    def issue(self, purpose: str, account_id: int, state: str, lifetime: timedelta) -> str:
        """Issue a token; returns its nonce, which is no secret.

        Args:
            purpose: Purpose of the token.
            account_id: Account that it is for.
            state: What must be the same when it is used.
            lifetime: Time from now in which it can be used.
        """
        nonce, key = secrets.token_hex(16), self._keys[0]
        self.database.session.add(
            MailToken(
                purpose=purpose,
                account_id=account_id,
                state_hash=_digest(key, "state", nonce, state),
                nonce=nonce,
                token_hash=_hash(_derived(key, nonce)),
                expires_at=utc_now() + lifetime,
            )
        )
        return nonce

    def token(self, nonce: str) -> str | None:
        """The token of a nonce; None once it is used or expired."""
        where = (MailToken.nonce == nonce) & _is_good()
        stored = self.database.session.scalar(select(MailToken.token_hash).where(where))
        found = [each for key in self._keys if _hash(each := _derived(key, nonce)) == stored]
        return found[0] if found else None

    def find(self, purpose: str, token: str) -> int:
        """The account of a token, which stays unused.

        Raises:
            WrongToken: It is unknown, used or expired.
        """
        return self._good(purpose, token).account_id

    def check(self, purpose: str, token: str, state: str) -> None:
        """Refuse what `redeem` refuses; changes nothing.

        Raises:
            WrongToken: It is unknown, used or expired, or the state is another.
        """
        self._require_same(self._good(purpose, token), state)

    @transactional
    def redeem(self, purpose: str, token: str, state: str) -> None:
        """Use up a token, and with it all others of the account for the purpose.

        In the transaction of the effect: of parallel uses one finds it unused, and a failed effect
        leaves it so.

        Raises:
            WrongToken: It is unknown, used or expired, or the state is another.
        """
        session, now, row = self.database.session, utc_now(), self._good(purpose, token)
        self._require_same(row, state)
        use = update(MailToken).where(MailToken.id == row.id, MailToken.used_at.is_(None))
        if not changed_rows(session, use.values(used_at=now)):
            raise wrong_token()
        same = (MailToken.account_id == row.account_id) & (MailToken.purpose == purpose)
        others = update(MailToken).where(same, MailToken.used_at.is_(None))
        changed_rows(session, others.values(used_at=now))

    def _good(self, purpose: str, token: str) -> MailToken:
        mine = (MailToken.token_hash == _hash(token)) & (MailToken.purpose == purpose)
        if row := self.database.session.scalar(select(MailToken).where(mine, _is_good())):
            return row
        raise wrong_token()

    def _require_same(self, row: MailToken, state: str) -> None:
        if row.state_hash not in {_digest(key, "state", row.nonce, state) for key in self._keys}:
            raise wrong_token()

    def clean(self) -> int:
        """Delete expired tokens, in batches; returns their number."""
        return delete_in_batches(self.database, MailToken.id, MailToken.expires_at < utc_now())


def wrong_token() -> WrongToken:
    """The error of the field `token`."""
    message = WrongToken.message
    return WrongToken(errors=[{"field": "body.token", "message": message, "type": "token"}])


def _is_good() -> ColumnElement[bool]:
    return MailToken.used_at.is_(None) & (MailToken.expires_at > utc_now())


def _derived(key: bytes, nonce: str) -> str:
    digest = hmac.digest(key, f"token\0{nonce}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _hash(token: str) -> str:
    # 256 random bits need no key and no salt.
    return _digest(_PURPOSE, "hash", token)


def _digest(key: bytes, *parts: str) -> str:
    return hmac.digest(key, "\0".join(parts).encode("utf-8", "surrogatepass"), "sha256").hex()
