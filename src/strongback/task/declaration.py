"""Declaring work: consumers of events, jobs that somebody watches, and what is done periodically.

group = TaskGroup("article")

@group.consumer("announce", on="article:published")
def announce(task: Run, *, article_id: int) -> None: ...

@group.job("import", queue="low", time_limit=timedelta(minutes=10))
def import_articles(task: Run, *, upload_id: int) -> dict[str, Any]: ...

@group.periodic("clean", every=timedelta(minutes=10))
def clean(task: Run) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar, cast

from strongback.exceptions import StrongbackError
from strongback.outbox import Outbox
from strongback.outbox.model import CONSUMER_LENGTH

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

QUEUES = ("default", "email", "sms", "search", "low", "high")
TRIES = 8
"""With the waits in between: about four minutes."""
TIME_LIMIT = timedelta(minutes=1)
FIRST_WAIT = timedelta(seconds=1)


class InvalidDeclaration(StrongbackError):
    """A task that could not be run as it is declared; the text says why."""


class Kind(StrEnum):
    """What starts a task, and what is known of it."""

    CONSUMER = "consumer"
    """A message of the outbox."""
    JOB = "job"
    """A message too; somebody watches how far it is."""
    PERIODIC = "periodic"
    """The clock."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """A task: what it is called, what it does, and within which limits."""

    name: str
    """Of the group and the task: `article:import`."""
    kind: Kind
    function: Callable[..., Any]
    queue: str = "default"
    time_limit: timedelta = TIME_LIMIT
    """After this it is stopped, and tried again."""
    tries: int = TRIES
    """How often it is begun before it is given up."""
    first_wait: timedelta = FIRST_WAIT
    """Until the second try; it doubles with each further one."""
    topic: str | None = None
    outside: bool = False
    """Whether it runs outside of a transaction, because its effect is not in the database."""
    batch: int | None = None
    """How many messages it is given at once; None for one, as keyword arguments."""
    every: timedelta | None = None

    def __post_init__(self) -> None:
        for is_wrong, text in self._problems():
            if is_wrong:
                raise InvalidDeclaration(f"task {self.name}: {text}")

    def _problems(self) -> Iterator[tuple[bool, str]]:
        yield len(self.name) > CONSUMER_LENGTH, f"its name is longer than {CONSUMER_LENGTH}"
        yield self.queue not in QUEUES, f"queue {self.queue} is none of {', '.join(QUEUES)}"
        yield self.time_limit <= timedelta(), "its time limit is not positive"
        yield self.tries < 1, "it has to be tried at least once"
        yield self.batch is not None and self.batch < 1, "a batch holds at least one message"
        # One transaction for many messages: the failure of one would undo them all.
        yield self.batch is not None and not self.outside, "a batch needs outside=True"
        yield self.every is not None and self.every <= timedelta(), "its period is not positive"


class TaskGroup:
    """The tasks of one slice or part, named `group:task`.

    Args:
        name: What the names of its tasks begin with.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.declarations: list[Declaration] = []

    def consumer(  # noqa: PLR0913  all but the first two are limits that have a default
        self,
        name: str,
        *,
        on: str,
        queue: str = "default",
        tries: int = TRIES,
        first_wait: timedelta = FIRST_WAIT,
        time_limit: timedelta = TIME_LIMIT,
        outside: bool = False,
        batch: int | None = None,
    ) -> Callable[[FunctionT], FunctionT]:
        """Declare what is done about each message of a topic.

        The function gets a `Run` and the payload as keyword arguments. It runs in one transaction
        with its inbox entry, so that it has its effect once, however often it is delivered.

        Args:
            name: Name within the group.
            on: The topic, such as `article:published`.
            queue: One of `QUEUES`.
            tries: How often it is begun before the message is given up.
            first_wait: Until the second try; doubles with each further one, up to ten minutes.
            time_limit: After this it is stopped, and tried again.
            outside: Run it outside of a transaction, because its effect is: a request to another
                server. It may then happen twice, and must bear that.
            batch: Give it up to so many payloads at once, as a list; needs `outside`.
        """
        return self._declare(
            name,
            Kind.CONSUMER,
            topic=on,
            queue=queue,
            tries=tries,
            first_wait=first_wait,
            time_limit=time_limit,
            outside=outside,
            batch=batch,
        )

    def job(
        self,
        name: str,
        *,
        queue: str = "default",
        tries: int = 3,
        first_wait: timedelta = FIRST_WAIT,
        time_limit: timedelta = timedelta(minutes=10),
    ) -> Callable[[FunctionT], FunctionT]:
        """Declare long work that is started by `Jobs.start` and watched at `/tasks/{id}`.

        The function gets a `Run` and keyword arguments, and returns JSON, the result. It opens its
        own transactions. After a crash it begins anew: it must bear having been done in part.

        Args:
            name: Name within the group.
            queue: One of `QUEUES`.
            tries: How often it is begun before it has failed.
            first_wait: Until the second try; doubles with each further one, up to ten minutes.
            time_limit: After this it is stopped, and tried again.
        """
        return self._declare(
            name,
            Kind.JOB,
            topic=f"{self.name}:{name}",
            queue=queue,
            tries=tries,
            first_wait=first_wait,
            time_limit=time_limit,
            outside=True,
        )

    def periodic(
        self,
        name: str,
        *,
        every: timedelta,
        queue: str = "low",
        time_limit: timedelta = TIME_LIMIT,
    ) -> Callable[[FunctionT], FunctionT]:
        """Declare what is done again and again, whoever runs the clock.

        The function gets a `Run`. A turn that fails or is lost is made good by the next one.

        Args:
            name: Name within the group.
            every: From one turn to the next.
            queue: One of `QUEUES`.
            time_limit: After this it is stopped.
        """
        return self._declare(
            name, Kind.PERIODIC, every=every, queue=queue, time_limit=time_limit, outside=True
        )

    def _declare(
        self, name: str, kind: Kind, **options: object
    ) -> Callable[[FunctionT], FunctionT]:
        def declare(function: FunctionT) -> FunctionT:
            full = f"{self.name}:{name}"
            self.declarations.append(Declaration(full, kind, function, **cast("Any", options)))
            return function

        return declare


class TaskRegistry:
    """Every task of the application, by name.

    Args:
        outbox: Where the consumers listen.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._declarations: dict[str, Declaration] = {}

    def add(self, group: TaskGroup) -> None:
        """Take in a group's tasks.

        Raises:
            InvalidDeclaration: Two tasks have one name.
        """
        for declaration in group.declarations:
            if declaration.name in self._declarations:
                raise InvalidDeclaration(f"task {declaration.name} is declared twice")
            self._declarations[declaration.name] = declaration
            if declaration.kind is Kind.JOB:
                self._outbox.declare(declaration.function.__module__, declaration.name)
            if declaration.topic is not None:
                self._outbox.subscribe(declaration.topic, declaration.name)

    def get(self, name: str) -> Declaration | None:
        """The task of this name, if there is one."""
        return self._declarations.get(name)

    def batch_size(self, name: str) -> int:
        """How many messages a task takes at once; one where there is no such task."""
        task = self.get(name)
        return (task and task.batch) or 1

    def __iter__(self) -> Iterator[Declaration]:
        return iter(self._declarations.values())
