"""Declaring work: consumers of events, watched jobs, periodic tasks.

group = TaskGroup("article")

@group.consumer("announce", on="article:published")
def announce(task: TaskContext, *, article_id: int) -> None: ...

@group.job("import", queue="low", time_limit=timedelta(minutes=10))
def import_articles(task: TaskContext, *, upload_id: int) -> dict[str, Any]: ...

@group.periodic("clean", every=timedelta(minutes=10))
def clean(task: TaskContext) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict, TypeVar, Unpack, cast

from strongback.exceptions import ConfigurationError
from strongback.outbox import Outbox
from strongback.outbox.model import CONSUMER_LENGTH

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

QUEUES = ("default", "email", "sms", "search", "low", "high")
MAX_ATTEMPTS = 8
"""With the waits in between: about four minutes."""
TIME_LIMIT = timedelta(minutes=1)
BACKOFF = timedelta(seconds=1)
MAX_BACKOFF = timedelta(minutes=10)


class InvalidDeclaration(ConfigurationError):
    """A task that could not run as it is declared."""


class TaskLimits(TypedDict, total=False):
    """Limits of a consumer or job; `Declaration` explains each."""

    queue: str
    time_limit: timedelta
    max_attempts: int
    backoff: timedelta
    max_backoff: timedelta


JOB_LIMITS: TaskLimits = {"max_attempts": 3, "time_limit": timedelta(minutes=10)}
"""Limits of a job that names no others."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """A task: its name, its function and its limits."""

    name: str
    """Name with that of the group: `article:import`."""
    function: Callable[..., Any]
    is_job: bool = False
    """Whether its owner watches the progress."""
    queue: str = "default"
    """One of `QUEUES`."""
    time_limit: timedelta = TIME_LIMIT
    """Time after which an attempt is stopped, and fails."""
    max_attempts: int = MAX_ATTEMPTS
    """Attempts before the message is dead."""
    backoff: timedelta = BACKOFF
    """Wait before the second attempt; doubles with each further one."""
    max_backoff: timedelta = MAX_BACKOFF
    """Longest wait between two attempts."""
    topic: str | None = None
    transactional: bool = False
    """Whether it runs in one transaction with its inbox entry."""
    batch: int | None = None
    """Messages that it handles at once; None for one, as keyword arguments."""
    every: timedelta | None = None

    def __post_init__(self) -> None:
        for is_wrong, text in self._problems():
            if is_wrong:
                raise InvalidDeclaration(f"task {self.name}: {text}")

    def _problems(self) -> Iterator[tuple[bool, str]]:
        yield len(self.name) > CONSUMER_LENGTH, f"its name is longer than {CONSUMER_LENGTH}"
        yield self.queue not in QUEUES, f"queue {self.queue} is none of {', '.join(QUEUES)}"
        yield self.time_limit <= timedelta(), "its time limit is not positive"
        yield self.max_attempts < 1, "it needs at least one attempt"
        yield self.batch is not None and self.batch < 1, "a batch holds at least one message"
        # One transaction for many messages: the failure of one would undo them all.
        is_wrong = self.batch is not None and self.transactional
        yield is_wrong, "a batch needs transactional=False"
        yield self.every is not None and self.every <= timedelta(), "its period is not positive"


class TaskGroup:
    """The tasks of a slice or part, named `group:task`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.declarations: list[Declaration] = []

    def consumer(
        self,
        name: str,
        *,
        on: str,
        transactional: bool = True,
        batch: int | None = None,
        **limits: Unpack[TaskLimits],
    ) -> Callable[[FunctionT], FunctionT]:
        """Declare a task for each message of a topic.

        The function gets a `TaskContext`, and the payload as keyword arguments. It runs in one
        transaction with its inbox entry: its effect happens once, however often it is delivered.

        Args:
            name: Name within the group.
            on: Topic, such as `article:published`.
            transactional: False to run it outside of a transaction, because its effect is: a
                request to another server. Its effect may then happen twice.
            batch: Most payloads at once, given as a list; needs `transactional=False`.
            **limits: Other limits than those of `Declaration`.
        """
        return self._declare(name, topic=on, transactional=transactional, batch=batch, **limits)

    def job(self, name: str, **limits: Unpack[TaskLimits]) -> Callable[[FunctionT], FunctionT]:
        """Declare long work that `Jobs.start` starts, and that is watched at `/tasks/{id}`.

        The function gets a `TaskContext` and keyword arguments, and returns its result as JSON. It
        opens its own transactions. After a crash it starts again, and may find a part of its work
        done. Its limits are those of `consumer`, but for `JOB_LIMITS`.
        """
        topic = f"{self.name}:{name}"
        return self._declare(name, is_job=True, topic=topic, **(JOB_LIMITS | limits))

    def periodic(
        self, name: str, *, every: timedelta, queue: str = "low", time_limit: timedelta = TIME_LIMIT
    ) -> Callable[[FunctionT], FunctionT]:
        """Declare a task that runs again and again.

        The function gets a `TaskContext`. The next turn makes up for one that fails or is lost.
        """
        return self._declare(name, every=every, queue=queue, time_limit=time_limit)

    def _declare(self, name: str, **options: object) -> Callable[[FunctionT], FunctionT]:
        def declare(function: FunctionT) -> FunctionT:
            full = f"{self.name}:{name}"
            self.declarations.append(Declaration(full, function, **cast("Any", options)))
            return function

        return declare


class TaskRegistry:
    """Every task of an application, by name."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._declarations: dict[str, Declaration] = {}

    def add(self, group: TaskGroup) -> None:
        """Add the tasks of a group.

        Raises:
            InvalidDeclaration: Two tasks have one name.
        """
        for declaration in group.declarations:
            if other := self._declarations.get(declaration.name):
                raise InvalidDeclaration(
                    f"task {declaration.name}: {_place(other)} has it, and {_place(declaration)}"
                    " claims it too; rename one, or register its part once"
                )
            self._declarations[declaration.name] = declaration
            if declaration.is_job:
                self._outbox.declare(declaration.function.__module__, declaration.name)
            if declaration.topic is not None:
                batch = declaration.batch or 1
                self._outbox.subscribe(declaration.topic, declaration.name, batch)

    def get(self, name: str) -> Declaration | None:
        """The task of a name, if there is one."""
        return self._declarations.get(name)

    def __iter__(self) -> Iterator[Declaration]:
        return iter(self._declarations.values())


def _place(declaration: Declaration) -> str:
    return f"{declaration.function.__module__}.{declaration.function.__qualname__}"
