"""Rate limits of routes, declared on the view; a route without one pays nothing.

    @api.post("/token")
    @public
    @limited("100/minute", by=client_address, fail="closed")
    @limited("10/minute", by=account_name, fail="closed", counts=WrongPassword)
    def create_token(...) -> ...:

A limit is checked once its caller is admitted, before the body is read, since reading is a part of
what it bounds; what counts by something in the body (`account_name`, `guess_limited`) is checked
when the parameters are known. Several are checked from the top down, and the
first that is used up answers 429 with `Retry-After`. Every answer of the route says where the
caller stands (draft-ietf-httpapi-ratelimit-headers).
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

from flask import Flask, Response, after_this_request, current_app

from strongback.config import Settings
from strongback.exceptions import ServiceUnavailable, TooManyRequests
from strongback.rate_limit import Backoff, MemoryWindows, Quota, Rate, Windows
from strongback.redis.error import RedisUnavailable
from strongback.text import normalize
from strongback.web.metrics import count_limit_without_redis
from strongback.web.request import Request, current_request

if TYPE_CHECKING:
    from strongback.redis.client import RedisClient

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
ResponseT = TypeVar("ResponseT", bound=Response)
Key = Callable[[Request], str | None]
"""Tells callers apart; None where the limit does not apply to this request."""
Failure = Literal["closed", "process"]
"""With Redis gone: refuse with 503, or go on with a count of this process's own."""
Counts = type[Exception] | tuple[type[Exception], ...]

RETRY_AFTER_OUTAGE = "2"
_SPENDINGS = "strongback.limits"
_SPENT = "strongback.limits.spent"


# What a limit counts by


def client_address(request: Request) -> str:
    """The client's network, as far as `WEB_PROXIES` are trusted to tell."""
    return network_of(request.remote_addr or "")


def network_of(text: str) -> str:
    """What an address counts as.

    An IPv6 customer has a network of at least 64 bits to choose addresses from, so that counts as
    one (RFC 6177).
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
    """The account that a sign-in form names, whether or not it exists.

    Spellings that a database may take for the same name count as one: they differ in case, or by
    accents, spaces and characters that cannot be seen.
    """
    return fold_name(request.form.get("username", "")) or None


def fold_name(text: str) -> str:
    """The one spelling that a name is counted by."""
    letters = normalize("NFKD", text)
    name = "".join(letter for letter in letters if unicodedata.category(letter)[0] not in "MCZ")
    return name.casefold()


def own_name(request: Request) -> str | None:
    """The name of the account behind the token."""
    return fold_name(request.principal.username) if request.principal else None


def principal(request: Request) -> str:
    """The account behind the token; a stranger's address where the route serves strangers."""
    if request.principal is None:
        return client_address(request)
    return f"user:{request.principal.user_id}"


# The limit


@dataclass(frozen=True, slots=True)
class Limit:
    """One declared limit."""

    name: str
    rate: Rate
    scope: str
    """Whatever shares it shares the count."""
    by: Key
    fail: Failure
    counts: Counts | None
    backoff: Backoff | None = None
    """In place of the rate, where each failure is to make the next try wait longer."""


@dataclass(slots=True)
class Spending:
    """One event that was asked of a limit, for the answer's headers and for giving it back."""

    limit: Limit
    key: str
    windows: Windows
    quota: Quota

    def give_back(self) -> None:
        """Undo it."""
        try:
            self.windows.give_back(self.key)
        except RedisUnavailable:
            return  # it stays counted until the window has passed, which refuses nobody at once
        granted = self.quota.remaining + 1
        self.quota = Quota(is_granted=True, remaining=granted, reset=self.quota.reset)


def limited(
    rate: str,
    *,
    by: Key,
    fail: Failure,
    name: str | None = None,
    counts: Counts | None = None,
) -> Callable[[ViewT], ViewT]:
    """Declare how often a view may be called.

    Args:
        rate: `20/minute`, `5 per 15 minutes`.
        by: What is counted together.
        fail: With Redis gone, `closed` answers 503, for what must not be tried without a count;
            `process` lets each process count by itself.
        name: Names the limit in the headers; views that give the same name share one count. By
            default the name is that of `by`, and the count the view's own.
        counts: Count only calls in which the view raised this. Each call is counted while it
            runs, so that guesses in parallel gain nothing, and forgotten if it did not raise.

    Raises:
        ValueError: The rate cannot be read.
    """
    parsed = Rate.parse(rate)
    title = name or getattr(by, "__name__", "limit").replace("_", "-")

    def declare(view: ViewT) -> ViewT:
        scope = name or f"{view.__module__}.{view.__qualname__}"
        limit = Limit(title, parsed, f"{scope}/{title}/{rate}", by, fail, counts)

        @functools.wraps(view)
        def within(*args: object, **kwargs: object) -> object:
            early = current_request().environ.get(_SPENT, {})
            spending = early[limit] if limit in early else _spend(limit)
            if spending is None or counts is None:
                return view(*args, **kwargs)
            early.pop(limit, None)
            return _call_counting(counts, spending, lambda: view(*args, **kwargs))

        if by is not account_name:
            within.__early__ = (limit, *early_limits(view))  # type: ignore[attr-defined]  # functions take attributes
        return cast("ViewT", within)

    return declare


def early_limits(view: Callable[..., Any]) -> tuple[Limit, ...]:
    """The limits of a view that need not know its parameters, from the top down."""
    return getattr(view, "__early__", ())


@contextmanager
def spent_early(limits: tuple[Limit, ...], request: Request) -> Iterator[None]:
    """Count a request whose body has not been read.

    What counts failures of the view is given back where the view was never called.

    Raises:
        TooManyRequests: A limit is used up.
        ServiceUnavailable: Redis is gone, and a limit does not go without.
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


def _call_counting(counts: Counts, spending: Refundable, view: Callable[[], object]) -> object:
    try:
        answer = view()
    except counts:
        raise
    except BaseException:
        spending.give_back()
        raise
    spending.give_back()
    return answer


# Guessing

A_MONTH = 30 * 24 * 3600
NEAR = Backoff(free=10, first=60, longest=3600, most=100, memory=A_MONTH)
"""Wrong passwords for one name from one network."""
FAR = Backoff(free=100, first=3600, longest=3600, most=100, memory=A_MONTH)
"""Wrong passwords for one name from all networks that have not signed in to it: NIST SP 800-63B-4,
section 3.2.2, allows 100 in a row."""


def guess_limited(*, by: Key, counts: Counts) -> Callable[[ViewT], ViewT]:
    """Declare that a view compares a password: guesses at one name count, whatever view they reach.

    They are counted by name and network, so that nobody keeps an owner elsewhere from signing in,
    and each makes the next wait longer. All networks together have a number that ends it, which
    networks that have signed in to the account before do not share.

    Args:
        by: The name, in its one spelling; None where no password is compared.
        counts: What the view raises at a wrong password.
    """
    near = Limit("account-name", Rate(NEAR.free, NEAR.first), "guess", by, "closed", counts, NEAR)

    def declare(view: ViewT) -> ViewT:
        @functools.wraps(view)
        def within(*args: object, **kwargs: object) -> object:
            guess = _guess(near)
            if guess is None:
                return view(*args, **kwargs)
            return _call_counting(counts, guess, lambda: view(*args, **kwargs))

        return cast("ViewT", within)

    return declare


@dataclass(frozen=True, slots=True)
class Guess:
    """What one try at a password was counted as."""

    spendings: list[Spending]

    def give_back(self) -> None:
        """Undo it: the password was right, or none was compared."""
        for spending in self.spendings:
            spending.give_back()


class Refundable(Protocol):
    """Something counted that may turn out not to count."""

    def give_back(self) -> None:
        """Undo it."""
        ...


def welcome(username: str) -> None:
    """Forget the wrong passwords of an account that was signed in to, and know its network."""
    if limiter := _limiter():
        limiter.welcome(fold_name(username), client_address(current_request()))


def forgive(username: str) -> None:
    """Forget the wrong passwords that have closed an account to networks it does not know."""
    if limiter := _limiter():
        limiter.forgive(fold_name(username))


# Keeping count


class Limiter:
    """Counts for every limit of an application.

    Args:
        secret: Keys the hashes by which callers are told apart: no name or address is stored.
        redis: Where processes share their counts; None to count in this process.
    """

    def __init__(self, secret: str, redis: RedisClient | None) -> None:
        self._secret = blake2b(secret.encode(), person=b"rate limit").digest()
        self._process = MemoryWindows()
        self._shared = _share(redis) if redis else None

    def spend(self, limit: Limit, request: Request) -> Spending | None:
        """Count this request, or None where the limit does not apply to it.

        Raises:
            TooManyRequests: The limit is used up.
            ServiceUnavailable: Redis is gone, and the limit does not go without.
        """
        who = limit.by(request)
        return None if who is None else self._spend(limit, who, request)

    def guess(self, limit: Limit, request: Request) -> Guess | None:
        """Count a try at a password beforehand; None where none is compared.

        Raises:
            TooManyRequests: There were too many wrong ones.
            ServiceUnavailable: Redis is gone.
        """
        name = limit.by(request)
        if name is None:
            return None
        network = client_address(request)
        near = self._spend(limit, f"{name}\0{network}", request)
        far = replace(limit, scope="guess/all", backoff=FAR)
        key = self._key(far, name)
        if self._known(near.windows, name, network):
            return Guess([near])
        quota = near.windows.attempt(key, FAR)
        if not quota.is_granted:
            near.give_back()
            raise TooManyRequests(
                "Too many wrong passwords. Sign in by a code, or from a network that has signed in"
                " before, or ask an administrator.",
                headers={"Retry-After": str(_whole(quota.reset))},
            )
        return Guess([near, Spending(far, key, near.windows, quota)])

    def welcome(self, name: str, network: str) -> None:
        """Forget the wrong passwords of a name, and know the network that signed in to it."""
        windows = self._shared or self._process
        who = f"{name}\0{network}"
        with suppress(RedisUnavailable):
            for scope, text in (("guess", who), ("guess/all", name)):
                windows.forget(self._digest(scope, text))
            windows.remember(self._digest("known", who), A_MONTH)

    def forgive(self, name: str) -> None:
        """Forget the wrong passwords of a name from everywhere.

        Raises:
            ServiceUnavailable: Redis is gone.
        """
        try:
            (self._shared or self._process).forget(self._digest("guess/all", name))
        except RedisUnavailable:
            raise ServiceUnavailable(headers={"Retry-After": RETRY_AFTER_OUTAGE}) from None

    def _known(self, windows: Windows, name: str, network: str) -> bool:
        return windows.remembers(self._digest("known", f"{name}\0{network}"))

    def _spend(self, limit: Limit, who: str, request: Request) -> Spending:
        key = self._key(limit, who)
        windows, quota = self._take(limit, key)
        spending = Spending(limit, key, windows, quota)
        _announce(request, spending)
        if not quota.is_granted:
            raise TooManyRequests(headers={"Retry-After": str(_whole(quota.reset))})
        return spending

    def _key(self, limit: Limit, who: str) -> str:
        return self._digest(limit.scope, who)

    def _digest(self, scope: str, who: str) -> str:
        text = f"{scope}\0{who}".encode("utf-8", "surrogatepass")
        return blake2b(text, key=self._secret, digest_size=16).hexdigest()

    def _take(self, limit: Limit, key: str) -> tuple[Windows, Quota]:
        if self._shared is None:
            return self._process, _count(self._process, key, limit)
        try:
            return self._shared, _count(self._shared, key, limit)
        except RedisUnavailable:
            count_limit_without_redis(limit.fail)
            if limit.fail == "closed":
                raise ServiceUnavailable(headers={"Retry-After": RETRY_AFTER_OUTAGE}) from None
            return self._process, _count(self._process, key, limit)


def _share(redis: RedisClient) -> Windows:
    from strongback.rate_limit.shared import RedisWindows  # noqa: PLC0415  an extra of its own

    return RedisWindows(redis)


def _count(windows: Windows, key: str, limit: Limit) -> Quota:
    if limit.backoff is not None:
        return windows.attempt(key, limit.backoff)
    return windows.take(key, limit.rate)


def init_limits(app: Flask, settings: Settings, redis: RedisClient | None) -> None:
    """Keep count for the views of this application that declare limits.

    Args:
        app: Where.
        settings: Whether limits are on, and the application's secret.
        redis: Where processes share their counts; None to count in this process.
    """
    limiter = Limiter(settings.app_secret_key.get_secret_value(), redis)
    app.extensions["limiter"] = limiter if settings.web_rate_limits else None


def _spend(limit: Limit) -> Spending | None:
    limiter = _limiter()
    return limiter.spend(limit, current_request()) if limiter else None


def _guess(limit: Limit) -> Guess | None:
    limiter = _limiter()
    return limiter.guess(limit, current_request()) if limiter else None


def _limiter() -> Limiter | None:
    limiter: Limiter | None = current_app.extensions["limiter"]
    return limiter


# Headers


def _announce(request: Request, spending: Spending) -> None:
    spendings: list[Spending] = request.environ.setdefault(_SPENDINGS, [])
    if not spendings:
        after_this_request(functools.partial(_add_headers, spendings))
    spendings.append(spending)


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _add_headers(spendings: list[Spending], response: ResponseT) -> ResponseT:
    policies = [
        f'"{it.limit.name}";q={it.limit.rate.amount};w={it.limit.rate.seconds}' for it in spendings
    ]
    standings = [
        f'"{it.limit.name}";r={it.quota.remaining};t={_whole(it.quota.reset)}' for it in spendings
    ]
    response.headers["RateLimit-Policy"] = ", ".join(policies)
    response.headers["RateLimit"] = ", ".join(standings)
    return response
