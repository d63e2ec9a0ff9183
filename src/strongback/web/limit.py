"""Rate limits of routes, declared on the view; routes without one have no cost.

    @api.post("/token")
    @public
    @limited("100/minute", key=client_address, on_outage="closed")
    @limited("10/minute", key=account_name, on_outage="closed", counts=WrongPassword)
    def create_token(...) -> ...:

A limit is checked after authorization and before the body is read, since reading is part of the
cost; a limit whose key is in the body (`account_name`, `guess_limited`) is checked once the
parameters are known. Several limits are checked from the top down, and the first exceeded one
responds with 429 and `Retry-After`. Every response of the route has the state of its limits
(draft-ietf-httpapi-ratelimit-headers).
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from flask import Flask, Response, after_this_request, current_app

from strongback import rate_limit
from strongback.config import Settings
from strongback.exceptions import ServiceUnavailable, TooManyRequests
from strongback.rate_limit import Backoff, Quota, RateLimitItem, RateLimitStore, parse_rate
from strongback.redis.error import RedisUnavailable
from strongback.text import normalize
from strongback.web.metrics import LIMITS_WITHOUT_REDIS
from strongback.web.request import Request, current_request

if TYPE_CHECKING:
    from strongback.redis.client import RedisClient

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
ResponseT = TypeVar("ResponseT", bound=Response)
Key = Callable[[Request], str | None]
"""Returns what a request is counted by; None if the limit does not apply to it."""
OnOutage = Literal["closed", "process"]
"""Without Redis: refuse with 503, or count in each process."""
Counts = type[Exception] | tuple[type[Exception], ...]

RETRY_AFTER_OUTAGE = "2"
_SPENDINGS = "strongback.limits"
_SPENT = "strongback.limits.spent"


# Keys


def client_address(request: Request) -> str:
    """The network of the client, with `X-Forwarded-For` from `WEB_PROXIES` proxies."""
    return network_of(request.remote_addr or "")


def network_of(text: str) -> str:
    """The network that an address is counted as: itself, or its /64 network for IPv6.

    IPv6 customers can choose any address of a /64 network (RFC 6177).
    """
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"  # a Unix socket: one limit for all is better than none
    if not isinstance(address, IPv6Address):
        return str(address)
    if mapped := address.ipv4_mapped:
        return str(mapped)
    return str(ip_network((int(address), 64), strict=False))


def account_name(request: Request) -> str | None:
    """The username in a sign-in form, whether or not the account exists.

    Spellings that a database may treat as equal count as one: they differ in case, accents, spaces
    or invisible characters.
    """
    return fold_name(request.form.get("username", "")) or None


def fold_name(text: str) -> str:
    """The spelling that a name is counted by."""
    letters = normalize("NFKD", text)
    name = "".join(letter for letter in letters if unicodedata.category(letter)[0] not in "MCZ")
    return name.casefold()


def own_name(request: Request) -> str | None:
    """The username of the caller."""
    return fold_name(request.principal.username) if request.principal else None


def principal(request: Request) -> str:
    """The account of the caller, or the network of an anonymous one."""
    if request.principal is None:
        return client_address(request)
    return f"user:{request.principal.user_id}"


# Limits


@dataclass(frozen=True, slots=True)
class Limit:
    """A declared limit."""

    name: str
    rate: RateLimitItem
    scope: str
    """Limits of one scope share their counts."""
    key: Key
    on_outage: OnOutage
    counts: Counts | None
    backoff: Backoff | None = None
    """Replaces the rate if each failure lengthens the wait."""

    def count(self, store: RateLimitStore, key: str) -> Quota:
        """Count a request, if it is within the limit."""
        if self.backoff is not None:
            return store.attempt(key, self.backoff)
        return store.hit(key, self.rate)


@dataclass(slots=True)
class Spending:
    """One counted request, for the headers of the response and for a refund."""

    limit: Limit
    key: str
    store: RateLimitStore
    quota: Quota

    def give_back(self) -> None:
        """Take the count back."""
        try:
            self.store.give_back(self.key, None if self.limit.backoff else self.limit.rate)
        except RedisUnavailable:
            return  # it stays counted until the window has passed
        granted = self.quota.remaining + 1
        self.quota = Quota(is_granted=True, remaining=granted, reset=self.quota.reset)


def limited(
    rate: str,
    *,
    key: Key,
    on_outage: OnOutage,
    name: str | None = None,
    counts: Counts | None = None,
) -> Callable[[ViewT], ViewT]:
    """Declare how often a view may be called.

    Args:
        rate: `20/minute`, `5 per 15 minutes`.
        key: Returns what requests are counted by.
        on_outage: Without Redis, `closed` responds with 503, for what must not be tried without
            a count; `process` counts in each process.
        name: Name of the limit in the headers; views with the same name share their counts.
            Default: the name of `key`, with counts of the view's own.
        counts: Count only calls in which the view raises one of these exceptions. Each call is
            counted while it runs, so that parallel guesses gain nothing.

    Raises:
        ValueError: The rate is invalid.
    """
    parsed = parse_rate(rate)
    title = name or getattr(key, "__name__", "limit").replace("_", "-")

    def declare(view: ViewT) -> ViewT:
        scope = name or f"{view.__module__}.{view.__qualname__}"
        limit = Limit(title, parsed, f"{scope}/{title}/{rate}", key, on_outage, counts)

        @functools.wraps(view)
        def within(*args: object, **kwargs: object) -> object:
            early = current_request().environ.get(_SPENT, {})
            spending = early[limit] if limit in early else _spend(limit)
            if spending is None or counts is None:
                return view(*args, **kwargs)
            early.pop(limit, None)
            with _counting(counts, [spending]):
                return view(*args, **kwargs)

        if key is not account_name:
            within.__early__ = (limit, *early_limits(view))  # type: ignore[attr-defined]  # functions take attributes
        return cast("ViewT", within)

    return declare


def early_limits(view: Callable[..., Any]) -> tuple[Limit, ...]:
    """The limits of a view that are checked before its parameters are known, from the top down."""
    return getattr(view, "__early__", ())


@contextmanager
def spent_early(limits: tuple[Limit, ...], request: Request) -> Iterator[None]:
    """Count a request before its body is read.

    A count of failures is taken back if the view was never called.

    Raises:
        TooManyRequests: A limit is exceeded.
        ServiceUnavailable: Redis is unavailable, and a limit has `on_outage="closed"`.
    """
    spent: dict[Limit, Spending | None] = {}
    request.environ[_SPENT] = spent
    try:
        for limit in limits:
            spent[limit] = _spend(limit)
        yield
    finally:
        for limit, spending in spent.items():
            if spending is not None and limit.counts is not None:
                spending.give_back()


@contextmanager
def _counting(counts: Counts, spendings: Iterable[Spending]) -> Iterator[None]:
    """Take the counts back unless the block raises one of these exceptions."""
    is_counted = False
    try:
        yield
    except counts:
        is_counted = True
        raise
    finally:
        if not is_counted:
            for spending in spendings:
                spending.give_back()


# Guesses

A_MONTH = 30 * 24 * 3600
NEAR = Backoff(free=10, first=60, longest=3600, most=100, memory=A_MONTH)
"""Failed guesses at one username from one network."""
FAR = Backoff(free=100, first=3600, longest=3600, most=100, memory=A_MONTH)
"""Failed guesses at one username from all networks that have not signed in to it before: NIST SP
800-63B-4, section 3.2.2, allows 100 in a row."""


def guess_limited(*, key: Key, counts: Counts) -> Callable[[ViewT], ViewT]:
    """Declare that a view verifies a password: failed guesses count, over all such views.

    They are counted by username and network, so that nobody can lock the owner out elsewhere, and
    each lengthens the wait. A second count limits all networks together; those that have signed
    in to the account before are exempt from it.

    Args:
        key: Returns the username in its counted spelling; None if no password is verified.
        counts: Exceptions that the view raises at a wrong password.
    """
    rate = parse_rate(f"{NEAR.free} per {NEAR.first} seconds")
    near = Limit("account-name", rate, "guess", key, "closed", counts, NEAR)

    def declare(view: ViewT) -> ViewT:
        @functools.wraps(view)
        def within(*args: object, **kwargs: object) -> object:
            limiter = _limiter()
            with _counting(counts, limiter.guess(near, current_request()) if limiter else ()):
                return view(*args, **kwargs)

        return cast("ViewT", within)

    return declare


def welcome(username: str) -> None:
    """Reset the failed guesses at an account after a sign-in, and remember the network."""
    if limiter := _limiter():
        name = fold_name(username)
        who = f"{name}\0{client_address(current_request())}"
        with suppress(RedisUnavailable):
            limiter.store.forget(limiter.digest("guess", who))
            limiter.store.forget(limiter.digest("guess/all", name))
            limiter.store.remember(limiter.digest("known", who), A_MONTH)


def forgive(username: str) -> None:
    """Reset the failed guesses at an account from unknown networks.

    Raises:
        ServiceUnavailable: Redis is unavailable.
    """
    if limiter := _limiter():
        try:
            limiter.store.forget(limiter.digest("guess/all", fold_name(username)))
        except RedisUnavailable:
            raise ServiceUnavailable(headers={"Retry-After": RETRY_AFTER_OUTAGE}) from None


# Counting


class Limiter:
    """Counts for all limits of an application, in the Redis that processes share or in this one.

    They are stored under hashes with a secret key: no name or address is.
    """

    def __init__(self, secret: str, redis: RedisClient | None) -> None:
        self._secret = blake2b(secret.encode(), person=b"rate limit").digest()
        self._process = rate_limit.MemoryRateLimitStore()
        self._shared = rate_limit.RedisRateLimitStore(redis) if redis else None
        self.store: RateLimitStore = self._shared or self._process

    def spend(self, limit: Limit, request: Request) -> Spending | None:
        """Count a request; None if the limit does not apply to it.

        Raises:
            TooManyRequests: The limit is exceeded.
            ServiceUnavailable: Redis is unavailable, and the limit has `on_outage="closed"`.
        """
        who = limit.key(request)
        return None if who is None else self._spend(limit, who, request)

    def guess(self, limit: Limit, request: Request) -> list[Spending]:
        """Count an attempt at a password beforehand; nothing if none is verified.

        Raises:
            TooManyRequests: Too many attempts have failed.
            ServiceUnavailable: Redis is unavailable.
        """
        name = limit.key(request)
        if name is None:
            return []
        who = f"{name}\0{client_address(request)}"
        near = self._spend(limit, who, request)
        far = replace(limit, scope="guess/all", backoff=FAR)
        key = self.digest(far.scope, name)
        if near.store.remembers(self.digest("known", who)):
            return [near]
        quota = near.store.attempt(key, FAR)
        if not quota.is_granted:
            near.give_back()
            raise TooManyRequests(
                "Too many wrong passwords. Sign in by a code, or from a network that has signed in"
                " before, or ask an administrator.",
                headers={"Retry-After": str(_whole(quota.reset))},
            )
        return [near, Spending(far, key, near.store, quota)]

    def _spend(self, limit: Limit, who: str, request: Request) -> Spending:
        key = self.digest(limit.scope, who)
        store, quota = self._take(limit, key)
        spending = Spending(limit, key, store, quota)
        spendings: list[Spending] = request.environ.setdefault(_SPENDINGS, [])
        if not spendings:
            after_this_request(functools.partial(_add_headers, spendings))
        spendings.append(spending)
        if not quota.is_granted:
            raise TooManyRequests(headers={"Retry-After": str(_whole(quota.reset))})
        return spending

    def digest(self, scope: str, who: str) -> str:
        """The key under which a count is stored."""
        text = f"{scope}\0{who}".encode("utf-8", "surrogatepass")
        return blake2b(text, key=self._secret, digest_size=16).hexdigest()

    def _take(self, limit: Limit, key: str) -> tuple[RateLimitStore, Quota]:
        if self._shared is None:
            return self._process, limit.count(self._process, key)
        try:
            return self._shared, limit.count(self._shared, key)
        except RedisUnavailable:
            LIMITS_WITHOUT_REDIS.labels(limit.on_outage).inc()
            if limit.on_outage == "closed":
                raise ServiceUnavailable(headers={"Retry-After": RETRY_AFTER_OUTAGE}) from None
            return self._process, limit.count(self._process, key)


def init_limits(app: Flask, settings: Settings, redis: RedisClient | None) -> None:
    """Set up the counts of an application: in Redis where there is one, else in this process."""
    limiter = Limiter(settings.app_secret_key.get_secret_value(), redis)
    app.extensions["limiter"] = limiter if settings.web_rate_limits else None


def _spend(limit: Limit) -> Spending | None:
    limiter = _limiter()
    return limiter.spend(limit, current_request()) if limiter else None


def _limiter() -> Limiter | None:
    limiter: Limiter | None = current_app.extensions["limiter"]
    return limiter


# Headers


def _whole(seconds: float) -> int:
    # A difference of two clock readings is off by some nanoseconds, which are not a second more.
    return max(1, math.ceil(round(seconds, 3)))


def _add_headers(spendings: list[Spending], response: ResponseT) -> ResponseT:
    policies, standings = [], []
    for spending in spendings:
        name, rate, quota = spending.limit.name, spending.limit.rate, spending.quota
        policies.append(f'"{name}";q={rate.amount};w={rate.get_expiry()}')
        standings.append(f'"{name}";r={quota.remaining};t={_whole(quota.reset)}')
    response.headers["RateLimit-Policy"] = ", ".join(policies)
    response.headers["RateLimit"] = ", ".join(standings)
    return response
