"""Talking to Meilisearch: time-outs, keys, tasks, and what its errors mean here.

The client has no time-out by default, and shares one dictionary of headers between threads, so
each call has a client of its own; making one costs microseconds. It is imported with this module:
a third of a second and 25 MB, which only a process that uses Meilisearch should pay.
"""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable, Iterable
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar

from meilisearch import Client
from meilisearch.errors import MeilisearchApiError, MeilisearchError
from meilisearch.models.task import TaskInfo
from pydantic import ValidationError
from requests import RequestException, Timeout

from strongback.circuit_breaker import CircuitBreaker
from strongback.exceptions import StrongbackError
from strongback.log.setup import get_logger
from strongback.search.exceptions import SearchUnavailable

log = get_logger(__name__)

SEARCH_TIMEOUT = 1
"""Seconds for connecting and for each part of an answer while somebody waits for results."""
ORDER_TIMEOUT = 10
"""The same for taking on a task, and for whatever nobody waits for."""
WRITE_TIMEOUT = 60
"""The same for taking in a batch of documents."""
FIRST_POLL, LAST_POLL = 0.005, 0.25
"""Seconds between looks at a task; they grow from one to the other."""
PING_INTERVAL = 2.0
"""Seconds between pings while Meilisearch is away."""
REPEAT_WARNING = 60.0
"""Seconds without the same refusal after which it is logged again."""
_KEYS = uuid.UUID("5f1e1a3c-6a55-4d6b-9d6e-7c1f3f7a2b10")
_INVALID_KEY = "invalid_api_key"
_UNDECLARED = frozenset(
    f"invalid_search_{name}" for name in ("filter", "facets", "sort", "attributes_to_search_on")
)
"""Codes of Meilisearch for a search that its settings do not allow."""

ResultT = TypeVar("ResultT")


class MeilisearchRefused(StrongbackError):
    """Meilisearch did not do what it was asked to; its own words are in the message."""


class Role(StrEnum):
    """Purpose of a key."""

    SEARCH = "search"
    WRITE = "write"


ACTIONS = {
    Role.SEARCH: ["search"],
    Role.WRITE: ["documents.*", "indexes.*", "settings.*", "stats.get", "tasks.get"],
}
"""Actions that the key of a role allows."""


class Connection:
    """One Meilisearch; see `MeilisearchEngine`. Safe to share between threads."""

    def __init__(self, url: str, master_key: str, prefix: str, task_timeout: float) -> None:
        self._url = url.rstrip("/")
        self._master_key = master_key
        self._prefix = prefix
        self._task_timeout = task_timeout
        self._breaker = CircuitBreaker("meilisearch", self._answers, pause=PING_INTERVAL)
        self._warned = ("", float("-inf"))

    def ask(
        self,
        question: Callable[[Client], ResultT],
        timeout: int = ORDER_TIMEOUT,
        role: Role = Role.WRITE,
    ) -> ResultT:
        """Ask something, with the key of a role.

        Raises:
            SearchUnavailable: Meilisearch does not answer, has no such index, or rejects the key.
            MeilisearchRefused: It takes the question for a wrong one.
        """
        if self._breaker.is_open:
            raise SearchUnavailable
        try:
            answer = self._ask(role, question, timeout)
        except MeilisearchApiError as error:
            raise self._explain(error) from error
        except (MeilisearchError, RequestException, ValidationError) as error:
            self._breaker.note_failure(f"{type(error).__name__}: {error}")
            remedy = (
                f"Meilisearch is not usable at {self._url}: {_cause(error)}. See that it runs and"
                " that MEILI_URL names it; without MEILI_URL the application searches by itself."
            )
            raise SearchUnavailable(reason=remedy) from error
        self._breaker.note_success()
        return answer

    def find(self, question: Callable[[Client], ResultT]) -> ResultT | None:
        """Ask for something that may not be there, such as an index.

        A search may be waiting for this, so it is given up as soon as a search.
        """

        def ask(client: Client) -> ResultT | None:
            try:
                return question(client)
            except MeilisearchApiError as error:
                if error.status_code == HTTPStatus.NOT_FOUND:
                    return None
                raise

        return self.ask(ask, SEARCH_TIMEOUT)

    def finish(self, tasks: Iterable[TaskInfo], *, tolerated: str | None = None) -> None:
        """Wait until tasks are done; `tolerated` is the code of an error that is none here.

        Raises:
            SearchUnavailable: Not all were done in time; they will be.
            MeilisearchRefused: One has failed.
        """
        deadline = time.monotonic() + self._task_timeout
        for task in tasks:
            self._finish(task.task_uid, deadline, tolerated)

    def ping(self) -> None:
        """Ask for a sign of life, whatever is known about it, or raise SearchUnavailable."""
        try:
            self._client(None, SEARCH_TIMEOUT).health()
        except (MeilisearchError, RequestException) as error:
            raise SearchUnavailable from error

    def close(self) -> None:
        """End the breaker's thread."""
        self._breaker.close()

    def _answers(self) -> bool:
        try:
            self.ping()
        except SearchUnavailable:
            return False
        return True

    def _finish(self, number: int, deadline: float, tolerated: str | None) -> None:
        pause = FIRST_POLL
        while True:
            task = self.ask(lambda client: client.get_task(number))
            if task.status not in {"enqueued", "processing"}:
                break
            if time.monotonic() + pause > deadline:
                log.warning("search_task_late", task=number, type=task.type, status=task.status)
                raise SearchUnavailable
            time.sleep(pause)
            pause = min(pause * 1.5, LAST_POLL)
        error = task.error or {}
        if task.status != "succeeded" and (not tolerated or error.get("code") != tolerated):
            reason = error.get("message", "no reason given")
            code = error.get("code", task.status)
            raise MeilisearchRefused(f"Meilisearch, {task.type} {number}: {reason} ({code})")

    def _ask(self, role: Role, question: Callable[[Client], ResultT], timeout: int) -> ResultT:
        options, key = self._key_options(role), None
        if self._master_key:  # derived as Meilisearch does
            key = hmac.new(self._master_key.encode(), options["uid"].encode(), "sha256").hexdigest()
        client = self._client(key, timeout)
        try:
            return question(client)
        except MeilisearchApiError as error:
            if error.code != _INVALID_KEY or not self._master_key:
                raise
        # It was never made, or somebody has deleted it.
        try:
            self._client(self._master_key, SEARCH_TIMEOUT).create_key(options)
        except MeilisearchApiError as error:
            if error.code != "api_key_already_exists":  # another process was faster
                raise
        return question(client)

    def _client(self, key: str | None, timeout: int) -> Client:
        return Client(self._url, key, timeout=timeout)

    def _key_options(self, role: Role) -> dict[str, Any]:
        # Meilisearch shows the swap of two indexes to no key of less than all of them.
        scope = [f"{self._prefix}*"] if role is Role.SEARCH else ["*"]
        return {
            # The same in every process; another one as soon as the key is for something else.
            "uid": str(uuid.uuid5(_KEYS, f"{role} {ACTIONS[role]} {scope}")),
            "name": f"{self._prefix}{role}",
            "actions": ACTIONS[role],
            "indexes": scope,
            "expiresAt": None,
        }

    def _explain(self, error: MeilisearchApiError) -> StrongbackError:
        """Say what an answer with an error means; Meilisearch is alive, so the circuit stays."""
        status, text = error.status_code, error.message
        is_ours = status in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
        # A search asks for nothing that the index does not declare: somebody has changed settings.
        if is_ours and error.code not in _UNDECLARED:
            return MeilisearchRefused(f"Meilisearch: {text} ({error.code or status})")
        reason = f"{status} {error.code}: {text}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._breaker.note_failure(reason)
        else:
            self._breaker.note_success()
        self._warn(reason)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return SearchUnavailable(
                reason=f"Meilisearch refuses our key ({status})."
                " Set MEILI_MASTER_KEY to the one that Meilisearch was started with."
            )
        return SearchUnavailable(reason=f"Meilisearch at {self._url} answers {status}: {text}")

    def _warn(self, reason: str) -> None:
        """Log a refusal, once while it is the same: each search would log it."""
        now = time.monotonic()
        known, self._warned = self._warned, (reason, now)
        if known[0] != reason or now - known[1] > REPEAT_WARNING:
            log.warning("search_refused", engine="meilisearch", reason=reason)


def _cause(error: BaseException) -> str:
    """The operating system's words; the client's own are a page long."""
    told: BaseException | None = error
    while told is not None:
        if isinstance(told, OSError) and told.strerror:
            return told.strerror
        if isinstance(told, TimeoutError | Timeout):
            return "it does not answer in time"
        told = told.__cause__ or told.__context__
    return type(error).__name__
