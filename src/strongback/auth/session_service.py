"""Sessions: opened, refreshed, revoked and cleaned up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, exists, or_, select, update

from strongback.auth.account import Account, Accounts
from strongback.auth.principal import Principal
from strongback.auth.refresh_token import Successors, hash_token, new_seed, new_token
from strongback.auth.session_cache import SessionState, StateCache
from strongback.auth.session_model import (
    ADDRESS_LENGTH,
    USER_AGENT_LENGTH,
    AuthSession,
    RefreshToken,
)
from strongback.config import Settings
from strongback.database import Database, changed_rows, delete_in_batches, transactional, utc_now
from strongback.exceptions import NotFound
from strongback.log.setup import get_logger
from strongback.outbox import Outbox
from strongback.paging import Order, Window, read_page
from strongback.schema import PageQuery

log = get_logger(__name__)

SelectT = TypeVar("SelectT", bound=Select[*tuple[Any, ...]])

IDLE_LIFETIME = timedelta(days=30)
"""Time without a refresh after which a session ends."""
LIFETIME = timedelta(days=180)
"""Time after the sign-in at which a session ends in any case."""
RETENTION = timedelta(days=30)
"""Time for which used tokens and revoked sessions are kept, to recognize a second use."""
SESSION_ENDED = "session:ended"
"""Topic of sessions that were revoked: `user_id` and `session_ids`."""
MAX_ANNOUNCED = 200
"""Sessions in one message."""
DEVICE_MEMORY = timedelta(days=90)
"""Time for which sessions that have ended are kept, to recognize the device that signs in again."""
BY_USE = Order(AuthSession.last_used_at, AuthSession.id)


@dataclass(frozen=True, slots=True)
class Device:
    """The device that requests a token."""

    user_agent: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A session that was just opened or refreshed."""

    session_id: str
    account: Account
    client_id: str
    scope: frozenset[str] | None
    """Permissions that the session is limited to; None for all of the account's."""
    refresh_token: str


class SessionService:
    """Opens, refreshes, revokes and looks up sessions.

    Args:
        look_up: Returns an account by its id, at most `ACCOUNT_TTL` seconds old; called for
            requests, not when a session is opened. Default: `accounts.account`.
        outbox: Gets a message of each account whose sessions are revoked; None for nobody.
    """

    def __init__(  # noqa: PLR0913  the last three have defaults
        self,
        database: Database,
        accounts: Accounts,
        settings: Settings,
        *,
        look_up: Callable[[int], Account | None] | None = None,
        outbox: Outbox | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.database = database
        self.accounts = accounts
        self.cache = StateCache()
        self.on_new_device: Callable[[AuthSession], object] | None = None
        """Called in the transaction that opens a session for a device which the account has not
        used for `DEVICE_MEMORY`."""
        self._look_up = look_up or accounts.account
        self._outbox = outbox
        self._clock = clock
        self._successors = Successors(settings.secrets)
        self._grace = timedelta(seconds=settings.auth_refresh_grace)
        self._max_sessions = settings.auth_max_sessions

    # Opening and refreshing

    @transactional
    def open(
        self, account: Account, client_id: str, scope: Collection[str] | None, device: Device
    ) -> Grant | None:
        """Open a session for an authenticated account.

        If the account has too many, its least recently used one ends.

        Returns:
            None if the account has changed meanwhile: its password may have been replaced.
        """
        if account.disabled or self.accounts.account(account.id, lock=True) != account:
            return None
        session = AuthSession(
            user_id=account.id,
            client_id=client_id,
            scope=None if scope is None else sorted(scope),
            user_agent=device.user_agent[:USER_AGENT_LENGTH],
            address=device.address[:ADDRESS_LENGTH],
            expires_at=utc_now() + IDLE_LIFETIME,
        )
        self._end_surplus(account.id)
        is_new = self.on_new_device is not None and not self._knows(account.id, session.user_agent)
        self.database.session.add(session)
        self.database.session.flush()
        if self.on_new_device is not None and is_new:
            self.on_new_device(session)
        return self._grant(session, account, new_token())

    def _knows(self, user_id: int, user_agent: str) -> bool:
        """Whether an account has used a device within `DEVICE_MEMORY`."""
        recent = AuthSession.last_used_at > self._clock() - DEVICE_MEMORY
        mine = (AuthSession.user_id == user_id) & (AuthSession.user_agent == user_agent)
        return self.database.session.scalar(select(exists().where(mine, recent))) is True

    def _end_surplus(self, user_id: int) -> None:
        """Make room for one more session; the account is locked, so nobody else opens one."""
        good = (AuthSession.user_id == user_id) & _is_good(self._clock())
        oldest_last = (AuthSession.last_used_at.desc(), AuthSession.id.desc())
        ids = self.database.session.scalars(
            select(AuthSession.id).where(good).order_by(*oldest_last).offset(self._max_sessions - 1)
        ).all()
        if ids:
            self._revoke(AuthSession.id.in_(ids), *ids)
            log.info("surplus_sessions_ended", user_id=user_id, count=len(ids))

    def scope_of(self, refresh_token: str) -> tuple[str, frozenset[str] | None] | None:
        """Client and scope of a refresh token; None if the token is unknown."""
        query = select(AuthSession.client_id, AuthSession.scope)
        row = self.database.session.execute(_of_token(query, hash_token(refresh_token))).first()
        return (row[0], _as_set(row[1])) if row else None

    def rotate(self, refresh_token: str, device: Device) -> Grant | None:
        """Exchange a refresh token for its successor.

        A token is good for one use. A second use within `AUTH_REFRESH_GRACE` seconds gets the
        same successor as long as that is unused: the response was lost, or several tabs have
        refreshed at once. Any other second use means that the token was stolen, and the session
        ends for both (RFC 9700, section 4.14.2).

        Returns:
            None if the token is unknown or used, or the session has ended.
        """
        # Two transactions: the session must end although the request fails.
        grant, is_spent = self._exchange(refresh_token, device)
        owner = select(RefreshToken.session_id).where(
            RefreshToken.token_hash == hash_token(refresh_token)
        )
        if is_spent and (session_id := self.database.session.scalar(owner)):
            log.warning("refresh_token_reused", session=session_id)
            self.revoke(session_id)
        return grant

    @transactional
    def _exchange(self, refresh_token: str, device: Device) -> tuple[Grant | None, bool]:
        """The grant, if any, and whether the token has been used up before."""
        now, seed, token_hash = self._clock(), new_seed(), hash_token(refresh_token)
        consume = (
            update(RefreshToken)
            .where(RefreshToken.token_hash == token_hash, RefreshToken.used_at.is_(None))
            .values(used_at=now, seed=seed)
        )
        is_first = bool(changed_rows(self.database.session, consume))
        successor = (
            self._successors.new(refresh_token, seed)
            if is_first
            else self._unused_successor(refresh_token, now)
        )
        if successor is None:
            return None, True
        found = self._renew(token_hash, device, now)
        if found is None:
            return None, False
        session, account = found
        if is_first:
            return self._grant(session, account, successor), False
        log.info("refresh_token_repeated", session=session.id)
        return _grant_of(session, account, successor), False

    def _unused_successor(self, refresh_token: str, now: datetime) -> str | None:
        """The successor of a used token, if it is recent and unused."""
        query = select(RefreshToken.used_at, RefreshToken.seed)
        query = query.where(RefreshToken.token_hash == hash_token(refresh_token))
        row = self.database.session.execute(query).first()
        # A clock that was set back must not extend the grace period.
        if row is None or row.seed is None or abs(now - row.used_at) >= self._grace:
            return None
        candidates = self._successors.candidates(refresh_token, row.seed)
        is_one = RefreshToken.token_hash.in_(candidates) & RefreshToken.used_at.is_(None)
        stored = self.database.session.scalar(select(RefreshToken.token_hash).where(is_one))
        return candidates[stored] if stored else None

    def _renew(
        self, token_hash: str, device: Device, now: datetime
    ) -> tuple[AuthSession, Account] | None:
        """Extend the session of a token; None if it has ended or its account is disabled."""
        query = _of_token(select(AuthSession), token_hash).with_for_update(of=AuthSession)
        session = self.database.session.scalars(query).one()
        if session.revoked_at is not None or session.expires_at <= now:
            return None
        account = self.accounts.account(session.user_id)
        if account is None or account.disabled:
            return None
        session.last_used_at = now
        session.address = device.address[:ADDRESS_LENGTH]
        session.expires_at = min(now + IDLE_LIFETIME, session.created_at + LIFETIME)
        return session, account

    def _grant(self, session: AuthSession, account: Account, token: str) -> Grant:
        stored = RefreshToken(token_hash=hash_token(token), session_id=session.id)
        self.database.session.add(stored)
        return _grant_of(session, account, token)

    # Revoking

    @transactional
    def revoke(self, session_id: str) -> None:
        """End a session; one that has ended stays unchanged."""
        self._revoke(AuthSession.id == session_id, session_id)

    @transactional
    def revoke_own(self, user_id: int, session_id: str) -> None:
        """End an active session of an account, or raise `NotFound`."""
        owned = (AuthSession.id == session_id) & (AuthSession.user_id == user_id)
        if not self._revoke(owned, session_id):
            raise NotFound

    @transactional
    def revoke_all(self, user_id: int, *, keep: str | None = None) -> None:
        """End all sessions of an account, except one to keep."""
        condition = AuthSession.user_id == user_id
        if keep is not None:
            condition &= AuthSession.id != keep
        self._revoke(condition)

    def _revoke(self, condition: ColumnElement[bool], *session_ids: str) -> int:
        """End sessions: these alone, or as many as fulfil the condition."""
        if self._outbox is not None:
            self._announce(self._outbox, condition)
        self.database.after_commit(lambda: self.cache.forget(*session_ids))
        statement = update(AuthSession).where(condition, AuthSession.revoked_at.is_(None))
        return changed_rows(self.database.session, statement.values(revoked_at=utc_now()))

    def _announce(self, outbox: Outbox, condition: ColumnElement[bool]) -> None:
        query = select(AuthSession.user_id, AuthSession.id)
        ended: dict[int, list[str]] = {}
        found = self.database.session.execute(query.where(condition, _is_good(self._clock())))
        for user_id, session_id in found:
            ended.setdefault(user_id, []).append(session_id)
        for user_id, ids in ended.items():
            for start in range(0, len(ids), MAX_ANNOUNCED):
                part = {"user_id": user_id, "session_ids": ids[start : start + MAX_ANNOUNCED]}
                outbox.emit(SESSION_ENDED, part)

    def revoke_by_refresh_token(self, refresh_token: str, client_id: str) -> bool:
        """End the session of a refresh token, used or not, if it belongs to the client.

        Returns:
            Whether the token is a refresh token.
        """
        query = select(AuthSession.id, AuthSession.client_id)
        row = self.database.session.execute(_of_token(query, hash_token(refresh_token))).first()
        if row is not None and row[1] == client_id:
            self.revoke(row[0])
        return row is not None

    # Looking up

    def addresses(self, user_id: int) -> Sequence[str]:
        """IP addresses of an account's sessions, including recent past ones."""
        query = select(AuthSession.address).where(AuthSession.user_id == user_id).distinct()
        return self.database.session.scalars(query).all()

    def principal(
        self, user_id: int, session_id: str, scope: frozenset[str] | None
    ) -> Principal | None:
        """The principal of an account's session, at most a second old; None if either has ended.

        The scope of the token limits it further than that of the session.
        """
        state = self.cache.get(session_id, self._load)
        if state is None or state.user_id != user_id:
            return None
        permissions = state.permissions
        for limit in (state.scope, scope):
            if limit is not None:
                permissions = frozenset(item for item in permissions if item in limit)
        return Principal(
            user_id=user_id,
            username=state.username,
            permissions=permissions,
            withheld=state.permissions - permissions,
            session_id=session_id,
            signed_in_at=state.signed_in_at,
        )

    def forget(self) -> None:
        """Reload all states after the commit of the current transaction."""
        self.database.after_commit(self.cache.forget)

    def _load(self, session_id: str) -> SessionState | None:
        query = select(AuthSession.user_id, AuthSession.scope, AuthSession.created_at).where(
            AuthSession.id == session_id, _is_good(utc_now())
        )
        with self.database.scope():
            row = self.database.session.execute(query).first()
            account = self._look_up(row[0]) if row else None
        if row is None or account is None or account.disabled:
            return None
        return SessionState(
            session_id, account.id, account.username, account.permissions, _as_set(row[1]), row[2]
        )

    def list(self, user_id: int, wanted: PageQuery) -> Window[AuthSession]:
        """Active sessions of an account, most recently used first."""
        query = select(AuthSession).where(AuthSession.user_id == user_id, _is_good(utc_now()))
        return read_page(self.database.session, query, BY_USE, wanted)

    # Cleaning

    def clean(self) -> int:
        """Delete ended sessions and used tokens in batches; returns the number of rows."""
        kept, known = utc_now() - RETENTION, utc_now() - DEVICE_MEMORY
        ended = or_(AuthSession.expires_at < utc_now(), AuthSession.revoked_at < kept)
        over = ended & (AuthSession.last_used_at < known)
        used = RefreshToken.used_at < kept
        tokens = delete_in_batches(self.database, RefreshToken.id, used)
        return tokens + delete_in_batches(self.database, AuthSession.id, over)


def _is_good(now: datetime) -> ColumnElement[bool]:
    return AuthSession.revoked_at.is_(None) & (AuthSession.expires_at > now)


def _of_token(query: SelectT, token_hash: str) -> SelectT:
    joined = query.join(RefreshToken, RefreshToken.session_id == AuthSession.id)
    return joined.where(RefreshToken.token_hash == token_hash)


def _as_set(scope: Any) -> frozenset[str] | None:  # noqa: ANN401  a JSON column
    return None if scope is None else frozenset(scope)


def _grant_of(session: AuthSession, account: Account, token: str) -> Grant:
    return Grant(session.id, account, session.client_id, _as_set(session.scope), token)
